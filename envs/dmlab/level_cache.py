"""Compiled maps on disk: DeepMind Lab takes seconds to compile a maze that it has not seen.

DeepMind Lab calls `fetch` and `write` of an object it is given (python/dmlab_module.c,
deepmind/level_generation/compile_map.cc). The key is the map's name and a hash of its source, so a
file can serve every run and every process, and never grows stale.
"""

import contextlib
import hashlib
import logging
import os
import re
import secrets
import shutil
import time
from pathlib import Path

logger = logging.getLogger(__name__)

# A copy takes less than a second: what is older was left by a process that was killed.
ABANDONED_SECONDS = 3600.0
# The names of copies, and of nothing else: the folder may hold files of the user's.
COPY = re.compile(r"[0-9a-f]{64}\.[0-9]+-[0-9a-f]{8}\.tmp")


class LevelCache:
    """A directory that any number of processes, on any number of machines, share.

    Files appear whole, under their names, or not at all. A directory that cannot be read or
    written costs time, never the run: an exception in here would end the episode. Nothing is ever
    deleted except its own abandoned copies; the user may delete anything at any time.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._warned = False
        try:
            self._delete_abandoned()
        except OSError as error:
            self._warn(error)

    def fetch(self, key: str, pk3_path: str) -> bool:
        """Copy the map of `key` to `pk3_path`; return whether it was there."""
        try:
            shutil.copyfile(self._file(key), pk3_path)
            return True
        except FileNotFoundError:
            return False
        except OSError as error:
            self._warn(error)
            # Half a copy must not pass for the map.
            with contextlib.suppress(OSError):
                os.unlink(pk3_path)
            return False

    def write(self, key: str, pk3_path: str) -> None:
        """Keep a copy of the map at `pk3_path` for every later `fetch` of `key`."""
        file = self._file(key)
        copy = file.with_suffix(f".{os.getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with open(pk3_path, "rb") as source, copy.open("xb") as target:
                    shutil.copyfileobj(source, target)
                    target.flush()
                    # A machine that loses power after the renaming must not keep an empty file.
                    os.fsync(target.fileno())
                os.replace(copy, file)
            except OSError:
                copy.unlink(missing_ok=True)
                raise
        except OSError as error:
            self._warn(error)

    def _file(self, key: str) -> Path:
        """Keys are DeepMind Lab's business, and may hold what a file name may not."""
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.pk3"

    def _delete_abandoned(self) -> None:
        oldest = time.time() - ABANDONED_SECONDS
        for copy in self.folder.glob("*.tmp"):
            if not COPY.fullmatch(copy.name):
                continue
            with contextlib.suppress(FileNotFoundError):  # another process did it
                if copy.stat().st_mtime < oldest:
                    copy.unlink()

    def _warn(self, error: OSError) -> None:
        """Say once what is wrong, not at every map."""
        if not self._warned:
            logger.warning("The level cache %s does not work: %s", self.folder, error)
        self._warned = True
