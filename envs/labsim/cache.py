"""Where compiled kernels are kept: a folder whose name changes with any source of labsim.

Numba recompiles a function when the file that defines it changes, but not when a constant or a
function it uses from another file does. A new folder for each state of the sources cannot be stale.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba

numba_config: Any = numba.config
SOURCES = Path(__file__).parent


def source_hash(folder: Path = SOURCES) -> str:
    """Hash the names and contents of all Python files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Give the folder of this state of the sources: in Numba's cache folder if the user set one.

    Otherwise in the user's cache folder, or among temporary files if that cannot be written.
    """
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    base = Path(numba_config.CACHE_DIR or home)
    folder = base / "labsim" / source_hash()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir()) / f"labsim-{os.getuid()}" / source_hash()
    return folder


@contextmanager
def kernel_cache() -> Iterator[None]:
    """Let kernels that are defined (not run) inside this context use labsim's cache folder."""
    before = numba_config.CACHE_DIR
    numba_config.CACHE_DIR = str(cache_folder())
    try:
        yield
    finally:
        numba_config.CACHE_DIR = before
