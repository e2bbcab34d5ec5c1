"""The wheel holds every package, typed, and works away from the sources."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOT_INSTALLED = {"benchmarks", "tests"}


def test_wheel_is_imported_from_another_directory(tmp_path):
    sources = tmp_path / "sources"  # an old build folder must not leak into the wheel
    not_sources = shutil.ignore_patterns(
        ".*", "build", "runs", "*.egg-info", "__pycache__", "benchmarks", "docs", "tests"
    )
    shutil.copytree(ROOT, sources, ignore=not_sources)
    build = [sys.executable, "-m", "pip", "wheel", str(sources), "--no-deps", "--quiet"]
    subprocess.run([*build, "--no-build-isolation", "-w", str(tmp_path)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    folders = "configs", "studies"
    settings = {p.relative_to(ROOT) for name in folders for p in (ROOT / name).rglob("*.yaml")}
    assert settings == {path.relative_to(site) for path in site.rglob("*.yaml")}
    packages = {path.parent.name for path in site.glob("*/__init__.py")}
    assert packages == {path.parent.name for path in site.glob("*/py.typed")}
    assert packages == {path.parent.name for path in ROOT.glob("*/__init__.py")} - NOT_INSTALLED
    program = (
        "import agents.learner, analysis.curves, analysis.probes, configs, cpc_aux, envs\n"
        "import evaluate, train_agent\n"
        f"site = {str(site)!r}\n"
        "assert all(m.__file__.startswith(site) for m in (agents, configs, envs, evaluate))\n"
        "from analysis.published import published_curves\n"
        "assert published_curves('room_watermaze', 1e7)\n"
        "import gymnasium\n"
        "gymnasium.make('labsim/room_watermaze-v0').close()\n"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=tmp_path, env={"PYTHONPATH": str(site)}
    )
