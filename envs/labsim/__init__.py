"""labsim: DeepMind Lab's levels in an embedded engine of Numba kernels."""

from pathlib import Path

from compiled.cache import kernel_cache

FOLDER = Path(__file__).parent
# Whose constants are in compiled code.
SOURCES = [*FOLDER.rglob("*.py"), *(FOLDER.parent / f"{x}.py" for x in ("config", "frame_rate"))]

# Numba settles a kernel's cache folder when the kernel is defined: import all of them here. One
# folder for the whole engine, because `level.advance` runs levels that its callers do not import.
with kernel_cache("labsim", SOURCES):
    from envs.labsim import levels, thread_team

__all__ = ["levels", "thread_team"]
