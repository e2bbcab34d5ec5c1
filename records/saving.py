"""When a run is saved, and which of its checkpoints are kept."""

import time
from collections.abc import Mapping
from typing import Any, Protocol

import torch

from agents.parallel.ranks import ALONE, Ranks
from records import checkpoint
from records.config import LogConfig
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
        config: after how many frames, and at the latest how many minutes, it is time to, and how
            many checkpoints stay beside the latest; see `checkpoint.keep`.
        ranks: all of which call `save` and `save_if_due`; the first one writes.
    """

    def __init__(
        self,
        folder: RunFolder,
        learner: Saved,
        metrics: Metrics,
        config: LogConfig,
        ranks: Ranks = ALONE,
    ) -> None:
        self.frames = learner.frames
        self._folder, self._learner, self._metrics = folder, learner, metrics
        self._config, self._ranks = config, ranks
        self._clock = time.monotonic()

    def save(self) -> None:
        """Save now. Raises FloatingPointError: a parameter is not finite. OSError, FolderLostError.

        Then the last checkpoint is as it was.
        """
        learner, metrics = self._learner.state_dict(), self._metrics.state_dict()
        _require_finite(learner["agent"])
        if self._ranks.is_first:
            self._folder.check_held()
            state = {"learner": learner, "metrics": metrics}
            checkpoint.save(self._folder.checkpoint_path, state)
        self._ranks.barrier()
        self.frames, self._clock = self._learner.frames, time.monotonic()

    def save_if_due(self) -> None:
        """Save where it is time to; raises as `save` does."""
        frames = self._learner.frames
        every, keep = self._config.checkpoint_frames, self._config.keep_checkpoints
        passed = frames // every > self.frames // every
        late = time.monotonic() - self._clock >= 60 * self._config.checkpoint_minutes
        if any(self._ranks.all_reduce_max(passed, late)):
            self.save()
        if passed and keep and self._ranks.is_first:
            checkpoint.keep(self._folder.path, frames, self._metrics.recent_return, keep)


def _require_finite(parameters: Mapping[str, torch.Tensor]) -> None:
    bad = [name for name, value in parameters.items() if not torch.isfinite(value).all()]
    if bad:
        raise FloatingPointError(f"parameters are not finite: {', '.join(bad)}")
