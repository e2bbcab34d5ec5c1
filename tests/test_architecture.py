"""Which package may import which, and in which order `agents` builds: no import runs back up."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {
    "compiled": set(),
    "episode_seeds": set(),
    "agents": {"compiled", "episode_seeds"},
    "cpc_aux": {"compiled"},
    "envs": {"compiled", "episode_seeds"},
    "records": {"agents"},
    "configs": {"agents", "cpc_aux", "envs", "episode_seeds", "records"},
    "analysis": {"records"},
    "studies": {"configs", "records"},
}
# These draw or write what their package makes, or play first, where analysis reads files; or show
# an agent in a level.
EXCEPTIONS = {
    "envs/gallery.py": {"records"},
    "envs/play.py": {"records"},
    "envs/watch/__main__.py": {"agents", "records"},
    "envs/watch/player.py": {"agents", "configs", "cpc_aux", "records"},
    "analysis/pretrained.py": {"agents", "configs", "envs", "evaluate"},
    "analysis/representations.py": {"agents", "configs", "envs", "episode_seeds"},
}
OWN = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {
    path.stem for path in ROOT.glob("*.py")
}
# The algorithm, from what it builds on to what puts it together. A file imports from earlier
# groups and from its own.
LAYERS = (
    ("config", "encoders", "networks", "batched_env", "devices", "episodes"),
    ("rollout", "a2c", "joined_state", "running_means", "state_check"),
    ("passes",),
    ("actor", "fast"),
    ("parallel",),
    ("learner",),
    ("sb3", "evaluation"),
)
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
PLAIN = ("config", "encoders", "networks", "rollout", "a2c", "passes", "actor", "parallel")


def imports(file: Path) -> Iterator[str]:
    """The modules that a file imports, also inside functions, as dotted names."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_package_imports_only_what_it_may(package):
    files = [*(ROOT / package).rglob("*.py"), *ROOT.glob(f"{package}.py")]
    assert files
    for file in files:
        name = file.relative_to(ROOT).as_posix()
        imported = {module.split(".")[0] for module in imports(file)} & OWN - {package}
        allowed = ALLOWED[package] | EXCEPTIONS.get(name, set())
        assert imported <= allowed, f"{name} imports {imported - allowed}"


def test_packages_know_each_other_in_one_direction():
    above = set()
    for package, allowed in ALLOWED.items():  # a package comes after those that it may import
        assert allowed <= above
        above.add(package)


def agents_imports(file: Path) -> set[str]:
    """The parts of `agents`, files or folders, that a file of it imports."""
    return {module.split(".")[1] for module in imports(file) if module.startswith("agents.")}


@pytest.mark.parametrize("name", sorted(LAYER_OF))
def test_no_import_of_the_algorithm_runs_back_up(name):
    files = [*(ROOT / "agents" / name).rglob("*.py"), *(ROOT / "agents").glob(f"{name}.py")]
    assert files
    for file in files:
        later = {n for n in agents_imports(file) if LAYER_OF[n] > LAYER_OF[name]}
        assert not later, f"{file.relative_to(ROOT)} imports {later}"


@pytest.mark.parametrize("name", PLAIN)
def test_the_algorithm_knows_no_pass_but_the_plain_one(name):
    files = [*(ROOT / "agents" / name).rglob("*.py"), *(ROOT / "agents").glob(f"{name}.py")]
    assert files
    for file in files:
        assert "fast" not in agents_imports(file)


def test_every_part_of_the_algorithm_has_a_layer():
    parts = {path.stem for path in (ROOT / "agents").iterdir() if path.suffix != ".typed"}
    assert parts - {"__init__", "__pycache__"} == LAYER_OF.keys()


def test_the_way_from_observation_to_update_is_the_one_that_the_docs_name():
    """At most seven files, which import no other of `agents` but those named beside the way."""
    details = (ROOT / "docs" / "details.md").read_text()
    way, beside = details.split("The auxiliary loss, CPC, is as pure", 1)
    files = re.findall(r"^\d\. `agents/(\w+)\.py`", way, re.MULTILINE)
    assert 1 < len(files) <= 7
    assert files[0] == "learner"
    beside = beside.split("**Plain and fast.**", 1)[0]
    named = set(re.findall(r"`(\w+)\.py`", beside)) | {"fast", "parallel"}
    for name in files:
        others = agents_imports(ROOT / "agents" / f"{name}.py") - set(files)
        assert others <= named, f"{name}.py leads to {others - named}"
    for name in set(files) - {"learner"}:
        assert any(name in agents_imports(ROOT / "agents" / f"{other}.py") for other in files)
