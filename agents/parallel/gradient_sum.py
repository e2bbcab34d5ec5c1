"""The gradient's sum over the ranks, which carries along what each of them measured."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from agents.a2c import A2CLoss
from agents.parallel.ranks import Ranks
from agents.parallel.shards import split


class GradientSum:
    """Sums over `ranks`, which share `num_envs` environments, of tensors on `device`."""

    def __init__(self, ranks: Ranks, num_envs: int, device: torch.device) -> None:
        self._ranks = ranks
        parts = [[(own.stop - own.start) / num_envs] for own in split(num_envs, ranks.world_size)]
        self._weights = torch.tensor(parts, device=device)  # [R, 1]

    def add_up(
        self,
        gradients: Sequence[Tensor],
        loss: A2CLoss,
        aux_loss: Tensor,
        metrics: Mapping[str, Tensor],
    ) -> tuple[A2CLoss, Tensor, dict[str, Tensor]]:
        """Replace the gradients by their sums over the ranks.

        Returns the losses of each rank, [R], and the metrics' means over the environments, where
        nan is "not measured"; float32, like all that is given.
        """
        own = [*loss, aux_loss, *metrics.values()]
        row = torch.cat([x.detach().reshape(-1) for x in own])
        rows = row.new_zeros(self._ranks.world_size, len(row))  # each rank fills in its own
        rows[self._ranks.rank] = row
        self._ranks.all_reduce_([*gradients, rows])
        columns = rows.split([x.numel() for x in own], dim=1)
        *of_loss, of_aux_loss = (x.squeeze(1) for x in columns[: len(loss) + 1])
        of_metrics = zip(metrics.items(), columns[len(loss) + 1 :], strict=True)
        means = {name: self._mean(x).view_as(metric) for (name, metric), x in of_metrics}
        return A2CLoss(*of_loss), of_aux_loss, means

    def _mean(self, rows: Tensor) -> Tensor:
        """The mean of rows [R, N] over the environments of the ranks that measured, [N]."""
        measured = ~rows.isnan()
        totals = torch.where(measured, self._weights * rows, 0.0).sum(0)
        return totals / (self._weights * measured).sum(0)
