"""InfoNCE of linear predictions on a CPU: forward and backward at once, horizon by horizon.

What belongs to one horizon fits a core's cache, if its backward pass follows its forward pass at
once; pairs that reach beyond the rollout can be left out; and each core can have horizons of its
own. `CPC._pair_losses`, all pairs in one tensor and then autograd, is the reference.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from compiled.blocks import LANES, SUPPORTED
from cpc_aux.config import AuxConfig
from cpc_aux.cpc import CPC, PairLosses, Pairs
from cpc_aux.fast.horizons import score_horizons
from cpc_aux.fast.scores import OTHERS, POOL, SAME_STEP, SEQUENCE, lay_sets_side_by_side
from cpc_aux.negatives import require_others

_KINDS = {"sequence": SEQUENCE, "same_step": SAME_STEP, "others": OTHERS, "pool": POOL}


class FastCPC(CPC):
    """CPC with linear predictions, computed by `score_horizons` wherever that can do it.

    num_threads: cores that share its work. All else as for `CPC`.
    """

    def __init__(
        self,
        config: AuxConfig,
        embedding_size: int,
        context_size: int,
        num_actions: int = 0,
        num_threads: int = 1,
    ) -> None:
        super().__init__(config, embedding_size, context_size, num_actions)
        self._num_threads = num_threads

    @property
    def pass_name(self) -> str:  # type: ignore[override]
        """What a run's record calls it, on the device where it is."""
        return "fast" if self.fits(self.maps) else "plain"

    def fits(self, *inputs: Tensor) -> bool:
        """Whether this processor, the maps, and inputs of these kinds are supported."""
        return (
            SUPPORTED
            and self.gru is None
            and self.maps.is_contiguous()
            and all(size % LANES == 0 for size in self.maps.shape[1:])
            and all(x.is_cpu and x.dtype == torch.float32 for x in (self.maps, *inputs))
        )

    def _pair_losses(
        self, context: Tensor, embedding: Tensor, action: Tensor | None, pairs: Pairs
    ) -> PairLosses:
        if not self.fits(embedding, context):
            return super()._pair_losses(context, embedding, action, pairs)
        if self.negatives in ("others", "same_step"):
            require_others(self.negatives, embedding.shape[1])
        # At least one anchor, though all its pairs be invalid.
        last, horizons = len(embedding) - 1, torch.arange(1, self.horizon + 1)
        inside = (pairs.anchors + horizons.unsqueeze(1) <= last).sum(1).clamp(min=1)
        work = _Work(inside, pairs, _KINDS[self.negatives], self._num_threads)
        start = context.index_select(0, pairs.anchors)  # [A, B, H]
        return PairLosses(*_LinearLoss.apply(start, self.maps, embedding, work))


@cache
def _threads(number: int) -> ThreadPoolExecutor:
    """Threads for the horizons. Not the module's own: it could be neither copied nor pickled."""
    return ThreadPoolExecutor(number, initializer=torch.set_num_threads, initargs=(1,))


os.register_at_fork(after_in_child=_threads.cache_clear)  # a copied process has no such threads


def pair_weights(valid: Tensor, num_pairs: Tensor) -> Tensor:
    """What a pair's loss counts in the mean over valid pairs, then over horizons: [K, A, B].

    num_pairs: [K], the number of valid pairs.
    """
    num_horizons = (num_pairs > 0).sum().clamp(min=1)
    of_horizon = torch.where(num_pairs > 0, num_pairs, 1) * num_horizons  # [K]
    return valid.float() / of_horizon[:, None, None]


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


class _Work(NamedTuple):
    """Arguments of the loss that have no gradient."""

    num_anchors: Tensor  # i64 [K], those whose target lies within the rollout
    pairs: Pairs
    kind: int
    num_threads: int


class _LinearLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, start: Tensor, maps: Tensor, embedding: Tensor, work: _Work
    ) -> tuple[Tensor, ...]:
        # The learner counts the mean loss once for each agent step. With gradients at that scale
        # it need not go through them once more.
        ctx.scale = float(start.shape[1] * (len(embedding) - 1))
        weights = pair_weights(work.pairs.valid, work.pairs.num_pairs)  # [K, A, B]
        scaled = ctx.scale * weights
        context, source = start.detach(), embedding.detach()
        if work.kind == SEQUENCE:
            context, source = context.transpose(0, 1), source.transpose(0, 1)
        context = context.contiguous()  # [G, R, H]
        sets = source if source.is_contiguous() else torch.empty(source.shape)  # [N, C, E]
        N, C, E = sets.shape
        threads = _threads(work.num_threads)
        panels = np.empty((N, -(-C // LANES), E, LANES), np.float32)

        def lay(part: slice) -> None:
            if sets is not source:
                sets[part] = source[part]
            lay_sets_side_by_side(sets[part].numpy(), panels[part])

        ends = [N * k // work.num_threads for k in range(work.num_threads + 1)]
        list(threads.map(lay, [slice(*pair) for pair in pairwise(ends)]))
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
                work.pairs.target_rows.numpy(),
                scaled.numpy(),
                of_pairs.numpy(),
                grad_maps.numpy(),
                grad_context.numpy(),
                grad_sets.numpy(),
            )
            return grad_context, grad_sets

        parts = divide(work.num_anchors.tolist(), work.num_threads)
        (grad_context, grad_sets), *others = threads.map(run, parts)
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
