"""Threads that work on parts of a batch together, step after step.

A step of a batch takes a few hundred microseconds, and waking a sleeping thread takes up to as long
on a virtual machine. So threads that wait for work, or for each other, look at a counter in memory
for a while before they sleep.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from envs.labsim.world import kernel

# Looks at a counter, of which a current processor does some four in a nanosecond: a thread sleeps
# after about 0.2 ms without work. Longer would take time from whoever chooses the actions.
PATIENCE = 800_000
# A thread that saw its work begin looks on for about 20 us: by then the thread that began it is in
# a compiled kernel and has let go of Python's lock. Of two that want it at once, one would sleep.
# One that saw the others finish gives them a quarter of that.
COURTESY = 80_000

STARTED = 0  # the counter of parts of work that were begun; the others count what a thread finished


@intrinsic
def _load(typing_context: Any, counters: Any, index: Any) -> Any:
    """counters[index], read from memory each time, and all that was written before it."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load_atomic(builder.gep(array.data, [arguments[1]]), "acquire", 8)

    return types.int64(counters, types.intp), codegen


@kernel
def _reached(counters, index, goal, looks, courtesy):  # type: ignore[no-untyped-def]
    """Whether a counter reaches a goal while it is looked at so many times."""
    for _ in range(looks):
        if _load(counters, index) >= goal:
            for _ in range(courtesy):
                _load(counters, index)
            return True
    return False


def _rest(k: int) -> None:
    """Do nothing: what a crew without work does."""


class Crew:
    """The calling thread and `size - 1` others, which each do their part of a piece of work."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._counters = np.zeros(1 + size, np.int64)
        self._wake = threading.Condition()
        self._work: Callable[[int], None] | None = None  # None ends the threads
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._serve, args=(k,), daemon=True) for k in range(1, size)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, work: Callable[[int], None]) -> None:
        """Call work(0) .. work(size - 1), each in a thread of its own; wait for all of them.

        Raises what one of them raised.
        """
        if self.size == 1:
            work(0)
            return
        self._begin(work)
        goal = int(self._counters[STARTED])
        try:
            work(0)
        finally:
            for k in range(1, self.size):
                while not _reached(self._counters, 1 + k, goal, PATIENCE, COURTESY // 4):
                    pass
            self._work = _rest  # no reference to the caller stays here, or he would live for ever
        if self._errors:
            raise self._errors.pop()

    def close(self) -> None:
        """End the other threads."""
        if self._threads:
            self._begin(None)
            for thread in self._threads:
                thread.join()
            self._threads = []

    def _begin(self, work: Callable[[int], None] | None) -> None:
        self._work = work
        with self._wake:
            self._counters[STARTED] += 1
            self._wake.notify_all()

    def _serve(self, k: int) -> None:
        """Main function of thread k: do its part of each piece of work."""
        for piece in range(1, 2**62):
            if not _reached(self._counters, STARTED, piece, PATIENCE, COURTESY):
                with self._wake:
                    self._wake.wait_for(lambda: self._counters[STARTED] >= piece)  # noqa: B023
            if self._work is None:
                return
            try:
                self._work(k)
            except BaseException as error:
                self._errors.append(error)
            finally:
                self._counters[1 + k] = piece
