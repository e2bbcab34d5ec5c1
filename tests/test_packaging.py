"""The wheel holds every package and works away from the sources."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_wheel_is_imported_from_another_directory(tmp_path):
    sources = tmp_path / "sources"  # an old build folder must not leak into the wheel
    not_sources = shutil.ignore_patterns(".*", "build", "runs", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, sources, ignore=not_sources)
    build = [sys.executable, "-m", "pip", "wheel", str(sources), "--no-deps", "--quiet"]
    subprocess.run([*build, "--no-build-isolation", "-w", str(tmp_path)], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    program = (
        "import agents.learner, analysis.curves, analysis.probes, configs, cpc_aux, envs\n"
        "import evaluate, train_agent\n"
        f"site = {str(site)!r}\n"
        "assert all(m.__file__.startswith(site) for m in (agents, configs, envs, evaluate))\n"
        "import gymnasium\n"
        "gymnasium.make('labsim/room_watermaze-v0').close()\n"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=tmp_path, env={"PYTHONPATH": str(site)}
    )
