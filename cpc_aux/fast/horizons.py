"""What `fast.infonce` computes, compiled: some horizons' predictions, losses and gradients."""

import numpy as np

from compiled.blocks import LANES, fetch, transpose
from compiled.cache import kernel
from compiled.products import multiply
from cpc_aux.fast.scores import (
    SEQUENCE,
    ZEROS,
    lay_side_by_side,
    score_anchors,
    score_environment,
)

# Pairs whose predictions are held at once. With 256 units 4 MB, more than a core's own cache holds,
# but an environment's candidates, once read, serve as many pairs as possible.
PAIRS_AT_ONCE = 4096
# Rows of a product at once: 0.5 MB, which with a map and its gradient stay in that cache.
ROWS_AT_ONCE = 512


@kernel
def score_horizons(  # type: ignore[no-untyped-def]
    kind, horizons, num_anchors, context, maps, sets, panels, target_rows, weights, of_pairs,
    grad_maps, grad_context, grad_sets,
):  # fmt: skip
    """InfoNCE of all pairs of some horizons, and its gradients.

    Args:
        kind: SEQUENCE, SAME_STEP, OTHERS or POOL.
        horizons: [k] int64, of k-1 = 0..K-1, ascending.
        num_anchors: [K] int64, how many anchors have their target in the rollout; at least 1.
        context: [B, A, H] float32 for SEQUENCE, else [A, B, H].
        maps: [K, H, E] float32.
        sets: [B, T+1, E] float32 for SEQUENCE, else [T+1, B, E].
        panels: of each set, from `lay_sets_side_by_side`.
        target_rows: [K, A] int64, the positive's row.
        weights: [K, A, B] float32, what each pair's loss counts; 0 for invalid pairs.
        of_pairs: [3, K, A, B] float32, receives loss, credit and number of candidates of each
            valid pair.
        grad_maps: [K, H, E]; receives the gradient for these horizons.
        grad_context: as context; the gradient is added.
        grad_sets: as sets; receives the gradient for SEQUENCE, for the others it is added.
    """
    most = num_anchors[horizons].max()
    # A group is an environment or an anchor, whatever comes first in `context`.
    groups, rows = (len(context), most) if kind == SEQUENCE else (most, context.shape[1])
    groups_at_once = min(groups, max(1, ROWS_AT_ONCE // rows))
    horizons_at_once = max(1, PAIRS_AT_ONCE // (groups_at_once * rows))
    for start in range(0, groups, groups_at_once):
        for first in range(0, len(horizons), horizons_at_once):
            _score_groups(
                kind, horizons[first : first + horizons_at_once], num_anchors,
                start, min(start + groups_at_once, groups),
                context, maps, sets, panels, target_rows, weights, of_pairs,
                grad_maps, grad_context, first == 0, grad_sets,
            )  # fmt: skip


@kernel
def _part(kind, x, start, stop, num_anchors):  # type: ignore[no-untyped-def]
    """The first anchors of x, as `context`, within groups start..stop; without a copy if it can."""
    if kind == SEQUENCE:
        return np.ascontiguousarray(x[start:stop, :num_anchors])
    return x[start : max(start, min(stop, num_anchors))]


@kernel
def _score_groups(  # type: ignore[no-untyped-def]
    kind, horizons, num_anchors, start, stop, context, maps, sets, panels, target_rows, weights,
    of_pairs, grad_maps, grad_context, replaces, grad_sets,
):  # fmt: skip
    """As `score_horizons`, for the groups start..stop.

    replaces: whether SEQUENCE's gradient replaces what is in grad_sets, as it does for the first
    horizons; for others it is added.
    """
    H, E = maps.shape[1:]
    starts = np.zeros(len(horizons) + 1, np.int64)  # of each horizon's rows in p
    for k, h in enumerate(horizons):
        A = num_anchors[h]
        groups, rows = stop - start, A
        if kind != SEQUENCE:
            groups, rows = max(0, min(stop, A) - start), context.shape[1]
        starts[k + 1] = starts[k] + groups * rows

    p = np.empty((starts[-1], E), np.float32)  # predictions, later their gradients
    for k, h in enumerate(horizons):
        S = starts[k + 1] - starts[k]
        x = _part(kind, context, start, stop, num_anchors[h]).reshape(-1)
        of_k, w = p[starts[k] : starts[k + 1]].reshape(-1), maps[h].reshape(-1)
        for at in range(0, E, LANES):
            multiply(of_k, at, E, S, ZEROS, 0, 0, x, H, 1, w, at, E, H)
            if k + 1 < len(horizons):
                fetch(maps[horizons[k + 1]].reshape(-1), at // LANES, E // LANES)

    if kind == SEQUENCE:
        for env in range(start, stop):
            ends = starts[:-1] + (env - start + 1) * num_anchors[horizons]
            score_environment(
                env, horizons, num_anchors, p, ends, sets[env], panels[env], target_rows, weights,
                of_pairs, replaces, grad_sets[env],
            )  # fmt: skip
    else:
        for k, h in enumerate(horizons):
            A = num_anchors[h]
            of_k = p[starts[k] : starts[k + 1]].reshape(-1, sets.shape[1], E)
            score_anchors(
                kind, start, start + len(of_k), of_k, sets, panels, target_rows[h, :A],
                weights[h, :A], of_pairs[:, h, :A], grad_sets,
            )  # fmt: skip

    for k, h in enumerate(horizons):
        S = starts[k + 1] - starts[k]
        if S == 0:
            continue
        part = _part(kind, context, start, stop, num_anchors[h])
        x = part.reshape(-1)
        of_k, w, of_w = p[starts[k] : starts[k + 1]], maps[h].reshape(-1), grad_maps[h].reshape(-1)
        panel_rows = np.empty((-(-S // LANES), E, LANES), np.float32)
        lay_side_by_side(of_k.reshape(-1), E, S, panel_rows)
        for at in range(0, E, LANES):
            # The first groups begin each sum.
            source, s, step = (ZEROS, 0, 0) if start == 0 else (of_w, at, E)
            multiply(of_w, at, E, H, source, s, step, x, 1, H, of_k.reshape(-1), at, E, S)
            fetch(w, at // LANES, E // LANES)
        line = len(panel_rows) * LANES
        of_x = np.empty((H, line), np.float32)  # the rows side by side
        for at in range(0, line, LANES):
            multiply(of_x.reshape(-1), at, line, H, ZEROS, 0, 0,
                     w, E, 1, panel_rows.reshape(-1), at * E, LANES, E)  # fmt: skip
            if k + 1 < len(horizons):
                fetch(grad_maps[horizons[k + 1]].reshape(-1), at // LANES, line // LANES)
        of_rows = np.empty((line, H), np.float32)
        for i in range(0, line, LANES):
            for j in range(0, H, LANES):
                transpose(of_x.reshape(-1), j * line + i, line, of_rows.reshape(-1), i * H + j, H)
        rows = part.shape[1]
        for g in range(len(part)):
            grad_context[start + g, :rows] += of_rows[g * rows : (g + 1) * rows]
