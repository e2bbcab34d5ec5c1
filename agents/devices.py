"""Which processor a run uses, and its random numbers there."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

CPU = torch.device("cpu")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # <malloc.h>


def choose_device(name: str) -> torch.device:
    """Return the device for "cpu", "cuda", or "auto" (a GPU where there is one).

    Raises ValueError: a GPU is asked for and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is 'cuda', but PyTorch finds no GPU here; allowed: auto, cpu.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def prepare_cpu(threads: int, device: torch.device = CPU) -> str:
    """Use `threads` cores for single operations, and the faster exact matrix product.

    `device`: where the network runs; on a GPU the product stays as it is. Returns the name of what
    multiplies float32 matrices on the CPU from now on: oneDNN where it is as exact as the default.
    PyTorch's precision "medium" routes CPU products to oneDNN, which is twice as fast as MKL on
    AMD processors. On processors with bfloat16 matrix units it may round the factors to bfloat16:
    hence the check against float64.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    default = "PyTorch's default"
    if device.type != "cpu":
        return default  # the precision is the GPU's as well, which would round to TF32
    a, b = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0)).unbind()
    exact = a.double() @ b.double()
    torch.set_float32_matmul_precision("medium")
    error = ((a @ b).double() - exact).abs().max() / exact.abs().max()
    if error < 1e-5:
        return "oneDNN"
    torch.set_float32_matmul_precision("highest")
    return default


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next large tensor, where it is glibc.

    Otherwise it hands it back to the kernel, which then clears every page of the next tensor: on
    virtual machines that takes longer than what the tensors are computed for.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)  # arenas of other threads than the main one are given back anyway
        mallopt(M_MMAP_THRESHOLD, 32 * 2**20)  # the largest that is allowed
        mallopt(M_TRIM_THRESHOLD, 2**30)


def prepare_worker() -> None:
    """Use one core in this thread or process, and take numbers too small to matter as 0.

    Denormal numbers, the smallest of all, slow products down.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let each of PyTorch's operations use this thread alone, as `prepare_worker` does for good.

    Its other threads go on looking for work for milliseconds after an operation, on cores that the
    shards of a batch need.
    """
    before = torch.get_num_threads()
    prepare_worker()
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(False)


def new_generator(seed: int, stream: int, device: torch.device) -> torch.Generator:
    """Random numbers on `device`: one of the streams of `seed`, numbered."""
    state = np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state >> 1))


def restore_generator(generator: torch.Generator, state: Tensor) -> None:
    """Continue the random numbers of `state`; those of another kind of device begin anew."""
    if len(state) == len(generator.get_state()):
        generator.set_state(state)


class SideStream:
    """Copies to a GPU that run beside its other work; on a CPU plain copies.

    "The other work" is that of the stream which is the current one when a method is called.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = None if device.type == "cpu" else torch.cuda.Stream(device)

    def begin(self) -> None:
        """Hold copies from now on back until the other work queued so far is done."""
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))

    def copy(self, target: Tensor, source: Tensor) -> None:
        """Queue a copy; until the other work has waited for it, `source` must stay as it is."""
        with torch.cuda.stream(self._stream):  # None: the current one
            target.copy_(source, non_blocking=True)

    def finish(self) -> None:
        """Hold other work from now on back until the copies queued so far are done."""
        if self._stream is not None:
            torch.cuda.current_stream(self._stream.device).wait_stream(self._stream)


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS cannot pin a process to cores
