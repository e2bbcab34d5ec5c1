"""`sequence` negatives on a CPU: scores, InfoNCE and gradients of one environment after the other.

`negatives.sequence`, `infonce` and autograd are the truth in the tests. There each of some fifty
operations goes through memory once more, and threads of Python take turns at them.
"""

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cpc_aux.infonce import NEGLIGIBLE_NATS, NEGLIGIBLE_PROBABILITY
from simd import LANES, SUPPORTED, exp, multiply, vectorised


def fits(embedding: Tensor) -> bool:
    """Whether this processor, and embeddings of this size and type, are what `score` can do."""
    return SUPPORTED and embedding.dtype == torch.float32 and embedding.shape[-1] % LANES == 0


class Candidates:
    """The embeddings of a rollout, [T+1, B, E] float32, as `score` reads them."""

    def __init__(self, embedding: Tensor) -> None:
        by_env = embedding.transpose(0, 1)  # [B, C, E]
        self.rows: NDArray[np.float32] = by_env.contiguous().numpy()
        # [B, ceil(C/16), E, 16]: the candidates side by side, those that are missing 0
        padded = F.pad(by_env, (0, 0, 0, -by_env.shape[1] % LANES))
        panels = padded.unflatten(1, (-1, LANES)).transpose(2, 3).contiguous()
        self.panels: NDArray[np.float32] = panels.numpy()


@vectorised
def _cross_entropy(row, count, positive, weight, best, total):  # type: ignore[no-untyped-def]
    """Loss and credit of one row of logits, which become the gradient of weight * loss.

    Sums and maxima are of 16 columns each first, in `best` and `total`: for these the compiler has
    vectors.
    """
    row[count:] = -np.inf
    best[:], total[:] = -np.inf, 0
    for at in range(0, len(row), LANES):
        for j in range(LANES):
            best[j] = max(best[j], row[at + j])
    highest, chosen = best.max(), row[positive]
    for c in range(len(row)):
        e = exp(max(row[c] - highest, np.float32(-NEGLIGIBLE_NATS)))
        row[c] = e if e >= np.float32(NEGLIGIBLE_PROBABILITY) else e * np.float32(0)
    for at in range(0, len(row), LANES):
        for j in range(LANES):
            total[j] += row[at + j]
    ties = 0
    for c in range(len(row)):
        ties += row[c] == np.float32(1)
    correct = np.float32(1) / ties if row[positive] == np.float32(1) else np.float32(0)
    whole = total.sum()
    scale = weight / whole
    for c in range(len(row)):
        row[c] *= scale
    row[positive] -= weight
    return np.log(whole) + (highest - chosen), correct


@njit(nogil=True, cache=True)
def score(  # type: ignore[no-untyped-def]
    predictions, rows, panels, target_rows, weights, pair_loss, correct, grad_embedding
):
    """InfoNCE of a block of k horizons and a anchors.

    Args:
        predictions: [B, a, k, E] float32; becomes its gradient.
        rows, panels: of `Candidates`.
        target_rows: [k, a] int64, the positive's row.
        weights: [k, a, B] float32, what each pair's loss counts.
        pair_loss, correct: receive [k, a, B], as of `infonce`.
        grad_embedding: [B, C, E]; the gradient is added.
    """
    B, A, K, E = predictions.shape
    C, line = rows.shape[1], panels.shape[1] * LANES
    scores, of_candidates = np.empty((A * K, line), np.float32), np.empty((C, E), np.float32)
    best, total = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    zeros = np.zeros(LANES, np.float32)
    s, g = scores.reshape(-1), of_candidates.reshape(-1)
    for b in range(B):
        p, z, columns = predictions[b].reshape(-1), rows[b].reshape(-1), panels[b].reshape(-1)
        for panel in range(panels.shape[1]):
            at = panel * LANES
            multiply(s, at, line, A * K, zeros, 0, p, E, 1, columns, at * E, LANES, E)
        for a in range(A):
            for k in range(K):
                pair_loss[k, a, b], correct[k, a, b] = _cross_entropy(
                    scores[a * K + k], C, target_rows[k, a], weights[k, a, b], best, total
                )
        for at in range(0, E, LANES):
            multiply(g, at, E, C, zeros, 0, s, 1, line, p, at, E, A * K)
        grad_embedding[b] += of_candidates
        for at in range(0, E, LANES):
            multiply(p, at, E, A * K, zeros, 0, s, line, 1, z, at, E, C)
