"""The linear predictions W_k c_t, a block of horizons at a time.

With many anchors the pairs of all horizons are too many for a CPU's cache. A block's are not, and
most of those that reach beyond the rollout can be left out of it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

# With 256 units 16 MB of predictions: faster than half as many pairs, whose many small operations
# take longer, and than twice as many, for which the C library asks the kernel for memory each time.
PAIRS_PER_BLOCK = 16_000


class Block(NamedTuple):
    """Some horizons, and the first anchors: an index to tensors [K, A, ...]."""

    horizons: slice  # of k-1 = 0..K-1
    anchors: slice  # those whose target lies within the rollout for the block's first k


def make_blocks(anchors: Tensor, num_steps: int, horizon: int, num_envs: int) -> list[Block]:
    """Blocks of all horizons.

    anchors: i64 [A], in ascending order. Only on a CPU are they looked at, because a GPU would
    have to wait for that: it takes all pairs as one block.
    """
    num_anchors = len(anchors)
    if not anchors.is_cpu:
        return [Block(slice(0, horizon), slice(0, num_anchors))]
    size = max(1, PAIRS_PER_BLOCK // (num_anchors * num_envs))
    blocks = []
    for start in range(0, horizon, size):
        # At least one anchor, though all its pairs be invalid: nothing has no best candidate.
        inside = max(1, int((anchors + start < num_steps).sum()))
        blocks.append(Block(slice(start, min(start + size, horizon)), slice(0, inside)))
    return blocks


def linear_predictions(
    start: Tensor, maps: Tensor, blocks: Sequence[Block]
) -> Iterator[tuple[Block, Tensor]]:
    """Yield each block and its W_k c_t.

    Args:
        start: f32 [A, B, H], the contexts of the anchors.
        maps: f32 [K, H, E], all k side by side in memory, as one matrix [H, K*E].
        blocks: of the horizons.

    Yields predictions f32 [k, a, B, E] for the k horizons and a anchors of the block, one
    environment after the other in memory, as sequence negatives want them.
    """
    num_envs, size = start.shape[1], maps.shape[2]
    by_env = start.transpose(0, 1)  # [B, A, H]
    matrix = maps.transpose(0, 1).flatten(1)  # [H, K*E]
    whole = _WholeGradient(len(blocks))
    for block in blocks:
        horizons, anchors = block
        columns = slice(horizons.start * size, horizons.stop * size)
        rows = by_env[:, anchors].flatten(0, 1)  # [B*a, H]
        products = _BlockProduct.apply(rows, matrix, columns, whole)  # [B*a, k*E]
        predictions = products.view(num_envs, anchors.stop, -1, size)
        yield block, predictions.permute(2, 1, 0, 3)  # [k, a, B, E]


class _WholeGradient:
    """The gradient of a matrix whose blocks of columns arrive one by one.

    Autograd would add up gradients of the matrix's full size.
    """

    def __init__(self, num_blocks: int) -> None:
        self._num_blocks = num_blocks
        self._missing = num_blocks
        self._whole: Tensor | None = None

    def add(self, a: Tensor, b: Tensor, matrix: Tensor, columns: slice) -> Tensor | None:
        """Put a @ b where the columns' gradient belongs; the gradient once it is complete."""
        if self._whole is None:
            self._whole = torch.empty_like(matrix)
        torch.mm(a, b, out=self._whole[:, columns])
        self._missing -= 1
        if self._missing:
            return None
        whole = self._whole
        self._missing, self._whole = self._num_blocks, None
        return whole


class _BlockProduct(torch.autograd.Function):
    """rows @ matrix[:, columns]."""

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, matrix: Tensor, columns: slice, whole: _WholeGradient
    ) -> Tensor:
        ctx.save_for_backward(rows, matrix)
        ctx.columns, ctx.whole = columns, whole
        return rows @ matrix[:, columns]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        rows, matrix = ctx.saved_tensors
        grad_matrix = ctx.whole.add(rows.t(), grads[0], matrix, ctx.columns)
        return grads[0] @ matrix[:, ctx.columns].t(), grad_matrix, None, None
