"""Ctrl-C and SIGTERM: a request that the training loop answers after its update, then the end.

The hang-up of a terminal that was closed is no such request: training goes on (see
`progress.Unbreakable`), as the records are on disk.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from agents.parallel.ranks import Ranks


class Interrupted(BaseException):
    """The process was asked to end. `exit_code`: 130 after Ctrl-C, 143 after SIGTERM.

    A BaseException, as KeyboardInterrupt is, so that no handler of errors swallows it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class StopSignals:
    """Between `__enter__` and `__exit__`, SIGINT and SIGTERM raise Interrupted.

    A hang-up is ignored, here and in the processes that are started meanwhile.
    Inside `with signals.deferred():` the first one only sets `requested`, so that the caller can
    finish what it is at and call `raise_if_requested`; a second one raises at once, unless
    `patient`: torchrun hands a signal on that its ranks may have had already, as from Slurm.
    Once one has been raised the end is under way, and further ones are ignored: `timeout` and
    impatient people send two.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self.patient = False
        self._deferred = False
        self._ending = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is not threading.main_thread():
            return self  # signals are the main thread's alone: they do what they did before
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._receive)
        self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold the first signal back; at the end of the block it is raised if nobody did."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        self._ending |= self.requested is not None
        self.raise_if_requested()

    def requested_on(self, ranks: Ranks) -> bool:
        """Whether a signal was held back on any of the ranks; then it counts as so on all."""
        (number,) = ranks.all_reduce_max(self.requested or 0)
        if number:
            self.requested = number
        return number > 0

    def raise_if_requested(self) -> None:
        """Raise Interrupted if a signal was held back."""
        if self.requested is not None:
            raise Interrupted(self.requested)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._deferred and (self.requested is None or self.patient):
            self.requested = number
        elif not self._ending:
            self._ending = True
            raise Interrupted(number)
