"""Means of what a training step measures, kept on the device until somebody asks."""

from typing import Any

import torch
from torch import Tensor


class RunningMeans:
    """Means since the last `pop`, by name; nan counts as "not measured"."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor] = {}

    def add(self, **values: Tensor) -> None:
        """Add scalars, or vectors that are averaged entry by entry. Does not wait for a GPU."""
        for name, value in values.items():
            known, value = ~torch.isnan(value), value.detach()
            self._sums[name] = self._sums.get(name, 0.0) + torch.where(known, value, 0.0)
            self._counts[name] = self._counts.get(name, 0) + known.long()

    def pop(self) -> dict[str, float | list[float]]:
        """Return the means, nan where nothing was measured, and begin anew: one transfer."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums, self._counts = {}, {}
        if not means:
            return {}
        flat = torch.cat([mean.reshape(-1) for mean in means.values()]).tolist()
        result: dict[str, float | list[float]] = {}
        for name, mean in means.items():
            values, flat = flat[: mean.numel()], flat[mean.numel() :]
            result[name] = values if mean.dim() else values[0]
        return result

    def state_dict(self) -> dict[str, Any]:
        """Return sums and counts."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Continue from `state`, on `device`. Raises ValueError: it has another form."""
        if {name: total.shape for name, total in state["sums"].items()} != {
            name: count.shape for name, count in state["counts"].items()
        }:
            raise ValueError("means.sums and means.counts differ in form")
        self._sums = {name: total.to(device) for name, total in state["sums"].items()}
        self._counts = {name: count.to(device) for name, count in state["counts"].items()}
