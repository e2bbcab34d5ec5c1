"""Which package may import which: the rule of docs/details.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    *("agents", "analysis", "benchmarks", "configs", "cpc_aux", "envs", "studies"),
    *("episode_seeds", "kernels", "simd", "whole_files"),
)
COMMANDS = ("train_agent", "evaluate", "representations")  # may use everything, are used by nothing
# but here: analysis reads files, and this one command plays first.
EXCEPTIONS = {"analysis/probes.py": {"representations"}}
ALLOWED = {
    "agents": {"episode_seeds", "kernels", "simd", "whole_files"},
    "cpc_aux": {"kernels", "simd"},
    "simd": {"kernels"},
    "envs": {"episode_seeds", "kernels", "whole_files"},
    "episode_seeds": set(),
    "kernels": set(),
    "whole_files": set(),
    "analysis": {"whole_files"},
    "configs": {"agents", "cpc_aux", "envs", "episode_seeds"},
    "studies": {"agents", "configs"},
}


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_package_imports_only_what_it_may(package):
    files = [*(ROOT / package).rglob("*.py"), *ROOT.glob(f"{package}.py")]
    assert files
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            imported = {m.split(".")[0] for m in modules} & {*PACKAGES, *COMMANDS} - {package}
            name = file.relative_to(ROOT).as_posix()
            allowed = ALLOWED[package] | EXCEPTIONS.get(name, set())
            assert imported <= allowed, f"{name} imports {imported}"


@pytest.mark.parametrize(
    "name", ["actor", "rollout", "passes", "networks", "encoders", "a2c", "share", "shares"]
)
def test_the_algorithm_knows_no_pass_but_the_plain_one(name):
    text = (ROOT / "agents" / f"{name}.py").read_text()
    imported = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert not [line for line in imported if "fast" in line or "kept" in line or "graph" in line]
