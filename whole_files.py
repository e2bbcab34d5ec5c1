"""Files that appear whole or not at all, for every package: figures, films, tables."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FORGOTTEN_S = 60.0  # a temporary file of a process that has ended is a leftover from this age on


@contextmanager
def replaced_when_complete(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what was written there replaces `path` on success.

    An error inside the block leaves `path` as it was. Missing parent folders are made. What killed
    processes have left of earlier attempts at `path` is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def is_alive(process: int) -> bool:
    """Return whether a process of this number runs on this machine."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    return True


def _remove_leftovers(path: Path) -> None:
    pattern = re.compile(rf"\.{re.escape(path.stem)}\.(\d+){re.escape(path.suffix)}")
    for other in path.parent.iterdir():
        match = pattern.fullmatch(other.name)
        if match is None or is_alive(int(match[1])):
            continue
        # Where several machines share the folder, the process may live on another one.
        with suppress(OSError):
            if time.time() - other.stat().st_mtime > FORGOTTEN_S:
                other.unlink()
