"""Evaluation within a run: when its episodes are played, by whom, and where they are written."""

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from agents.episodes import Episode
from agents.parallel.ranks import ALONE, Ranks
from records.metrics import Metrics
from records.processes import no_main_module
from records.progress import ProgressDisplay
from records.signals import Interrupted, StopSignals

PATIENCE_S = 12 * 3600.0  # of the ranks that wait for the one that plays


class Training(Protocol):
    """A learner, as far as an evaluation asks."""

    @property
    def frames(self) -> int:
        """Environment frames collected so far."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""


class Evaluating:
    """Plays evaluation's episodes once in so many frames of training, and records them.

    Args:
        learner: in training.
        metrics, display: where the results go.
        play: plays the episodes with the agent as it is; it calls its argument at every step.
        every_frames: environment frames from one evaluation to the next; 0: none.
        signals: one ends the episodes without a record, except at the run's end; the run that
            continues plays them.
        ranks: all of which call `evaluate_if_due`; the first one plays.
    """

    def __init__(
        self,
        learner: Training,
        metrics: Metrics,
        display: ProgressDisplay,
        play: Callable[[Callable[[int], None]], list[Episode]],
        every_frames: int,
        signals: StopSignals,
        ranks: Ranks = ALONE,
    ) -> None:
        self._learner, self._metrics, self._display = learner, metrics, display
        self._every_frames = every_frames
        self._play, self._signals, self._ranks = play, signals, ranks

    def evaluate_if_due(self) -> None:
        """Play and record where it is time to. Raises what `play` does, and OSError."""
        frames = self._learner.frames
        if not self._metrics.evaluation_due(frames, self._every_frames):
            return
        with self._metrics.paused():
            episodes = self._ranks.broadcast_object(self._episodes, PATIENCE_S)
            if episodes is not None:
                row = self._metrics.write_evaluation(frames, episodes)
                self._display.show_evaluation(row)

    def _episodes(self) -> list[Episode] | None:
        """The episodes; None where a signal ended them."""
        with suppress(Interrupted), no_main_module():
            return self._play(self._stop_at_signal)
        return None

    def _stop_at_signal(self, _: int) -> None:
        if not self._learner.finished:
            self._signals.raise_if_requested()
