"""Files that appear whole or not at all, for every package: a failed write loses nothing."""

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


def replace_file(path: Path, content: bytes) -> None:
    """Make `content` the content of `path`, all or nothing, in a folder that is there.

    Raises OSError.
    """
    with naming(path):
        os.stat(path.parent)  # a run's folder that was removed meanwhile is not made again
        with replaced_when_complete(path) as temporary, open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the content must reach the disk before the name does


def append_file(path: Path, content: bytes) -> None:
    """Append `content` to `path`, all or nothing. Raises OSError."""
    size = path.stat().st_size if path.exists() else 0
    try:
        with naming(path), open(path, "ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # a checkpoint that counts these rows must not outlive them
    except OSError:
        if path.exists():
            os.truncate(path, size)
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError inside name `path`: a failed write does not say which file it was."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a library's own, with a text that says more
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


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
