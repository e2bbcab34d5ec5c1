"""InfoNCE: pick the true future observation among candidates. Pure functions of tensors.

Source of all formulas: van den Oord, Li, Vinyals 2018, "Representation Learning with Contrastive
Predictive Coding", arXiv 1807.03748 (the paper).
"""

from typing import Any

import torch
from torch import Tensor

# A candidate this many nats below the best of its row has a probability that float32 cannot see,
# but its gradient may be a denormal number, and those slow a CPU's matrix products tenfold (and
# its exp, hence the clamp before it). Its probability is set to 0; the positive keeps its logit.
NEGLIGIBLE_NATS = 60.0
NEGLIGIBLE_PROBABILITY = 1e-26  # just above exp(-60)


class _InfoNCE(torch.autograd.Function):
    """The cross-entropy of `infonce` with as few passes over the logits as possible."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
        positive = positive.unsqueeze(-1)
        best = logits.amax(-1, keepdim=True)
        weights = (logits - best).clamp_(min=-NEGLIGIBLE_NATS).exp_()  # the row's best: 1
        torch.threshold_(weights, NEGLIGIBLE_PROBABILITY, 0.0)  # in place
        total = weights.sum(-1, keepdim=True)
        loss = total.log() + (best - logits.gather(-1, positive))
        # A weight is exactly 1 where the logit is the row's best: floor counts those that tie.
        correct = weights.gather(-1, positive).floor_() / weights.floor().sum(-1, keepdim=True)
        ctx.save_for_backward(weights, total, positive)
        ctx.mark_non_differentiable(correct)
        return loss.squeeze(-1), correct.squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        weights, total, positive = ctx.saved_tensors
        grad_loss = grads[0].unsqueeze(-1)
        return (weights * (grad_loss / total)).scatter_add_(-1, positive, -grad_loss), None


def infonce(logits: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and accuracy of picking the positive, for every row of candidates.

    loss = -log( exp(logits[positive]) / sum_j exp(logits[j]) )          (equation 4 of the paper)

    Args:
        logits: f32 [..., C], log f_k(x_j, c_t) of C candidates. What is no candidate holds a large
            negative number (the lowest finite one, or -inf).
        positive: i64 [...], the column of the true future observation.

    Returns:
        loss: f32 [...], nats, differentiable once with respect to logits.
        correct: f32 [...], 1 where the positive has the highest logit, 0 where it has not; m
            candidates that tie for the highest share the credit, so that logits which are all
            equal score exactly 1/N. No gradient.
    """
    loss, correct = _InfoNCE.apply(logits, positive)
    return loss, correct


def draw_anchors(num_steps: int, num_anchors: int | None, generator: torch.Generator) -> Tensor:
    """Draw time steps to predict from: i64 [A], from 0..num_steps-1 without replacement.

    A = min(num_anchors, num_steps); None takes every step in order and draws nothing.
    """
    if num_anchors is None:
        return torch.arange(num_steps, device=generator.device)
    return torch.randperm(num_steps, generator=generator, device=generator.device)[:num_anchors]


def valid_pairs(is_first: Tensor, anchors: Tensor, horizon: int) -> tuple[Tensor, Tensor]:
    """Which pairs (t, t+k) lie within the rollout and within one episode.

    Args:
        is_first: bool [T+1, B], true where an observation opens an episode.
        anchors: i64 [A], time steps t in 0..T-1.
        horizon: K.

    Returns:
        target_rows: i64 [K, A], t+k for k = 1..K; T where t+k lies beyond the rollout (such a row
            can be read, but its pair is invalid).
        valid: bool [K, A, B], true where t+k <= T and no is_first lies in (t, t+k].
    """
    last_row = len(is_first) - 1
    steps = torch.arange(1, horizon + 1, device=is_first.device)
    wanted = anchors + steps.unsqueeze(1)  # [K, A]
    target_rows = wanted.clamp(max=last_row)
    # Rows of one episode have the same number of episode starts at or before them.
    episode = is_first.cumsum(0)  # [T+1, B]
    same_episode = episode[target_rows] == episode[anchors]  # [K, A, B]
    return target_rows, same_episode & (wanted <= last_row).unsqueeze(-1)


def mean_by_horizon(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid pairs of each k: f32 [K, A, B], bool [K, A, B] -> [K], 0 if none."""
    total = torch.where(valid, values, 0.0).sum((1, 2))
    return total / valid.sum((1, 2)).clamp(min=1)


def mean_over_horizons(by_horizon: Tensor, valid: Tensor) -> Tensor:
    """Mean over those k that have a valid pair: f32 [K], bool [K, A, B] -> scalar, 0 if none."""
    has_pair = valid.any(2).any(1)  # [K]
    return (by_horizon * has_pair).sum() / has_pair.sum().clamp(min=1)


def pair_weights(valid: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """What a pair's loss counts in the mean of means of the two functions above: [K, A, B]."""
    num_pairs = valid.sum((1, 2), keepdim=True)  # [K, 1, 1]
    num_horizons = (num_pairs > 0).sum()
    return valid.to(dtype) / (num_pairs.clamp(min=1) * num_horizons.clamp(min=1))
