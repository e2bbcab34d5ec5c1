"""Where the candidates of InfoNCE come from: four strategies behind one signature.

A pair (k, t, b) predicts z[t+k, b] from what environment b's agent knew at t. Its candidates are
that target, the positive, and:

pool        the targets of all valid pairs with the same k: every anchor, every environment.
others      the pool without the pairs of the same environment.
same_step   the pool's pairs with the same t: the same moment in the other environments.
sequence    all other embeddings of the same environment's rollout, rows 0..T, before and after t,
            also those of another episode (the only strategy that takes targets of no valid pair).

Here all logits are made at once, as a GPU wants them: those of `pool` and `others` take 4 K (A B)^2
bytes, 12 MB with 10 anchors in 32 environments and 30 steps ahead, but 1.2 GB with all 100 time
steps as anchors. `cpc_aux.fast` does the same on a CPU, a few pairs at a time.

A valid pair whose only candidate is the positive counts, with loss 0 and accuracy 1 (chance is 1).

With N candidates, log N - loss is a lower bound on the mutual information I(z[t+k]; c[t]) for
`pool` only, because InfoNCE needs its negatives to be draws from p(z[t+k]), whatever the positive
(and independent of each other, which neighbouring time steps are not quite). The other strategies
draw from a distribution that depends on the environment or on t: for them log N - loss only
says how far the loss lies below chance.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Scores(NamedTuple):
    """The candidates of every pair, scored. Rows of invalid pairs hold anything finite."""

    logits: Tensor  # f32 [K, A, B, C], z^T prediction; hugely negative where not a candidate
    positive: Tensor  # i64 [K, A, B], the column that holds the positive
    num_candidates: Tensor  # i64 [K, A, B], N: the positive included


# (predictions [K, A, B, E], embedding [T+1, B, E], target_rows [K, A], valid [K, A, B]) -> Scores
Strategy = Callable[[Tensor, Tensor, Tensor, Tensor], Scores]


def pool(predictions: Tensor, embedding: Tensor, target_rows: Tensor, valid: Tensor) -> Scores:
    """Score the targets of all valid pairs with the same k."""
    logits, positive = _score_pairs(predictions, embedding, target_rows, valid.flatten(1)[:, None])
    return Scores(logits, positive, valid.sum((1, 2), keepdim=True).expand(valid.shape))


def others(predictions: Tensor, embedding: Tensor, target_rows: Tensor, valid: Tensor) -> Scores:
    """Score the positive and the targets of all valid pairs of other environments, same k."""
    num_anchors, num_envs = valid.shape[1:]
    require_others("others", num_envs)
    pair = torch.arange(num_anchors * num_envs, device=valid.device)
    env = pair % num_envs
    allowed = (env != env[:, None]) | (pair == pair[:, None])  # [A*B, A*B]
    candidates = valid.flatten(1)[:, None] & allowed  # [K, A*B, A*B]
    logits, positive = _score_pairs(predictions, embedding, target_rows, candidates)
    num_others = valid.sum((1, 2), keepdim=True) - valid.sum(1, keepdim=True)  # [K, 1, B]
    return Scores(logits, positive, (1 + num_others).expand(valid.shape))


def same_step(predictions: Tensor, embedding: Tensor, target_rows: Tensor, valid: Tensor) -> Scores:
    """Score the targets of all valid pairs with the same k and t."""
    require_others("same_step", valid.shape[2])
    candidates = valid.flatten(0, 1)[:, None]  # [K*A, 1, B]
    logits, positive = _score_pairs(predictions, embedding, target_rows, candidates)
    return Scores(logits, positive, valid.sum(2, keepdim=True).expand(valid.shape))


def sequence(predictions: Tensor, embedding: Tensor, target_rows: Tensor, valid: Tensor) -> Scores:
    """Score all embeddings of the same environment's rollout."""
    horizon, num_anchors, num_envs, _ = predictions.shape
    num_rows = len(embedding)
    by_env = predictions.permute(2, 1, 0, 3).reshape(num_envs, num_anchors * horizon, -1)
    logits = torch.bmm(by_env, embedding.permute(1, 2, 0))  # [B, A*K, T+1]
    logits = logits.view(num_envs, num_anchors, horizon, num_rows).permute(2, 1, 0, 3)
    positive = target_rows.unsqueeze(-1).expand(valid.shape)
    return Scores(logits, positive, torch.full_like(positive, num_rows))


STRATEGIES: dict[str, Strategy] = {
    "pool": pool,
    "sequence": sequence,
    "others": others,
    "same_step": same_step,
}


def _score_pairs(
    predictions: Tensor, embedding: Tensor, target_rows: Tensor, candidates: Tensor
) -> tuple[Tensor, Tensor]:
    """Score the targets of pairs against the predictions of the pairs in the same group.

    candidates: bool [G, 1 or R, R] splits the K*A*B pairs, in this order, into G groups of R and
    says which of a group's R targets each of its R predictions (1: all of them alike) may see.

    Returns logits [K, A, B, R] and positive i64 [K, A, B]: a pair's place in its own group.
    """
    num_groups, _, size = candidates.shape
    targets = embedding.index_select(0, target_rows.flatten())  # [K*A, B, E]
    # Masked by adding, in the same pass as the product. Finite, so that a group without a single
    # valid pair gives zeros instead of NaN.
    lowest = torch.finfo(predictions.dtype).min
    mask = torch.zeros(candidates.shape, dtype=predictions.dtype, device=predictions.device)
    logits = torch.baddbmm(
        mask.masked_fill_(~candidates, lowest),
        predictions.reshape(num_groups, size, -1),
        targets.view(num_groups, size, -1).transpose(1, 2),
    )  # [G, R, R]
    pairs = predictions.shape[:3]
    positive = torch.arange(size, device=logits.device).expand(num_groups, size)
    return logits.view(*pairs, size), positive.reshape(pairs)


def require_others(strategy: str, num_envs: int) -> None:
    """Raise ValueError if there are no other environments."""
    if num_envs < 2:
        raise ValueError(
            f"aux.negatives={strategy} takes its negatives from other environments and needs at"
            f" least 2 of them, but got {num_envs}; aux.negatives=sequence works with one."
        )
