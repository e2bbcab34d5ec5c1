"""The gradient's sum over the ranks, which carries along what each of them measured."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from agents.parallel.ranks import Ranks
from agents.parallel.shards import split


class GradientSum:
    """Sums over `ranks`, which share `num_envs` environments, of tensors on `device`."""

    def __init__(self, ranks: Ranks, num_envs: int, device: torch.device) -> None:
        self._ranks = ranks
        parts = [[(own.stop - own.start) / num_envs] for own in split(num_envs, ranks.count)]
        self._weights = torch.tensor(parts, device=device)  # [R, 1]

    def add_up(
        self, gradients: Sequence[Tensor], own: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Replace the gradients by their sums over the ranks.

        own: float32 tensors, what this rank measured. Returns what each rank did, [R, ...] by name,
        and its mean by the ranks' number of environments, where nan is "not measured".
        """
        row = torch.cat([x.detach().reshape(-1) for x in own.values()])
        rows = row.new_zeros(self._ranks.count, len(row))  # each rank fills in its own
        rows[self._ranks.number] = row
        self._ranks.add_up([*gradients, rows])
        measured = ~rows.isnan()
        totals = torch.where(measured, self._weights * rows, 0.0).sum(0)
        means = totals / (self._weights * measured).sum(0)
        return _by_name(own, rows), {k: x[0] for k, x in _by_name(own, means[None]).items()}


def _by_name(own: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """The columns of a table in whose rows such values stand one after the other: [R, ...]."""
    columns = rows.split([x.numel() for x in own.values()], dim=1)
    return {
        name: column.reshape(-1, *x.shape)
        for (name, x), column in zip(own.items(), columns, strict=True)
    }
