"""The loss of linear predictions on a CPU: a block of horizons at a time, forward and backward.

All horizons at once are too much for a processor's cache: with the default settings their maps
alone take 8 MB, and with all time steps as anchors the predictions take 100. A block's are not, if
its backward pass follows its forward pass at once; most pairs that reach beyond the rollout can be
left out of it; and each core can have blocks of its own. The plain way, all pairs in one tensor and
then autograd, is what `CPC` does on a GPU, and the truth in the tests.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cpc_aux import sequence_kernel
from cpc_aux.infonce import infonce, pair_weights
from cpc_aux.negatives import Strategy, sequence
from cpc_aux.sequence_kernel import Candidates

# With 256 units 12 MB of predictions. Half as many pairs make the many small operations between
# products count, twice as many leave the cache.
PAIRS_PER_BLOCK = 12_000


class Block(NamedTuple):
    """Some horizons, and the first anchors: an index to tensors [K, A, ...]."""

    horizons: slice  # of k-1 = 0..K-1
    anchors: slice  # those whose target lies within the rollout for the block's first k


def make_blocks(
    anchors: Tensor, num_steps: int, horizon: int, num_envs: int, num_threads: int
) -> list[Block]:
    """Blocks of all horizons, at least one for each thread; anchors: i64 [A], ascending."""
    size = min(PAIRS_PER_BLOCK // (len(anchors) * num_envs), -(-horizon // num_threads))
    size = max(size, 1)
    blocks = []
    for start in range(0, horizon, size):
        # At least one anchor, though all its pairs be invalid: nothing has no best candidate.
        inside = max(1, int((anchors + start < num_steps).sum()))
        blocks.append(Block(slice(start, min(start + size, horizon)), slice(0, inside)))
    return blocks


def _divide(blocks: Sequence[Block], num_threads: int) -> list[list[Block]]:
    """Equal work for all threads; always the same, so that sums are rounded the same."""
    parts: list[list[Block]] = [[] for _ in range(num_threads)]
    pairs = [0] * num_threads
    for block in blocks:
        least = pairs.index(min(pairs))
        parts[least].append(block)
        pairs[least] += (block.horizons.stop - block.horizons.start) * block.anchors.stop
    return parts


class BlockLoss(NamedTuple):
    """The loss, and what it is made of; 0 for pairs that no block has."""

    loss: Tensor  # f32 scalar, the mean over valid pairs, then over horizons
    pair_loss: Tensor  # f32 [K, A, B]; this and all others without gradient
    correct: Tensor  # f32 [K, A, B]
    num_candidates: Tensor  # i64 [K, A, B]


def block_loss(
    start: Tensor,
    maps: Tensor,
    embedding: Tensor,
    target_rows: Tensor,
    valid: Tensor,
    blocks: Sequence[Block],
    score: Strategy,
    threads: ThreadPoolExecutor,
    num_threads: int,
) -> BlockLoss:
    """InfoNCE of the predictions W_k c_t.

    Args:
        start: f32 [A, B, H], the contexts of the anchors.
        maps: f32 [K, H, E], all k side by side in memory, as one matrix [H, K*E].
        embedding: f32 [T+1, B, E].
        target_rows, valid: i64 [K, A] and bool [K, A, B], from `valid_pairs`.
        blocks: of all horizons.
        score: one of `negatives.STRATEGIES`.
        threads, num_threads: what shares the blocks.
    """
    work = _Work(target_rows, valid, blocks, score, threads, num_threads)
    return BlockLoss(*_BlockLoss.apply(start, maps, embedding, work))


class _Work(NamedTuple):
    """Arguments of `block_loss` that have no gradient."""

    target_rows: Tensor
    valid: Tensor
    blocks: Sequence[Block]
    score: Strategy
    threads: ThreadPoolExecutor
    num_threads: int


class _BlockLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, start: Tensor, maps: Tensor, embedding: Tensor, work: _Work
    ) -> tuple[Tensor, ...]:
        by_env = start.transpose(0, 1)  # [B, A, H]
        matrix = maps.transpose(0, 1).flatten(1)  # [H, K*E]
        # The learner counts the mean loss once for each agent step. With gradients at that scale
        # it need not go through them once more.
        ctx.scale = float(start.shape[1] * (len(embedding) - 1))
        weights = pair_weights(work.valid, embedding.dtype)  # [K, A, B]
        scaled = ctx.scale * weights
        new_scorer: Callable[[], _Scorer | _SequenceScorer]
        if work.score is sequence and sequence_kernel.fits(embedding):
            new_scorer = partial(_SequenceScorer, Candidates(embedding), work, scaled)
        else:
            new_scorer = partial(_Scorer, embedding, work, scaled)
        of_pairs = [torch.zeros_like(weights) for _ in range(2)]
        num_candidates = torch.zeros_like(weights, dtype=torch.int64)
        grad_matrix = torch.empty_like(matrix)

        @torch.no_grad()  # each thread has a switch of its own
        def run(blocks: Sequence[Block]) -> tuple[Tensor, Tensor]:
            """Fill in what belongs to these blocks; their gradients of by_env and embedding."""
            grad_by_env, scorer = torch.zeros_like(by_env), new_scorer()
            for block in blocks:
                columns = slice(
                    block.horizons.start * maps.shape[2], block.horizons.stop * maps.shape[2]
                )
                rows = by_env[:, block.anchors].flatten(0, 1)  # [B*a, H]
                predictions = rows @ matrix[:, columns]  # [B*a, k*E]
                pair_loss, correct, candidates, grad = scorer(predictions, block)
                for whole, part in zip(of_pairs, (pair_loss, correct), strict=True):
                    whole[block] = part
                num_candidates[block] = candidates
                torch.mm(rows.T, grad, out=grad_matrix[:, columns])
                grad_rows = grad @ matrix[:, columns].T
                grad_by_env[:, block.anchors] += grad_rows.unflatten(0, (len(by_env), -1))
            return grad_by_env, scorer.gradient

        parts = list(work.threads.map(run, _divide(work.blocks, work.num_threads)))
        grad_by_env, grad_embedding = (sum(part[1:], part[0]) for part in zip(*parts, strict=True))
        ctx.gradients = (
            grad_by_env.transpose(0, 1),
            grad_matrix.unflatten(1, maps.shape[::2]).transpose(0, 1),
            grad_embedding,
        )
        pair_loss, correct = of_pairs
        loss = torch.where(work.valid, pair_loss, 0.0).mul_(weights).sum()
        ctx.mark_non_differentiable(pair_loss, correct, num_candidates)
        return loss, pair_loss, correct, num_candidates

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        factor = float(grads[0]) / ctx.scale
        if factor == 1:
            return *ctx.gradients, None
        return *(factor * gradient for gradient in ctx.gradients), None


class _Scorer:
    """Scores a thread's blocks and adds up the gradient of the embedding."""

    def __init__(self, embedding: Tensor, work: _Work, weights: Tensor) -> None:
        self._embedding, self._work, self._weights = embedding, work, weights
        self.gradient = torch.zeros_like(embedding)

    def __call__(self, predictions: Tensor, block: Block) -> tuple[Tensor, ...]:
        """One block's pair losses, correct and candidates, and the gradient of the predictions.

        predictions: [B*a, k*E], one environment after the other, as sequence negatives want them.
        """
        work, (num_envs, size) = self._work, self._embedding.shape[1:]
        predictions = predictions.requires_grad_()
        embedding = self._embedding.detach().requires_grad_()
        with torch.enable_grad():
            by_pair = predictions.view(num_envs, block.anchors.stop, -1, size).permute(2, 1, 0, 3)
            scores = work.score(by_pair, embedding, work.target_rows[block], work.valid[block])
            pair_loss, correct = infonce(scores.logits, scores.positive)
            gradient, grad_embedding = torch.autograd.grad(
                pair_loss, (predictions, embedding), self._weights[block]
            )
        self.gradient += grad_embedding
        return pair_loss.detach(), correct, scores.num_candidates, gradient


class _SequenceScorer:
    """As `_Scorer`, for sequence negatives, through their own kernel."""

    def __init__(self, candidates: Candidates, work: _Work, weights: Tensor) -> None:
        self._candidates, self._work, self._weights = candidates, work, weights
        by_env = torch.zeros(candidates.rows.shape)
        self._gradient, self.gradient = by_env.numpy(), by_env.transpose(0, 1)

    def __call__(self, predictions: Tensor, block: Block) -> tuple[Tensor, ...]:
        """As that of `_Scorer`; overwrites the predictions with their gradient."""
        weights = self._weights[block]
        horizons, anchors, num_envs = weights.shape
        pair_loss, correct = torch.empty(2, *weights.shape)
        sequence_kernel.score(
            predictions.view(num_envs, anchors, horizons, -1).numpy(),
            self._candidates.rows,
            self._candidates.panels,
            self._work.target_rows[block].numpy(),
            weights.numpy(),
            pair_loss.numpy(),
            correct.numpy(),
            self._gradient,
        )
        return pair_loss, correct, torch.tensor(self._gradient.shape[1]), predictions
