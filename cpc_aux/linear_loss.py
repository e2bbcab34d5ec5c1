"""InfoNCE of linear predictions on a CPU: forward and backward at once, horizon by horizon.

What belongs to one horizon fits a core's cache, if its backward pass follows its forward pass at
once; pairs that reach beyond the rollout can be left out; and each core can have horizons of its
own. The plain way, all pairs in one tensor and then autograd, is what `CPC` does on a GPU, and the
truth in the tests.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cpc_aux.infonce import pair_weights
from cpc_aux.linear_kernel import score_horizons
from cpc_aux.negatives import require_others
from cpc_aux.score_kernel import OTHERS, POOL, SAME_STEP, SEQUENCE, lay_sets_side_by_side
from simd import LANES, SUPPORTED

_KINDS = {"sequence": SEQUENCE, "same_step": SAME_STEP, "others": OTHERS, "pool": POOL}


def fits(maps: Tensor, embedding: Tensor) -> bool:
    """Whether this processor, and maps and embeddings of this size and type, are supported."""
    return (
        SUPPORTED
        and embedding.is_cpu
        and embedding.dtype == torch.float32
        and all(size % LANES == 0 for size in maps.shape[1:])
    )


def divide(num_anchors: Sequence[int], num_threads: int) -> list[list[int]]:
    """Horizons, of k-1 = 0..K-1 in ascending order, for each thread that has any.

    num_anchors: of each horizon, descending. Threads have about as many pairs; the division is
    always the same, so that sums are rounded the same.
    """
    parts: list[list[int]] = [[] for _ in range(num_threads)]
    pairs = [0] * num_threads
    for horizon, anchors in enumerate(num_anchors):
        least = pairs.index(min(pairs))
        parts[least].append(horizon)
        pairs[least] += anchors
    return [part for part in parts if part]


class LinearLoss(NamedTuple):
    """The loss, and what it is made of; 0 for invalid pairs."""

    loss: Tensor  # f32 scalar, the mean over valid pairs, then over horizons
    pair_loss: Tensor  # f32 [K, A, B]; this and all others without gradient
    correct: Tensor  # f32 [K, A, B]
    num_candidates: Tensor  # f32 [K, A, B]


def linear_loss(
    start: Tensor,
    maps: Tensor,
    embedding: Tensor,
    anchors: Tensor,
    target_rows: Tensor,
    valid: Tensor,
    negatives: str,
    threads: ThreadPoolExecutor,
    num_threads: int,
) -> LinearLoss:
    """InfoNCE of the predictions W_k c_t.

    Args:
        start: f32 [A, B, H], the contexts of the anchors.
        maps: f32 [K, H, E].
        embedding: f32 [T+1, B, E].
        anchors: i64 [A], ascending.
        target_rows, valid: i64 [K, A] and bool [K, A, B], from `valid_pairs`.
        negatives: a key of `negatives.STRATEGIES`.
        threads, num_threads: what shares the horizons.

    Raises ValueError: B is 1 and the negatives come from other environments.
    """
    if negatives in ("others", "same_step"):
        require_others(negatives, embedding.shape[1])
    # At least one anchor, though all its pairs be invalid.
    last = len(embedding) - 1
    inside = (anchors + torch.arange(1, len(maps) + 1).unsqueeze(1) <= last).sum(1).clamp(min=1)
    work = _Work(inside, target_rows, valid, _KINDS[negatives], threads, num_threads)
    return LinearLoss(*_LinearLoss.apply(start, maps, embedding, work))


class _Work(NamedTuple):
    """Arguments of `linear_loss` that have no gradient."""

    num_anchors: Tensor  # i64 [K], those whose target lies within the rollout
    target_rows: Tensor
    valid: Tensor
    kind: int
    threads: ThreadPoolExecutor
    num_threads: int


class _LinearLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, start: Tensor, maps: Tensor, embedding: Tensor, work: _Work
    ) -> tuple[Tensor, ...]:
        # The learner counts the mean loss once for each agent step. With gradients at that scale
        # it need not go through them once more.
        ctx.scale = float(start.shape[1] * (len(embedding) - 1))
        weights = pair_weights(work.valid, embedding.dtype)  # [K, A, B]
        scaled = ctx.scale * weights
        context, source = start.detach(), embedding.detach()
        if work.kind == SEQUENCE:
            context, source = context.transpose(0, 1), source.transpose(0, 1)
        context = context.contiguous()  # [G, R, H]
        sets = source if source.is_contiguous() else torch.empty(source.shape)  # [N, C, E]
        N, C, E = sets.shape
        panels = np.empty((N, -(-C // LANES), E, LANES), np.float32)

        def lay(part: slice) -> None:
            if sets is not source:
                sets[part] = source[part]
            lay_sets_side_by_side(sets[part].numpy(), panels[part])

        ends = [N * k // work.num_threads for k in range(work.num_threads + 1)]
        list(work.threads.map(lay, [slice(*pair) for pair in pairwise(ends)]))
        of_pairs = torch.zeros(3, *weights.shape)
        grad_maps = torch.empty(maps.shape)

        def run(horizons: Sequence[int]) -> tuple[Tensor, Tensor]:
            """Fill in what belongs to these horizons; their gradients of context and sets."""
            grad_context = torch.zeros(context.shape)
            grad_sets = torch.empty(sets.shape)  # filled by SEQUENCE, added to by the others
            if work.kind != SEQUENCE:
                grad_sets.zero_()
            score_horizons(
                work.kind,
                np.array(horizons, np.int64),
                work.num_anchors.numpy(),
                context.numpy(),
                maps.detach().numpy(),
                sets.numpy(),
                panels,
                work.target_rows.numpy(),
                scaled.numpy(),
                of_pairs.numpy(),
                grad_maps.numpy(),
                grad_context.numpy(),
                grad_sets.numpy(),
            )
            return grad_context, grad_sets

        parts = divide(work.num_anchors.tolist(), work.num_threads)
        (grad_context, grad_sets), *others = work.threads.map(run, parts)
        for of_context, of_sets in others:
            grad_context += of_context
            grad_sets += of_sets
        if work.kind == SEQUENCE:
            grad_context, grad_sets = grad_context.transpose(0, 1), grad_sets.transpose(0, 1)
        ctx.gradients = (grad_context, grad_maps, grad_sets)
        pair_loss, correct, num_candidates = of_pairs.unbind()
        loss = (pair_loss * weights).sum()
        ctx.mark_non_differentiable(pair_loss, correct, num_candidates)
        return loss, pair_loss, correct, num_candidates

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        factor = float(grads[0]) / ctx.scale
        if factor == 1:
            return *ctx.gradients, None
        return *(factor * gradient for gradient in ctx.gradients), None
