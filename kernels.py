"""Functions that Numba compiles, kept on disk for as long as no source that they may use changes.

Numba recompiles a function when the file that defines it changes, but not when a constant or a
function it uses from another file does. A new folder for each state of the sources cannot be stale.
"""

import ast
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import numba

ROOT = Path(__file__).parent
numba_config: Any = numba.config


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

    Otherwise in the user's cache folder, or among temporary files if that cannot be written.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base, state = Path(numba_config.CACHE_DIR or home), source_hash(files)
    folder = base / name / state
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}" / state
    return folder


@contextmanager
def kernel_cache(name: str, files: Iterable[Path]) -> Iterator[None]:
    """Let functions that are decorated (not run) inside this context use that cache folder."""
    before = numba_config.CACHE_DIR
    numba_config.CACHE_DIR = str(cache_folder(name, files))
    try:
        yield
    finally:
        numba_config.CACHE_DIR = before


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
