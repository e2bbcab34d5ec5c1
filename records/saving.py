"""When a run is saved, and which of its checkpoints are kept."""

import time
from collections.abc import Mapping
from typing import Any, Protocol

import torch

from agents.parallel.ranks import ALONE, Ranks
from records import checkpoint
from records.metrics import Metrics
from records.run_folder import RunFolder


class Saved(Protocol):
    """A learner, as far as it is saved."""

    @property
    def frames(self) -> int:
        """Environment frames collected so far."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on; `agent`: the network's parameters."""


class Saving:
    """Writes a run's checkpoints; `frames` is where the last one was taken.

    Args:
        folder: the run's, held by this process.
        learner, metrics: what is saved.
        every_frames: save where a multiple of so many frames is passed ..
        every_minutes: .. and where so many minutes have gone by since the last time.
        keep: how many of the first kind stay, beside the latest; see `checkpoint.keep`.
        ranks: all of which call `save` and `save_if_due`; the first one writes.
    """

    def __init__(
        self,
        folder: RunFolder,
        learner: Saved,
        metrics: Metrics,
        *,
        every_frames: int,
        every_minutes: float,
        keep: int = 0,
        ranks: Ranks = ALONE,
    ) -> None:
        self.frames = learner.frames
        self._folder, self._learner, self._metrics = folder, learner, metrics
        self._every_frames, self._every_seconds = every_frames, 60 * every_minutes
        self._keep, self._ranks = keep, ranks
        self._clock = time.monotonic()

    def save(self) -> None:
        """Save now. Raises FloatingPointError: a parameter is not finite. OSError, FolderLostError.

        Then the last checkpoint is as it was.
        """
        learner, metrics = self._learner.state_dict(), self._metrics.state_dict()
        _require_finite(learner["agent"])
        if self._ranks.first:
            self._folder.check_held()
            state = {"learner": learner, "metrics": metrics}
            checkpoint.save(self._folder.checkpoint_path, state)
        self._ranks.wait_for_first()
        self.frames, self._clock = self._learner.frames, time.monotonic()

    def save_if_due(self) -> None:
        """Save where it is time to; raises as `save` does."""
        frames = self._learner.frames
        passed = frames // self._every_frames > self.frames // self._every_frames
        late = time.monotonic() - self._clock >= self._every_seconds
        if any(self._ranks.agree(passed, late)):
            self.save()
        if passed and self._keep and self._ranks.first:
            checkpoint.keep(self._folder.path, frames, self._metrics.recent_return, self._keep)


def _require_finite(parameters: Mapping[str, torch.Tensor]) -> None:
    bad = [name for name, value in parameters.items() if not torch.isfinite(value).all()]
    if bad:
        raise FloatingPointError(f"parameters are not finite: {', '.join(bad)}")
