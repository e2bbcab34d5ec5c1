"""InfoNCE: pick the true future observation among candidates. Pure functions of tensors.

Source of all formulas: van den Oord, Li, Vinyals 2018, "Representation Learning with Contrastive
Predictive Coding", arXiv 1807.03748 (the paper).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# A candidate this many nats below the best of its row has a probability that float32 cannot see,
# but its gradient may be a denormal number, and those slow a CPU's matrix products tenfold. It
# counts as no candidate; the positive always does.
NEGLIGIBLE_NATS = 60.0


def infonce(logits: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and accuracy of picking the positive, for every row of candidates.

    loss = -log( exp(logits[positive]) / sum_j exp(logits[j]) )          (equation 4 of the paper)

    Args:
        logits: f32 [..., C], log f_k(x_j, c_t) of C candidates. What is no candidate holds a large
            negative number (the lowest finite one, or -inf).
        positive: i64 [...], the column of the true future observation.

    Returns:
        loss: f32 [...], nats, differentiable with respect to logits.
        correct: f32 [...], 1 where the positive has the highest logit, 0 where it has not; m
            candidates that tie for the highest share the credit, so that logits which are all
            equal score exactly 1/N. No gradient.
    """
    column = positive.unsqueeze(-1)  # [..., 1]
    with torch.no_grad():
        best = logits.amax(-1, keepdim=True)  # [..., 1]
        highest = (logits == best).to(logits.dtype)  # [..., C]
        correct = highest.gather(-1, column).squeeze(-1) / highest.sum(-1)  # [...]
        negligible = (logits < best - NEGLIGIBLE_NATS).scatter_(-1, column, False)
    logits = logits.masked_fill(negligible, -torch.inf)
    loss = F.cross_entropy(logits.flatten(0, -2), positive.flatten(), reduction="none")
    return loss.view(positive.shape), correct


def draw_anchors(
    num_steps: int, num_anchors: int | None, generator: torch.Generator | None
) -> Tensor:
    """Draw time steps to predict from: i64 [A], from 0..num_steps-1 without replacement.

    A = min(num_anchors, num_steps); None takes every step in order and draws nothing.
    """
    device = None if generator is None else generator.device
    if num_anchors is None:
        return torch.arange(num_steps, device=device)
    return torch.randperm(num_steps, generator=generator, device=device)[:num_anchors]


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


def mean_by_horizon(values: Tensor, valid: Tensor, num_pairs: Tensor) -> Tensor:
    """Mean over the valid pairs of each k: f32 [K, A, B], bool [K, A, B] -> [K], 0 if none.

    num_pairs: [K], the number of valid pairs.
    """
    total = torch.where(valid, values, 0.0).sum((1, 2))
    return total / torch.where(num_pairs > 0, num_pairs, 1)


def mean_over_horizons(by_horizon: Tensor, num_pairs: Tensor) -> Tensor:
    """Mean over those k that have a valid pair: f32 [K], [K] as above -> scalar, 0 if none."""
    has_pair = num_pairs > 0
    return (by_horizon * has_pair).sum() / has_pair.sum().clamp(min=1)
