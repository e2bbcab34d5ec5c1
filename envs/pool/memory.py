"""What workers and learner both see: memory without a name, so that nothing can be left behind."""

import mmap
import os
import tempfile
from typing import Any, NamedTuple, Self

import gymnasium
import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64  # bytes, a cache line: no two arrays share one


class SharedArrays(NamedTuple):
    """The step of all B environments: actions go in, everything else comes out."""

    action: NDArray[np.int64]  # [B]
    reward: NDArray[np.float32]  # [B]
    terminated: NDArray[np.bool_]  # [B]
    truncated: NDArray[np.bool_]  # [B]
    success_seconds: NDArray[np.float32]  # [B]
    obs: NDArray  # [B, ...] to act on next
    final_obs: NDArray  # [B, ...] the last one of an episode that ended

    @classmethod
    def map(cls, descriptor: int, num_envs: int, space: gymnasium.spaces.Box) -> Self:
        """Map the file `descriptor`, which `reserve` has made large enough, into this process."""
        layout, size = _layout(num_envs, space)
        memory = mmap.mmap(descriptor, size)
        arrays = [
            np.frombuffer(memory, dtype, int(np.prod(shape)), offset).reshape(shape)
            for offset, shape, dtype in layout
        ]
        return cls._make(arrays)


def anonymous_file() -> int:
    """Return the descriptor of an empty file in memory that ends with its last user."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("envs")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def reserve(descriptor: int, num_envs: int, space: gymnasium.spaces.Box) -> None:
    """Give the file the size that the arrays of `num_envs` environments need."""
    os.ftruncate(descriptor, _layout(num_envs, space)[1])


def _layout(
    num_envs: int, space: gymnasium.spaces.Box
) -> tuple[list[tuple[int, tuple[int, ...], np.dtype[Any]]], int]:
    """Return (offset in bytes, shape, dtype) of each array, and the size of all."""
    kinds = (np.int64, np.float32, np.bool_, np.bool_, np.float32)
    columns: list[tuple[tuple[int, ...], np.dtype[Any]]]
    columns = [((num_envs,), np.dtype(kind)) for kind in kinds]
    columns += [((num_envs, *space.shape), np.dtype(space.dtype))] * 2
    layout, end = [], 0
    for shape, dtype in columns:
        layout.append((end, shape, dtype))
        size = int(np.prod(shape)) * dtype.itemsize
        end += -(-size // ALIGNMENT) * ALIGNMENT
    return layout, max(end, ALIGNMENT)
