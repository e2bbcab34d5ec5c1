"""A run's folder: one process at a time, one set of settings, and where they came from."""

import fcntl
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import yaml

from agents import checkpoint
from agents.files import naming, replace_file, sentence

PACKAGES = ("torch", "numpy", "numba", "gymnasium", "labmaze", "stable-baselines3", "cpc-a2c")
# What may differ when a run continues: none of it changes what is learned.
FREE = (
    "device",
    "fast",
    "run_root",
    "threads",
    "log",
    "resume",
    "agent.compile",
    "env.worker_timeout_s",
    "env.level_cache",
)
EXTENDABLE = "total_frames"


class RunStoppedError(Exception):
    """Training could not go on. The message says why and where the last good checkpoint is."""

    def __init__(self, cause: Exception, path: Path, frames: int) -> None:
        super().__init__(
            f"Stopped: {sentence(cause)}; the last good checkpoint is {path} ({frames:,} frames)."
        )


class RunFolder:
    """The folder `path`, held by this process between `__enter__` and `__exit__`.

    Raises ValueError: another process holds it. OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_path = path / "config.yaml"
        self.checkpoint_path = path / checkpoint.NAME
        self._lock: TextIO | None = None

    def __enter__(self) -> "RunFolder":
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.path / "lock", "a+")  # held until __exit__
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            owner = self._lock.read().strip() or "?"
            self._lock.close()
            raise ValueError(
                f"{self.path} is in use by process {owner}; wait for it, or choose another tag=."
            ) from None
        with naming(self.path):
            self._lock.truncate(0)
            self._lock.write(str(os.getpid()))
            self._lock.flush()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._lock is not None
        self._lock.close()  # the system frees the lock, also after a crash

    def load(self, settings: Mapping[str, Any], extend: bool) -> dict[str, Any] | None:
        """Return the checkpoint to continue from, or None for a run that begins here.

        `settings`: this run's resolved settings; `extend`: a larger total_frames is welcome.
        Raises ValueError: the folder holds a run of other settings, or lost a part of its own.
        """
        parts = (self.config_path, self.checkpoint_path)
        missing = [path.name for path in parts if not path.exists()]
        if missing and (self.checkpoint_path.exists() or (self.path / "progress.csv").exists()):
            raise ValueError(
                f"{self.path} has results but no {missing[0]}; put it back, delete the folder, "
                "or start a separate run with tag=NAME."
            )
        if missing:
            return None  # nothing was trained here yet
        difference = first_difference(load_settings(self.path), settings)
        if difference is not None:
            key, before, now = difference
            longer = key == EXTENDABLE and isinstance(before, int) and before < now
            if not (longer and extend):
                hint = "continue with resume.extend=true, or " if longer else ""
                raise ValueError(
                    f"{self.path} holds a run with {key}={before}, not {now}: {hint}"
                    "start a separate run with tag=NAME."
                )
        return checkpoint.load(self.checkpoint_path)

    def write_config(
        self, settings: Mapping[str, Any], frames: int, passes: Mapping[str, str]
    ) -> None:
        """Write config.yaml: `settings`, and under `starts` what each process ran on.

        `frames`: where this process began; `passes`: how it computes, see agents.passes.
        """
        starts = []
        if frames > 0:
            starts = yaml.safe_load(self.config_path.read_text()).get("starts", [])
        start = {"frames": frames, "passes": dict(passes)}
        starts.append({**start, "versions": versions(), "git": git_state()})
        text = yaml.safe_dump({**settings, "starts": starts}, sort_keys=False)
        replace_file(self.config_path, text.encode())


def load_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a run folder's config.yaml.

    Raises ValueError: there is none, or it cannot be read.
    """
    try:
        content = yaml.safe_load((path / "config.yaml").read_text())
    except FileNotFoundError:
        raise ValueError(f"{path} is not the folder of a run: it has no config.yaml.") from None
    except yaml.YAMLError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path / 'config.yaml'} cannot be read as settings.")
    return {key: value for key, value in content.items() if key != "starts"}


def first_difference(
    old: Mapping[str, Any], new: Mapping[str, Any], free: tuple[str, ...] = FREE
) -> tuple[str, Any, Any] | None:
    """Return (key, old value, new value) of the first setting that differs, or None.

    Keys in `free`, whole or by their first part, are not compared, nor the other keys of an
    auxiliary loss that is "none" in both. `total_frames` comes last, so that it is named only where
    it is the only difference.
    """
    before, now = _flat(old), _flat(new)
    if before.get("aux.name") == now.get("aux.name") == "none":
        free = (*free, "aux")
    keys = sorted(before.keys() | now.keys(), key=lambda key: (key == EXTENDABLE, key))
    for key in keys:
        is_free = key in free or key.split(".")[0] in free
        if not is_free and before.get(key) != now.get(key):
            return key, before.get(key), now.get(key)
    return None


def _flat(settings: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{path}{key}."))
        else:
            flat[path + key] = value
    return flat


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a run's numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def git_state() -> dict[str, Any]:
    """Return {"commit": hash or None, "dirty": bool or None} of the checkout this code is from."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():  # an installed wheel; a repository around it says nothing
        return {"commit": None, "dirty": None}

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):  # no git, or no commit yet
        return {"commit": None, "dirty": None}
