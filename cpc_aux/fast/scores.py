"""From predictions to InfoNCE and its gradients, compiled.

`negatives`, `infonce` and autograd are the truth. There each of some fifty operations
goes through memory once more, and threads of Python take turns at them.
"""

import numpy as np

from compiled.blocks import LANES, transpose
from compiled.cache import kernel, vectorised
from compiled.products import exp, multiply
from cpc_aux.infonce import NEGLIGIBLE_NATS

SEQUENCE, SAME_STEP, OTHERS, POOL = range(4)
ZEROS = np.zeros(LANES, np.float32)
NEGLIGIBLE_PROBABILITY = 1e-26  # just above exp(-NEGLIGIBLE_NATS)


@kernel
def lay_side_by_side(x, step, count, panels):  # type: ignore[no-untyped-def]
    """Put `count` rows of x, `step` numbers apart, side by side: [ceil(count/16), E, 16].

    What is missing in the last panel becomes 0. 16 must divide E.
    """
    E, flat = panels.shape[1], panels.reshape(-1)
    for p in range(count // LANES):
        for e in range(0, E, LANES):
            transpose(x, p * LANES * step + e, step, flat, (p * E + e) * LANES, LANES)
    rest = count % LANES
    if rest:
        panels[-1, :, rest:] = 0
        for e in range(E):
            for j in range(rest):
                panels[-1, e, j] = x[(count - rest + j) * step + e]


@kernel
def lay_sets_side_by_side(sets, panels):  # type: ignore[no-untyped-def]
    """The candidates of each set, [N, C, E], through `lay_side_by_side`."""
    for n in range(len(sets)):
        lay_side_by_side(sets[n].reshape(-1), sets.shape[2], sets.shape[1], panels[n])


@vectorised
def _cross_entropy(row, positive, weight, best, total):  # type: ignore[no-untyped-def]
    """Loss, credit and number of candidates of one row of logits; -inf is no candidate.

    The row becomes the gradient of weight * loss. Sums and maxima are of 16 columns each first, in
    `best` and `total`: for these the compiler has vectors.
    """
    best[:], total[:] = -np.inf, 0
    for at in range(0, len(row), LANES):
        for j in range(LANES):
            best[j] = max(best[j], row[at + j])
            total[j] += np.float32(row[at + j] > -np.inf)
    highest, chosen, count = best.max(), row[positive], total.sum()
    total[:] = 0
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
    return np.log(whole) + (highest - chosen), correct, count


@kernel
def _logits(predictions, panels, logits):  # type: ignore[no-untyped-def]
    """predictions [n, E] times candidates, laid side by side, to logits [n, ceil(C/16)*16]."""
    n, E = predictions.shape
    x, y, out, width = (
        predictions.reshape(-1),
        panels.reshape(-1),
        logits.reshape(-1),
        logits.shape[1],
    )
    for at in range(0, width, LANES):
        multiply(out, at, width, n, ZEROS, 0, 0, x, E, 1, y, at * E, LANES, E)


@kernel
def _gradients(grad, predictions, candidates, of_candidates):  # type: ignore[no-untyped-def]
    """Given the gradient of the logits, overwrite the predictions [n, E] with theirs.

    of_candidates receives that of the candidates [C, E].
    """
    (n, E), C, width = predictions.shape, len(candidates), grad.shape[1]
    s, p = grad.reshape(-1), predictions.reshape(-1)
    z, of_z = candidates.reshape(-1), of_candidates.reshape(-1)
    for at in range(0, E, LANES):
        multiply(of_z, at, E, C, ZEROS, 0, 0, s, 1, width, p, at, E, n)
    for at in range(0, E, LANES):
        multiply(p, at, E, n, ZEROS, 0, 0, s, width, 1, z, at, E, C)


@kernel
def score_environment(  # type: ignore[no-untyped-def]
    env, horizons, num_anchors, p, ends, candidates, panels, target_rows, weights, of_pairs,
    replaces, grad_candidates,
):  # fmt: skip
    """`sequence`: the pairs of one environment, scored against its rollout.

    Args:
        env, horizons, num_anchors: which pairs: of each horizon the first anchors.
        p: [..., E], predictions, which become their gradients; of horizon k those that end before
            row ends[k].
        candidates, panels: [C, E], and laid side by side.
        target_rows, weights: [K, A] and [K, A, B], as of `horizons.score_horizons`.
        of_pairs: [3, K, A, B], receives loss, credit and number of candidates.
        replaces: whether the gradient replaces what is in grad_candidates; else it is added.
        grad_candidates: [C, E].
    """
    n = num_anchors[horizons].sum()
    predictions = np.empty((n, p.shape[1]), np.float32)
    logits = np.empty((n, len(panels) * LANES), np.float32)
    of_candidates = grad_candidates if replaces else np.empty_like(grad_candidates)
    best, total = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    at = 0
    for k, h in enumerate(horizons):
        A = num_anchors[h]
        predictions[at : at + A] = p[ends[k] - A : ends[k]]
        at += A
    _logits(predictions, panels, logits)
    logits[:, len(candidates) :] = -np.inf
    at = 0
    for h in horizons:
        for a in range(num_anchors[h]):
            if weights[h, a, env] == 0:
                logits[at] = 0
            else:
                loss, correct, count = _cross_entropy(
                    logits[at], target_rows[h, a], weights[h, a, env], best, total
                )
                of_pairs[0, h, a, env], of_pairs[1, h, a, env] = loss, correct
                of_pairs[2, h, a, env] = count
            at += 1
    _gradients(logits, predictions, candidates, of_candidates)
    if not replaces:
        grad_candidates += of_candidates
    at = 0
    for k, h in enumerate(horizons):
        A = num_anchors[h]
        p[ends[k] - A : ends[k]] = predictions[at : at + A]
        at += A


@kernel
def score_anchors(  # type: ignore[no-untyped-def]
    kind, start, stop, p, steps, panels, target_rows, weights, of_pairs, grad_steps
):  # fmt: skip
    """SAME_STEP, OTHERS and POOL: the pairs of one horizon and the anchors start..stop.

    Args:
        p: [stop - start, B, E], predictions, which become their gradients.
        steps, panels: [T+1, B, E], all embeddings, and each step's laid side by side.
        target_rows: [A'] int64, of all anchors that have their target in the rollout.
        weights: [A', B].
        of_pairs: [3, A', B], receives loss, credit and number of candidates.
        grad_steps: [T+1, B, E]; the gradient is added.
    """
    A, B, E = len(target_rows), steps.shape[1], steps.shape[2]
    best, total = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    candidates, columns = steps[0], panels[0]
    if kind != SAME_STEP:  # all anchors' targets
        candidates = steps[target_rows].reshape(-1, E)
        columns = np.empty((-(-A * B // LANES), E, LANES), np.float32)
        lay_side_by_side(candidates.reshape(-1), E, A * B, columns)
    logits = np.empty((B, len(columns) * LANES), np.float32)
    of_candidates = np.empty_like(candidates)
    for a in range(start, stop):
        if kind == SAME_STEP:
            candidates, columns = steps[target_rows[a]], panels[target_rows[a]]
        _logits(p[a - start], columns, logits)
        logits[:, len(candidates) :] = -np.inf
        for b in range(B):
            row = logits[b]
            if weights[a, b] == 0:
                row[:] = 0
                continue
            for c in range(len(candidates)):
                other, env = (a, c) if kind == SAME_STEP else (c // B, c % B)
                if weights[other, env] == 0 or (kind == OTHERS and env == b and other != a):
                    row[c] = -np.inf
            positive = b if kind == SAME_STEP else a * B + b
            of_pairs[0, a, b], of_pairs[1, a, b], of_pairs[2, a, b] = _cross_entropy(
                row, positive, weights[a, b], best, total
            )
        _gradients(logits, p[a - start], candidates, of_candidates)
        if kind == SAME_STEP:
            grad_steps[target_rows[a]] += of_candidates
        else:
            for other in range(A):
                grad_steps[target_rows[other]] += of_candidates[other * B : (other + 1) * B]
