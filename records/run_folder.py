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

from records import checkpoint
from records.failures import sentence
from records.whole_files import naming, replace_file

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
MAX_CONFIG_BYTES = 2**20


class RunStoppedError(Exception):
    """Training could not go on. The message says why and where the last good checkpoint is."""

    def __init__(self, cause: Exception, path: Path, frames: int) -> None:
        why = sentence(cause).rstrip(".")
        super().__init__(f"Stopped: {why}; the last good checkpoint is {path} ({frames:,} frames).")


class FolderLostError(Exception):
    """A run's folder was removed or replaced while it trained."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"Stopped: {path} was removed or replaced meanwhile; nothing more is written there."
        )


class RunFolder:
    """The folder `path`, held by this process between `__enter__` and `__exit__`.

    Raises ValueError: another process holds it. OSError: it cannot be written. FolderLostError.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_path = path / "config.yaml"
        self.checkpoint_path = path / checkpoint.NAME
        self._lock: TextIO | None = None

    def __enter__(self) -> "RunFolder":
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.path / "lock", "a+", errors="replace")  # held until __exit__
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            owner = self._lock.read(20).strip() or "?"
            self._lock.close()
            raise ValueError(
                f"{self.path} is in use by process {owner}; wait for it, or choose another tag=."
            ) from None
        self.check_held()
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

    def check_held(self) -> None:
        """Raise FolderLostError if the folder was removed: another process may have it by now."""
        assert self._lock is not None
        try:
            here, held = os.stat(self.path / "lock"), os.fstat(self._lock.fileno())
        except OSError:
            raise FolderLostError(self.path) from None
        if (here.st_dev, here.st_ino) != (held.st_dev, held.st_ino):
            raise FolderLostError(self.path)

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
        starts = read_config(self.path).get("starts") if frames > 0 else None
        starts = list(starts) if isinstance(starts, list) else []
        start = {"frames": frames, "passes": dict(passes)}
        starts.append({**start, "versions": versions(), "git": git_state()})
        text = yaml.safe_dump({**settings, "starts": starts}, sort_keys=False)
        replace_file(self.config_path, text.encode())


def load_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a run folder's config.yaml.

    Raises ValueError: there is none, or it cannot be read.
    """
    return {key: value for key, value in read_config(path).items() if key != "starts"}


def read_config(path: Path) -> dict[str, Any]:
    """Return what is in a run folder's config.yaml: plain data, whoever wrote it.

    Raises ValueError: there is none, or it cannot be read.
    """
    file = path / "config.yaml"
    try:
        if file.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError("too large")
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{path} is not the folder of a run: it has no config.yaml.") from None
    # ValueError: no text, or a date that is none; RecursionError: nested too deeply
    except (yaml.YAMLError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError(f"{file} cannot be read as settings.")
    return content


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
