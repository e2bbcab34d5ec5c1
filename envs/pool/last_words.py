"""What a worker writes to its standard error: passed on, and its end kept for when it dies."""

import os
import threading
from contextlib import suppress
from typing import IO

KEPT_BYTES = 2**14
LONGEST = 500  # characters of a sentence's share
TRACEBACK = "stack traceback:"  # Lua's, which follows its message


class LastWords:
    """Copies `stream` to this process's standard error until it ends.

    A process that aborts, as DeepMind Lab does where a level's script fails, says why there and
    nowhere else.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._read = 0  # bytes so far
        self._end = b""  # the last of them
        self._mark = 0
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def _copy(self) -> None:
        with self._stream:
            while chunk := os.read(self._stream.fileno(), KEPT_BYTES):
                self._end = (self._end + chunk)[-KEPT_BYTES:]
                self._read += len(chunk)
                with suppress(OSError):  # it may be closed
                    os.write(2, chunk)

    def mark(self) -> None:
        """Forget what was said so far."""
        self._mark = self._read

    def since_mark(self) -> str:
        """Return the last line, without a traceback after it, or nothing; the process has ended."""
        self._thread.join(timeout=1.0)  # its own children may keep the stream open
        new = self._end[-(self._read - self._mark) :] if self._read > self._mark else b""
        said = new.decode(errors="replace").partition(TRACEBACK)[0].strip()
        return " ".join(said.splitlines()[-1].split())[:LONGEST] if said else ""
