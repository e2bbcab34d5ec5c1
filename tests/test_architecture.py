"""Which package may import which: the rule of docs/details.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    *("agents", "analysis", "benchmarks", "configs", "cpc_aux", "envs"),
    *("kernels", "simd", "whole_files"),
)
ALLOWED = {
    "agents": {"kernels", "simd", "whole_files"},
    "cpc_aux": {"kernels", "simd"},
    "simd": {"kernels"},
    "envs": {"kernels", "whole_files"},
    "kernels": set(),
    "whole_files": set(),
    "analysis": {"whole_files"},
    "configs": {"agents", "cpc_aux", "envs"},
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
            imported = {m.split(".")[0] for m in modules} & set(PACKAGES) - {package}
            assert imported <= ALLOWED[package], f"{file.relative_to(ROOT)} imports {imported}"
