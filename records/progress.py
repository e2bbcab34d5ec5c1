"""What a run shows: a progress bar on a terminal, a line per log row elsewhere."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TextIO, cast

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text


class Unbreakable:
    """A text stream that goes on into nothing when its other end is closed, as after `| head`.

    `standard_streams` puts it in the place of standard output and standard error.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or do nothing where nobody listens."""
        with self._until_closed():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing where nobody listens."""
        with self._until_closed():
            self._stream.flush()

    @contextmanager
    def _until_closed(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # a closed pipe or terminal, a full disk
            with suppress(OSError), open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), self._stream.fileno())


@contextmanager
def standard_streams() -> Iterator[None]:
    """Inside the block, a closed terminal or pipe raises nothing where something is printed."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream and cast(TextIO, Unbreakable(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class TwoLines(Progress):
    """The bar, and a line of text below it: together they are too wide for many a terminal."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return what is drawn, from top to bottom."""
        for task in self.tasks:
            yield self.make_tasks_table([task])
            yield Text(task.fields["text"])


class _Display:
    """A bar between `__enter__` and `__exit__`, on a terminal."""

    def __init__(self, bar: Progress) -> None:
        self.console = bar.console
        self._bar = bar

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()


class ProgressDisplay(_Display):
    """Shows how far the run `title` is, between `__enter__` and `__exit__`.

    `random_return`: what a uniform random policy earns per episode, to compare with, where known.
    """

    def __init__(
        self,
        title: str,
        total_frames: int,
        frames: int,
        random_return: float | None = None,
        console: Console | None = None,
    ) -> None:
        console = console or Console()
        bar = TwoLines(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            console=console,
            disable=not console.is_terminal,
            refresh_per_second=2,
        )
        super().__init__(bar)
        self._title = title
        self._total_frames = total_frames
        self._reference = "" if random_return is None else f" (random policy {random_return:.2f})"
        self._start: tuple[int, float] | None = None  # frames and clock after the first update
        text = "waiting for the first row of progress.csv ..."
        self._task = self._bar.add_task(title, total=total_frames, completed=frames, text=text)

    def advance(self, frames: int) -> None:
        """Move the bar. The first update compiles, and is left out of the speed."""
        self._start = self._start or (frames, time.monotonic())
        self._bar.update(self._task, completed=frames)

    def show(self, row: Mapping[str, Any], recent_return: float | None) -> None:
        """Show a log `row`, and the mean return of recent episodes (records.metrics)."""
        frames = row["frames"]
        start_frames, start = self._start or (frames, 0.0)
        rate = row["frames_per_second"]  # also where all that there was is the first update
        if frames > start_frames:
            rate = (frames - start_frames) / max(time.monotonic() - start, 1e-9)
        left = (self._total_frames - frames) / max(rate, 1e-9)
        mean = "none yet" if recent_return is None else f"{recent_return:.2f}"
        pace = (
            f"{frames:,} of {self._total_frames:,} frames | "
            f"{row['frames_per_second']:,.0f} frames/s"
        )
        rest = f"return {mean}{self._reference} | {duration(left)} left"
        text = f"{pace} | {rest}"
        if self.console.is_terminal:
            if len(text) > self.console.width:
                text = f"{pace}\n{rest}"
            self._bar.update(self._task, completed=frames, text=text)
        else:
            print(f"{self._title} | {text}", flush=True)

    def show_evaluation(self, row: Mapping[str, Any]) -> None:
        """Show an evaluation's `row` (records.metrics), above the bar where there is one."""
        text = (
            f"{self._title} | {row['frames']:,} frames | evaluation: return "
            f"{row['return_mean']:.2f}{self._reference} over {row['episodes']} episodes"
        )
        if self.console.is_terminal:
            self.console.print(text, markup=False, highlight=False)
        else:
            print(text, flush=True)


def duration(seconds: float) -> str:
    """Return `seconds` as a person would say it: 45 s, 12 min, 3 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class EpisodeCount(_Display):
    """Shows how many of `total` episodes have ended: a bar, or a line per tenth off terminals."""

    def __init__(self, total: int, console: Console | None = None) -> None:
        console = console or Console()
        super().__init__(Progress(console=console, disable=not console.is_terminal, transient=True))
        self._total = total
        self._shown = 0
        self._task = self._bar.add_task("episodes", total=total)

    def show(self, ended: int) -> None:
        """Show that `ended` episodes have ended."""
        if ended == self._shown:
            return
        self._bar.update(self._task, completed=ended)
        if not self.console.is_terminal and 10 * ended // self._total > (
            10 * self._shown // self._total
        ):
            print(f"{ended} of {self._total} episodes", flush=True)
        self._shown = ended
