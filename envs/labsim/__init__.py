"""labsim: DeepMind Lab's levels in an embedded engine of Numba kernels."""

from envs.labsim.cache import kernel_cache

# Numba settles a kernel's cache folder when the kernel is defined: import all of them here.
with kernel_cache():
    from envs.labsim import levels, raycaster

__all__ = ["levels", "raycaster"]
