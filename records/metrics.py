"""A run's records: progress, aux_by_horizon, episodes and evaluation.csv, TensorBoard events.

Rows are written every so many environment frames, never by the clock, so that a resumed run
writes the rows that an uninterrupted one does (wall-clock columns aside).
"""

import itertools
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.episodes import Episode
from agents.parallel.ranks import ALONE, Ranks
from agents.state_check import require_form
from records.file_names import EPISODES_FILE, EVALUATION_FILE, HORIZON_FILE, PROGRESS_FILE
from records.tables import EventFile, append_rows, cut_rows

RECENT = 100  # episodes in the mean return that is shown
EMPTY: Mapping[str, Any] = {  # the state of a run that begins
    "row_frames": 0,
    "seconds": 0.0,
    "since_row": 0.0,
    "records": [],
    "recent_returns": [],
    "evaluated": 0,
}


class Record(NamedTuple):
    """A finished episode and when it finished."""

    frames: int
    ret: float
    length: int
    success_seconds: list[float]

    def row(self) -> dict[str, Any]:
        """Return the episode's row in episodes.csv."""
        later = self.success_seconds[1:]
        return {
            "frames": self.frames,
            "return": self.ret,
            "length": self.length,
            "successes": len(self.success_seconds),
            "first_success_seconds": self.success_seconds[0] if self.success_seconds else None,
            "later_success_seconds": float(np.mean(later)) if later else None,
        }


class Metrics:
    """Collects what happens between two rows, and writes the rows.

    `folder`: the run's; `every_frames`: frames between rows; `state`: of `state_dict`, for a run
    that continues. Rows beyond that state, left by a run that was killed, are cut off. `ranks`: all
    of which call `write` and `state_dict`; the first one has the episodes of all, and writes.
    Raises ValueError: the state, or a table that is there, is not one that this class writes.
    """

    def __init__(
        self,
        folder: Path,
        every_frames: int,
        state: Mapping[str, Any] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        state = EMPTY if state is None else {"evaluated": 0, **state}  # version 2 may lack the key
        require_form(state, EMPTY, "the checkpoint's metrics")
        returns = state["recent_returns"]
        require_form(returns, [0.0] * len(returns), "the checkpoint's metrics.recent_returns")
        self.progress_path = folder / PROGRESS_FILE
        self.horizon_path = folder / HORIZON_FILE
        self.episodes_path = folder / EPISODES_FILE
        self.evaluation_path = folder / EVALUATION_FILE
        self.every_frames = every_frames
        self.recent_returns: deque[float] = deque(returns, maxlen=RECENT)
        self._row_frames = state["row_frames"]  # where the last row was written
        self._seconds = state["seconds"]  # trained until the last row, all processes together
        self._row_clock = time.monotonic() - state["since_row"]
        self._begun: tuple[int, float] | None = None  # frames and clock after the first update
        self._records = [_as_record(record) for record in state["records"]]  # not yet written
        self._evaluated = state["evaluated"]  # frames at the last evaluation
        self._ranks = ranks
        self._own: list[Record] = []  # this rank's, not yet among those
        if ranks.is_first:
            for path in (self.progress_path, self.horizon_path, self.episodes_path):
                cut_rows(path, self._row_frames)
            cut_rows(self.evaluation_path, self._evaluated)
            self._events = EventFile(folder, max(self._row_frames, self._evaluated))

    def state_dict(self) -> dict[str, Any]:
        """Return what a run needs to go on between two rows, where a checkpoint may fall."""
        self._gather()
        return {
            "row_frames": self._row_frames,
            "seconds": self._seconds,
            "since_row": time.monotonic() - self._row_clock,
            "records": [list(record) for record in self._records],
            "recent_returns": list(self.recent_returns),
            "evaluated": self._evaluated,
        }

    @property
    def recent_return(self) -> float | None:
        """The mean return of the last RECENT episodes; None before the first."""
        returns = self.recent_returns
        return sum(returns) / len(returns) if returns else None

    def add(self, frames: int, episodes: Iterable[Episode]) -> None:
        """Take in the episodes that finished in the rollout that ended at `frames`."""
        self._begun = self._begun or (frames, time.monotonic())
        for episode in episodes:
            seconds = [float(s) for s in episode.success_seconds]
            self._own.append(Record(frames, float(episode.ret), int(episode.length), seconds))

    def _gather(self) -> None:
        """Let the first rank have the new episodes of all, in an order that no meeting decides."""
        of_ranks, self._own = self._ranks.gather(self._own), []
        new = sorted(itertools.chain(*of_ranks), key=lambda record: record.frames)
        self._records += new
        self.recent_returns.extend(record.ret for record in new)

    def due(self, frames: int) -> bool:
        """Return whether a row should be written at `frames`."""
        return frames // self.every_frames > self._row_frames // self.every_frames

    def write(self, frames: int, learned: Mapping[str, float | list[float]]) -> dict[str, Any]:
        """Write a row of all that came since the last one, and return it.

        `learned`: the learner's averages; lists (a value per horizon step) go to their own file.
        Raises OSError, where there is no space left, say; rows already written stay.
        """
        self._gather()
        now = time.monotonic()
        seconds, self._row_clock = now - self._row_clock, now
        self._seconds += seconds
        row = {
            "frames": frames,
            "seconds": round(self._seconds, 3),
            "frames_per_second": self._speed(frames, now, seconds),
            **_episode_statistics(self._records),
            **{key: value for key, value in learned.items() if not isinstance(value, list)},
        }
        if self._ranks.is_first:
            append_rows(self.episodes_path, [record.row() for record in self._records])
            append_rows(self.horizon_path, _horizon_rows(frames, learned))
            append_rows(self.progress_path, [row])
            self._events.write(frames, row)
        self._row_frames, self._records, self._begun = frames, [], (frames, now)
        return row

    def evaluation_due(self, frames: int, every_frames: int) -> bool:
        """Return whether to evaluate at `frames`, once in `every_frames`; never if that is 0."""
        return evaluation_due(self._evaluated, frames, every_frames)

    def write_evaluation(self, frames: int, episodes: Sequence[Episode]) -> dict[str, Any]:
        """Write the row of an evaluation at `frames`, and return it. Raises OSError."""
        statistics = _episode_statistics(episodes)
        row = {"frames": frames, **statistics}
        if self._ranks.is_first:
            append_rows(self.evaluation_path, [row])
            shown = {f"evaluation/{key}": statistics[key] for key in statistics}
            self._events.write(frames, shown)
        self._evaluated = frames
        return row

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside the block is not training's: neither its seconds nor its speed count it."""
        begin = time.monotonic()
        try:
            yield
        finally:
            away = time.monotonic() - begin
            self._row_clock += away
            if self._begun is not None:
                self._begun = self._begun[0], self._begun[1] + away

    def _speed(self, frames: int, now: float, seconds: float) -> float:
        """Frames per second since the last row, or since the first update, which compiles."""
        start, clock = self._begun or (frames, now)
        if frames == start:  # the first update is all that there was
            start, clock = self._row_frames, now - seconds
        return round((frames - start) / max(now - clock, 1e-9), 1)


def evaluation_due(evaluated: int, frames: int, every_frames: int) -> bool:
    """Return whether to evaluate at `frames` a run that was `evaluated` last at those frames."""
    return every_frames > 0 and frames // every_frames > evaluated // every_frames


def is_finished(state: Mapping[str, Any], total_frames: int, evaluate_frames: int) -> bool:
    """Whether the run of a checkpoint has all its frames, and the evaluation at their end.

    `state`: of `checkpoint.load`; `evaluate_frames`: from one evaluation to the next; 0: none.
    """
    frames, evaluated = state["learner"]["frames"], state["metrics"].get("evaluated", 0)
    return frames >= total_frames and not evaluation_due(evaluated, frames, evaluate_frames)


def _as_record(values: Any) -> Record:
    """Return a record of `Metrics.state_dict`. Raises ValueError: it is none."""
    require_form(values, [0, 0.0, 0, []], "the checkpoint's metrics.records")
    require_form(values[3], [0.0] * len(values[3]), "the checkpoint's metrics.records")
    return Record(*values)


def _horizon_rows(
    frames: int, learned: Mapping[str, float | list[float]]
) -> list[dict[str, float]]:
    """Return a row per prediction step k = 1..K; none without an auxiliary loss that has them.

    What it does not measure, of the two, is nan.
    """
    measured = [learned.get(f"aux/{name}_by_horizon", []) for name in ("loss", "accuracy")]
    columns = [x if isinstance(x, list) else [x] for x in measured]
    rows = enumerate(itertools.zip_longest(*columns, fillvalue=math.nan), 1)
    return [
        {"frames": frames, "k": k, "loss": loss, "accuracy": accuracy}
        for k, (loss, accuracy) in rows
    ]


def _episode_statistics(records: Sequence[Record | Episode]) -> dict[str, Any]:
    """Return the columns about episodes. All later successes weigh the same in their mean."""
    returns = [record.ret for record in records]
    firsts = [record.success_seconds[0] for record in records if record.success_seconds]
    laters = [seconds for record in records for seconds in record.success_seconds[1:]]
    return {
        "episodes": len(returns),
        "return_mean": float(np.mean(returns)) if returns else None,
        "length_mean": float(np.mean([r.length for r in records])) if records else None,
        "return_std": float(np.std(returns)) if returns else None,
        "success_first_seconds": float(np.mean(firsts)) if firsts else None,
        "success_later_seconds": float(np.mean(laters)) if laters else None,
    }
