"""Functions that Numba compiles, kept on disk for as long as no source that they may use changes.

Numba recompiles a function when the file that defines it changes, but not when a constant or a
function it uses from another file does. A new folder for each state of the sources cannot be stale.
One that no start uses any more is removed. What is in such a folder is executed, so that it must be
this user's own, and undamaged.
"""

import ast
import atexit
import hashlib
import os
import pickle
import re
import shutil
import stat
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import numba
from numba.core import caching, dispatcher

ROOT = Path(__file__).parent.parent
UNUSED_S = 30 * 24 * 3600.0  # a state that no start has used for so long is not likely to come back
numba_config: Any = numba.config
numba_dispatcher: Any = dispatcher  # Any: what is changed in it, see `kernel_cache`


def source_hash(files: Iterable[Path]) -> str:
    """Hash the names and contents of files."""
    digest = hashlib.sha256()
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{os.path.relpath(path, ROOT)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def cache_folder(name: str, files: Iterable[Path]) -> Path:
    """Give the folder of this state of the files: in Numba's cache folder if the user set one.

    Otherwise in the user's cache folder, or among temporary files if that cannot be written. Where
    somebody else may write to these, it is a new folder that goes with the process.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base, state = Path(numba_config.CACHE_DIR or home), source_hash(files)
    for parent in (base / name, Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"):
        if is_own(parent) and is_own(parent / state):
            _remove_unused(parent / state)
            return parent / state
    folder = tempfile.mkdtemp(prefix=f"{name}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def _remove_unused(used: Path) -> None:
    """Mark a state's folder as used now, and remove those beside it that were not for UNUSED_S.

    Whoever still has one of those open compiles anew. What cannot be removed stays.
    """
    with suppress(OSError):  # another process may remove the same
        os.utime(used)
        for other in used.parent.iterdir():
            state = re.fullmatch("[0-9a-f]{16}", other.name)  # of `source_hash`
            if state and other.lstat().st_mtime < time.time() - UNUSED_S:
                shutil.rmtree(other, ignore_errors=True)


def is_own(folder: Path) -> bool:
    """Return whether `folder`, made here if there is none, is this user's and only theirs to write.

    In a folder that all may write to, somebody else could have made it first.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return False
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return own and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and os.access(folder, os.W_OK)


class _OnlyHere(caching.CompileResultCacheImpl):
    """Kernels are kept in `cache_folder` or not at all; Numba would go on to other places."""

    _locator_classes = [caching.UserProvidedCacheLocator]  # noqa: RUF012 - as Numba declares it


class _CheckedFiles(caching.IndexDataCacheFile):
    """A kernel's index and code, with a hash behind each, where unpickling does not read it."""

    def _data_name(self, number: int) -> str:
        """A new name: two processes that give one number would write to one file.

        Numba writes the index first. The one would then run the kernel of the other, for types that
        are not its own.
        """
        return self._data_name_pattern.replace("{number:d}", uuid.uuid4().hex)

    def _dump(self, content: Any) -> bytes:
        pickled: bytes = super()._dump(content)
        return pickled + hashlib.sha256(pickled).digest()

    def _load_index(self) -> dict[Any, str]:
        with suppress(FileNotFoundError):
            stored = Path(self._index_path).read_bytes()
            version = pickle.dumps(self._version, protocol=-1)
            if stored and not stored.startswith(version):
                return {}  # another version of Numba wrote it
            _require_hash(stored.removeprefix(version))
        index: dict[Any, str] = super()._load_index()
        return index

    def _load_data(self, name: str) -> Any:
        _require_hash(Path(self._data_path(name)).read_bytes())
        return super()._load_data(name)


def _require_hash(stored: bytes) -> None:
    if hashlib.sha256(stored[:-32]).digest() != stored[-32:]:
        raise ValueError("damaged")


class _Cache(caching.FunctionCache):
    """Numba's cache of a function's kernels, which is done without where its files are no good."""

    _impl_class = _OnlyHere

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._folder = Path(self._cache_path).parent
        self._cache_file = _CheckedFiles(
            self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp()
        )

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the kernel, or None if there is none that can be used."""
        try:
            return super().load_overload(signature, target)
        except Exception:  # whatever unpickling raises; the next start finds new files
            _say(f"The kernel cache {self._folder} is damaged: compiling anew.")
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature: Any, kernel: Any) -> None:
        """Keep a kernel, if there is room for it."""
        try:
            super().save_overload(signature, kernel)
        except OSError as error:
            _say(f"The kernel cache {self._folder} cannot be written: {error.strerror}.")


def _cache_of(function: Any) -> Any:
    try:
        return _Cache(function)
    except RuntimeError:  # the folder cannot be written any more
        return caching.NullCache()


@cache
def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def kernel_cache(name: str, files: Iterable[Path]) -> Iterator[None]:
    """Let functions that are decorated (not run) inside this context use that cache folder."""
    before = numba_config.CACHE_DIR, numba_dispatcher.FunctionCache
    numba_config.CACHE_DIR = str(cache_folder(name, files))
    numba_dispatcher.FunctionCache = _cache_of  # what `cache=True` makes
    try:
        yield
    finally:
        numba_config.CACHE_DIR, numba_dispatcher.FunctionCache = before


@cache
def _direct_imports(file: Path) -> frozenset[Path]:
    """Files of this project that a file imports."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)]
    paths = {(ROOT / name.replace(".", "/")).with_suffix(".py") for name in names}
    return frozenset(path for path in paths if path.exists())


def imported_files(file: Path) -> set[Path]:
    """A file and all of this project's that it imports, directly or not."""
    files, waiting = set(), {file}
    while waiting:
        one = waiting.pop()
        files.add(one)
        waiting |= _direct_imports(one) - files
    return files


def kernel(function: Any = None, **options: Any) -> Any:
    """Compile a function when it is first called; it does not hold Python's lock.

    options: further ones of numba.njit.
    """
    if function is None:
        return partial(kernel, **options)
    with kernel_cache("cpc_a2c", imported_files(Path(function.__code__.co_filename))):
        return numba.njit(nogil=True, cache=True, **options)(function)


# For loops over numbers that lie side by side, of which the compiler makes vectors. It may join a
# product and a sum, and need not look for divisions by 0.
vectorised = kernel(error_model="numpy", fastmath={"contract"})
