"""What pyproject.toml declares is imported, and pinned; the version is one everywhere."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
SITE = {"mkdocs", "mkdocs-material", "mkdocstrings"}  # mkdocs.yml names them
NOT_IMPORTED = {"ale-py", "minigrid", "opencv-python-headless"}  # Gymnasium loads them
TOOLS = {"mypy", "pytest-xdist", "ruff", "setuptools"}
# Built by its user; installed without its own requirements, which exclude ours.
FROM_ELSEWHERE = {"deepmind-lab", "sample-factory"}


def declared() -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    return [Requirement(line) for line in lines if not line.startswith(PROJECT["name"])]


def imported() -> set[str]:
    """Names of the distributions that hold what the sources import, also inside functions."""
    files = [*ROOT.glob("*.py")]
    for package in ROOT.glob("*/__init__.py"):
        files += package.parent.rglob("*.py")
    assert len(files) > 101
    modules = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            modules.add(node.module.split(".")[0])
    own = {path.stem for path in [*ROOT.iterdir(), *(ROOT / "examples").iterdir()]}
    distributions = packages_distributions()
    return {
        canonicalize_name(distributions.get(module, [module])[0])
        for module in modules - own - sys.stdlib_module_names
    }


def test_what_is_imported_is_declared_and_nothing_else():
    names = {canonicalize_name(requirement.name) for requirement in declared()}
    # Parts of what is declared: numba's compiler, miniworld's windows, torchrl's dictionaries and
    # pytest's parser of versions.
    parts = {"llvmlite", "pyglet", "tensordict", "packaging"}
    assert imported() - FROM_ELSEWHERE - parts == names - NOT_IMPORTED - TOOLS - SITE


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_constraints_satisfy_every_requirement(python):
    assert Requirement(f"x{PROJECT['requires-python']}").specifier.contains(f"{python}.0")
    pins = {}
    for line in (ROOT / f"constraints-{python}.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, version = line.split("==")
            assert canonicalize_name(name) not in pins, f"{name} is pinned twice"
            pins[canonicalize_name(name)] = version
    for requirement in declared():
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}, but {version} is pinned"


def test_one_version_everywhere():
    version = PROJECT["version"]
    assert str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]) == version
    assert f"version = {{{version}}}" in (ROOT / "README.md").read_text()
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == version
