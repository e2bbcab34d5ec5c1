"""Writing files so that a failure, such as a full disk, loses nothing that was there before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an OSError inside name `path`: a failed write does not say which file it was."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def sentence(error: Exception) -> str:
    """Return what a user should read about `error`: an OSError's cause and file, or its message."""
    if isinstance(error, OSError) and error.strerror is not None and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    return str(error)


def replace_file(path: Path, content: bytes) -> None:
    """Make `content` the content of `path`, all or nothing. Raises OSError."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with naming(path), open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the content must reach the disk before the name does
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def append_file(path: Path, content: bytes) -> None:
    """Append `content` to `path`, all or nothing. Raises OSError."""
    size = path.stat().st_size if path.exists() else 0
    try:
        with naming(path), open(path, "ab") as file:
            file.write(content)
    except OSError:
        if path.exists():
            os.truncate(path, size)
        raise
