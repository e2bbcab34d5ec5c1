"""Threads that step and draw parts of a batch together, step after step.

A step of a batch takes a few hundred microseconds, and waking a sleeping thread takes up to as long
on a virtual machine. So threads that wait for work, or for each other, look at a counter in memory
for a while before they sleep. From one step to the next they stay in compiled code: there they
need not wait for each other at Python's lock.
"""

import threading
from itertools import pairwise
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numpy.typing import NDArray

from envs.labsim.env_arrays import EnvArrays, step_and_draw
from envs.labsim.world import kernel

# Looks at a counter, of which a current processor does some four in a nanosecond: a thread sleeps
# after about 0.2 ms without work. Longer would take time from whoever chooses the actions.
PATIENCE = 800_000

STARTED = 0  # the counter of orders that were given; the others count what a thread carried out
FRAMES, ADDRESS = 0, 1  # of an order: how many frames, and where the image of environment 0 goes
END = -1  # instead of a number of frames: there will be no further order


@intrinsic
def _load(typing_context: Any, counters: Any, index: Any) -> Any:
    """Read counters[index] from memory; what was written before its `_store` can be read, too."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load_atomic(builder.gep(array.data, [arguments[1]]), "acquire", 8)

    return types.int64(counters, types.intp), codegen


@intrinsic
def _store(typing_context: Any, counters: Any, index: Any, value: Any) -> Any:
    """Write counters[index] to memory, after all that was written before; see `_load`."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(array.data, [arguments[1]])
        builder.store_atomic(arguments[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(counters, types.intp, types.int64), codegen


@intrinsic
def _at_address(typing_context: Any, array: Any, address: Any) -> Any:
    """An array like the given one, whose memory begins at an address."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        make = context.make_array(signature.args[0])
        like, new = make(context, builder, arguments[0]), make(context, builder)
        data = builder.inttoptr(arguments[1], like.data.type)
        populate_array(new, data, like.shape, like.strides, like.itemsize, meminfo=None)
        return new._getvalue()

    return array(array, types.int64), codegen


@kernel
def _give_order(counters):  # type: ignore[no-untyped-def]
    """Tell all threads that there is a new order; counters: i64 [size]."""
    _store(counters, STARTED, counters[STARTED] + 1)


@kernel
def _all_are_done(counters):  # type: ignore[no-untyped-def]
    """Whether all threads carry out the last order while they are looked at for some time."""
    k = 1
    for _ in range(PATIENCE):
        while k < len(counters) and _load(counters, k) == counters[STARTED]:
            k += 1
        if k == len(counters):
            return True
    return False


@kernel
def _carry_out_orders(arrays, order, counters, k, like, start, stop):  # type: ignore[no-untyped-def]
    """Do the part start..stop of each order, until there is none for a while, or the last.

    order: i64 [2]. counters: i64 [size], of which k belongs to this thread. like: u8 [B, H, W, 3],
    an array of the form of those whose address orders give.
    """
    looks = 0
    while looks < PATIENCE:
        if _load(counters, STARTED) == counters[k]:
            looks += 1
            continue
        if order[FRAMES] == END:
            return
        looks = 0
        step_and_draw(arrays, order[FRAMES], _at_address(like, order[ADDRESS]), start, stop)
        _store(counters, k, counters[k] + 1)


class ThreadTeam:
    """The calling thread and others, which each step and draw a part of a batch.

    Args:
        arrays: of a batch of B environments.
        size: the number of threads, at most B.
        image_shape: [H, W, 3].
    """

    def __init__(self, arrays: EnvArrays, size: int, image_shape: tuple[int, ...]) -> None:
        num_envs = len(arrays.players)
        bounds = np.linspace(0, num_envs, size + 1).astype(int).tolist()
        self._arrays = arrays
        self._parts = list(pairwise(bounds))
        self._like = np.empty((num_envs, *image_shape), np.uint8)  # for its form, never touched
        self._order = np.zeros(2, np.int64)
        self._counters = np.zeros(size, np.int64)
        self._wake = threading.Condition()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._serve, args=(k,), daemon=True) for k in range(1, size)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, num_frames: int, obs: NDArray[np.uint8]) -> None:
        """Advance all environments by some frames, or none, and draw them into obs.

        obs: u8 [B, H, W, 3]. Raises ValueError if it has another shape or type, is not contiguous
        in memory or may not be written; and what one of the threads raised.
        """
        like, fits = self._like, obs.flags.c_contiguous and obs.flags.writeable
        if obs.shape != like.shape or obs.dtype != like.dtype or not fits:
            kind = "" if fits else "read-only " if obs.flags.c_contiguous else "non-contiguous "
            raise ValueError(
                f"obs is {kind}{obs.dtype} {obs.shape}; "
                f"needed is contiguous, writable {like.dtype} {like.shape}"
            )
        self._errors.clear()
        try:
            if self._threads:
                self._order_others(num_frames, obs.__array_interface__["data"][0])
            step_and_draw(self._arrays, num_frames, obs, *self._parts[0])
        finally:
            # Nothing that happens here may let a thread write to obs later: it may be gone then.
            while self._threads and not _all_are_done(self._counters):
                pass
        if self._errors:
            raise self._errors.pop()  # an error that stayed here would keep its callers alive

    def close(self) -> None:
        """End the other threads; what comes afterwards the calling thread does alone."""
        if self._threads:
            self._order_others(END, 0)
            for thread in self._threads:
                thread.join()
            self._threads = []
            self._counters = np.zeros(1, np.int64)
            self._parts = [(0, len(self._arrays.players))]

    def _order_others(self, num_frames: int, address: int) -> None:
        with self._wake:
            self._order[:] = num_frames, address
            self._wake.notify_all()  # threads that sleep go on when the lock is free
            _give_order(self._counters)  # last: after an interrupt there is an order, or none

    def _serve(self, k: int) -> None:
        """Main function of thread k."""
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._counters[STARTED] > self._counters[k])
            if self._order[FRAMES] == END:
                return
            try:
                _carry_out_orders(
                    self._arrays, self._order, self._counters, k, self._like, *self._parts[k]
                )
            except BaseException as error:
                self._errors.append(error)
                self._counters[k] += 1  # nobody shall wait for this part
