"""Which versions and which commit a run was computed with."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "numpy", "numba", "gymnasium", "labmaze", "stable-baselines3", "cpc-a2c")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a run's numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def git_state(root: Path = ROOT) -> dict[str, Any]:
    """Return {"commit": hash or None, "dirty": bool or None} of the checkout this code is from."""
    if not (root / ".git").exists():  # an installed wheel; a repository around it says nothing
        return {"commit": None, "dirty": None}

    def git(*arguments: str) -> str:
        # Without the lock that status takes by default: a run that is killed would leave it behind.
        command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):  # no git, or no commit yet
        return {"commit": None, "dirty": None}
