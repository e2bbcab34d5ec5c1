"""Where time goes: exclusive times of calls that are nested in each other."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Self

from torch.profiler import record_function

Path = tuple[str, ...]  # names of the calls that are open, the outermost first
Clock = Callable[[], float]


class Stopwatch:
    """Times methods of live objects from outside, while it is open as a context manager.

    `seconds[path]` is the time spent in the innermost call of the path less that of the watched
    calls within it, so that all entries sum to the time of the outermost calls. Calls may change
    threads as long as one waits for the other, as the learner does with its first shard.
    `clock` gives seconds. With `trace`, each call also is a named range of PyTorch's profiler.
    """

    def __init__(self, clock: Clock = time.perf_counter, trace: bool = False) -> None:
        self.clock = clock
        self.seconds: defaultdict[Path, float] = defaultdict(float)
        self.calls: defaultdict[Path, int] = defaultdict(int)
        self._trace = trace
        self._path: Path = ()
        self._since = 0.0
        self._replaced: list[tuple[object, str, Any]] = []

    def watch(self, owner: object, method: str, name: str) -> None:
        """Time `owner.method`, a method of an object or a function of a module, as `name`."""
        original = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.span(name):
                return original(*args, **kwargs)

        self.replace(owner, method, timed)

    def replace(self, owner: object, method: str, function: Callable[..., Any]) -> None:
        """Call `function` instead of `owner.method`, until the stopwatch is closed."""
        # An object's own attribute hides its class's method; a module's function is put back.
        self._replaced.append((owner, method, vars(owner).get(method)))
        setattr(owner, method, function)

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Time what happens inside as `name`."""
        outer = self._path
        self._switch((*outer, name))
        self.calls[self._path] += 1
        range_: AbstractContextManager[Any] = (
            record_function(name) if self._trace else nullcontext()
        )
        try:
            with range_:
                yield
        finally:
            self._switch(outer)

    def _switch(self, path: Path) -> None:
        """Book the time until now to the path that was open."""
        now = self.clock()
        if self._path:
            self.seconds[self._path] += now - self._since
        self._path, self._since = path, now

    def by_part(self, part: Callable[[Path], str]) -> dict[str, float]:
        """Sum the seconds of all paths that belong to the same part."""
        sums: defaultdict[str, float] = defaultdict(float)
        for path, seconds in self.seconds.items():
            sums[part(path)] += seconds
        return dict(sums)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Put all methods back."""
        for owner, method, own in reversed(self._replaced):
            if own is None:
                delattr(owner, method)
            else:
                setattr(owner, method, own)
        self._replaced.clear()
