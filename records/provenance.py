"""Which versions, commit and machine a run was computed with."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

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


def machine(device: torch.device, threads: int) -> dict[str, Any]:
    """Return the models of processor and device, and the threads: they decide a run's last bits.

    No name of a host, for configurations are shared.
    """
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {"processor": processor(), "device": gpu or device.type, "threads": threads}


def processor() -> str:
    """Return the processor's name; on Linux with the instruction sets that float32 and bf16 use."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or platform.machine()
    lines = [line.partition(":") for line in cpuinfo.read_text().splitlines()]
    first = {name.strip(): value.strip() for name, _, value in reversed(lines)}
    sets = [
        s for s in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if s in first.get("flags", "")
    ]
    name = first.get("model name", platform.processor() or platform.machine())
    return (
        f"{name} (family {first.get('cpu family')}, model {first.get('model')}; {', '.join(sets)})"
    )


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
