"""Files that appear whole or not at all, for every package: a failed write loses nothing."""

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FORGOTTEN_S = 60.0  # a temporary file of a process that has ended is a leftover from this age on


def check_replaceable(path: Path, follow_links: bool = True) -> None:
    """Raise OSError unless a file can be written as `path`: before there is a result to lose.

    Nothing is made. A free name in a folder that can be made is as good as a file that is there.
    `follow_links` as in `replaced_when_complete`.
    """
    target = _target(path, follow_links)
    with naming(path):
        folder = next(parent for parent in target.parents if parent.exists())
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def replaced_when_complete(path: Path, follow_links: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what was written there replaces `path` on success.

    Where `path` is a symbolic link, the file that it names is replaced; without `follow_links`
    the link. An error inside the block leaves `path` as it was. Missing parent folders are made.
    What killed processes have left of earlier attempts at `path` is removed.
    Raises OSError: `path` is there and no regular file, or cannot be written.
    """
    target = _target(path, follow_links)
    beside = target.with_name(path.name)  # writers choose the format by the ending that was given
    temporary = beside.with_name(f".{beside.stem}.{os.getpid()}{beside.suffix}")
    try:
        with naming(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(beside)
            temporary.touch()  # what cannot be written is refused before the block is run
        yield temporary
        with naming(path):
            os.replace(temporary, target)
    finally:
        with suppress(OSError):  # why there is no folder, say, is raised already
            temporary.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes, follow_links: bool = True) -> None:
    """Make `content` the content of `path`, all or nothing, in a folder that is there.

    Where `path` is a symbolic link, the file that it names is replaced; without `follow_links`
    the link. Raises OSError: `path` is there and no regular file, or cannot be written.
    """
    with naming(path):
        os.stat(path.parent)  # a run's folder that was removed meanwhile is not made again
        with (
            replaced_when_complete(path, follow_links) as temporary,
            open(temporary, "wb") as file,
        ):
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


def _target(path: Path, follow_links: bool) -> Path:
    """The file that writing `path` replaces. Raises OSError: what is there is no regular file."""
    with naming(path):
        with suppress(FileNotFoundError):
            mode = os.stat(path).st_mode
            if not stat.S_ISREG(mode):
                kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
                raise OSError(f"{path} is {kind}; it must be a regular file, or not be there yet.")
        target = Path(os.path.realpath(path)) if follow_links else path
        if path.is_symlink():
            os.stat(target.parent)  # a folder that is mistyped in a link is not made
        return target


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
