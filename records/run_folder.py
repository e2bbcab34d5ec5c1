"""A run's folder: one process at a time, one set of settings, and where they came from."""

import fcntl
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import torch
import yaml

from agents.parallel.ranks import ALONE, Ranks
from records import checkpoint
from records.failures import sentence
from records.file_names import CONFIG_FILE, PROGRESS_FILE
from records.provenance import git_state, machine, versions
from records.settings import EXTENDABLE, first_difference, flattened, load_settings, read_config
from records.whole_files import naming, replace_file

PATIENCE_S = 1.0  # whoever asks whether a folder is held has its lock for a moment


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

    Of several ranks the first one holds, reads and writes it for all.
    Raises ValueError: another process holds it. OSError: it cannot be written. FolderLostError.
    """

    def __init__(self, path: Path, ranks: Ranks = ALONE) -> None:
        self.path = path
        self._ranks = ranks
        self.config_path = path / CONFIG_FILE
        self.checkpoint_path = path / checkpoint.NAME
        self._lock: TextIO | None = None

    def __enter__(self) -> "RunFolder":
        if not self._ranks.is_first:
            return self
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.path / "lock", "a+", errors="replace")  # held until __exit__
        if not _locked(self._lock):
            self._lock.seek(0)
            owner = self._lock.read(20).strip() or "?"
            self._lock.close()
            raise ValueError(
                f"{self.path} is in use by process {owner}; wait for it, or choose another tag=."
            )
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
        if self._lock is not None:
            self._lock.close()  # the system frees the lock, also after a crash

    def check_held(self) -> None:
        """Raise FolderLostError if the folder was removed: another process may have it by now."""
        if not self._ranks.is_first:
            return
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
        Then RankError on other ranks.
        """
        return self._ranks.broadcast_object(lambda: self._load(settings, extend))

    def _load(self, settings: Mapping[str, Any], extend: bool) -> dict[str, Any] | None:
        parts = (self.config_path, self.checkpoint_path)
        missing = [path.name for path in parts if not path.exists()]
        if missing and (self.checkpoint_path.exists() or (self.path / PROGRESS_FILE).exists()):
            raise ValueError(
                f"{self.path} has results but no {missing[0]}; put it back, delete the folder, "
                "or start a separate run with tag=NAME."
            )
        if missing:
            return None  # nothing was trained here yet
        require_same_run(self.path, settings, extend)
        return checkpoint.load(self.checkpoint_path)

    def write_config(
        self,
        settings: Mapping[str, Any],
        frames: int,
        passes: Mapping[str, str],
        device: torch.device,
        threads: int,
    ) -> None:
        """Write config.yaml: `settings`, and under `starts` what each process ran on.

        `frames`: where this process began; `passes`: how it computes, see agents.passes; `device`
        and `threads`: what it uses of the machine.
        """
        if not self._ranks.is_first:
            return
        starts = read_config(self.path).get("starts") if frames > 0 else None
        starts = list(starts) if isinstance(starts, list) else []
        starts.append(
            {
                "frames": frames,
                "passes": dict(passes),
                "machine": {**machine(device, threads), "ranks": self._ranks.world_size},
                "versions": versions(),
                "git": git_state(),
            }
        )
        text = yaml.safe_dump({**settings, "starts": starts}, sort_keys=False)
        replace_file(self.config_path, text.encode())


def require_same_run(path: Path, settings: Mapping[str, Any], extend: bool) -> None:
    """Raise ValueError if the folder `path` holds a run of other settings; see `RunFolder.load`."""
    if not all((path / name).exists() for name in (CONFIG_FILE, checkpoint.NAME)):
        return  # nothing was trained there yet
    own = load_settings(path)
    difference = first_difference(own, settings)
    if difference is None:
        return
    key, before, now = difference
    longer = key == EXTENDABLE and isinstance(before, int) and before < now
    if longer and extend:
        return
    separate = "start a separate run with tag=NAME"
    hint = f"{separate}, or continue this one with {key} as it was"
    if key not in flattened(own):  # somebody has added it to the program since
        raise ValueError(
            f"{path} holds a run without {key}, which is {now} now: {separate}, or say in "
            "OLDER_RUNS (records/settings.py) what runs did before there was this setting."
        )
    if longer:
        hint = f"continue with resume.extend=true, or {separate}"
    raise ValueError(f"{path} holds a run with {key}={before}, not {now}: {hint}.")


def _locked(lock: TextIO) -> bool:
    """Lock a file for this process alone; return False if others have it all of PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                return False
        time.sleep(0.02)
