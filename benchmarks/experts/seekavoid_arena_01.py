"""A player of seekavoid_arena_01 who knows the rules: he tries plans in his head, takes the best.

A plan is one action for a moment and another one after it. It is worth what it earns, less the way
that is left of a short tour through all apples, around the lemons.
"""

import itertools
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from envs.actions import ACTION_NAMES, FIRE, IMPALA_ACTIONS, LOOK, MOVE, STRAFE
from envs.labsim.items import TOUCH_EAST, TOUCH_SIDE, TOUCH_WEST
from envs.labsim.levels.seekavoid_arena_01 import NUM_APPLES, SPAWN, SeekavoidArena01
from envs.labsim.levels.seekavoid_arena_01_scene import APPLES, LEMONS
from envs.labsim.world import StepOut

MOVES = len(ACTION_NAMES) - 1  # all actions but the last, which is to fire
PLANS = np.array(list(itertools.product(range(MOVES), repeat=2)))  # [P, 2]
STEPS = (2, 4)  # for which a plan's two actions are taken
APPLE_DISTANCE = 90.0  # units of way that are worth a reward of 1

# A chart of distances: points of a square grid around all items.
SOUTH_WEST = np.array([-240.0, -600.0])
SPACING = 8.0
SHAPE = (116, 112)  # rows along +y, columns along +x
LEMON_COST = 8.0  # how much longer a way is where a lemon is touched


class Expert:
    """Makes a plan for every agent step."""

    def __init__(self, level: SeekavoidArena01, i: int) -> None:
        self.level, self.i = level, i

    def act(self) -> int:
        """Choose the next of IMPALA's nine actions."""
        imagined, out = _imagination()
        for own, other in (
            (imagined.players, self.level.players),
            (imagined.arenas, self.level.arenas),
            (imagined.present, self.level.present),
        ):
            own[:] = other[self.i]
        apples_left = int(self.level.arenas["apples_left"][self.i])
        earned, worth = np.zeros(len(PLANS)), np.zeros(len(PLANS))
        for actions, steps in zip(PLANS.T, STEPS, strict=True):
            raw = IMPALA_ACTIONS[actions][:, (LOOK, STRAFE, MOVE, FIRE)]
            for _ in range(steps):
                imagined.step(raw, out, 0, len(PLANS))
                earned += out.reward
                # At every moment, not only in the end: who only plans to go stays where he is.
                worth += earned - _distance_to_go(imagined, apples_left) / APPLE_DISTANCE
        return int(PLANS[worth.argmax(), 0])


@cache
def _imagination() -> tuple[SeekavoidArena01, StepOut]:
    """A world for each plan."""
    return SeekavoidArena01(len(PLANS)), StepOut.allocate(len(PLANS))


def _distance_to_go(level: SeekavoidArena01, apples_left: int) -> NDArray[np.float64]:
    """How long the rest of the tour is for players, [B] units; below 0 in the next tour."""
    order = np.array(tour())
    next_stop = level.present[:, order].argmax(axis=1)
    rest = np.append(np.cumsum(_legs()[::-1])[::-1], 0.0)  # of the tour, after each stop
    ahead = chart()[order[next_stop], *_cell(level.players["x"], level.players["y"])]
    is_next_tour = level.arenas["apples_left"] > apples_left
    return ahead + rest[next_stop] - np.where(is_next_tour, rest[0], 0.0)


@cache
def _legs() -> NDArray[np.float64]:
    """Lengths of the tour's ways from each apple to the next, [NUM_APPLES - 1] units."""
    order, places = np.array(tour()), np.array(APPLES, np.float64)
    return chart()[order[1:], *_cell(*places[order[:-1]].T)]


@cache
def chart() -> NDArray[np.float64]:
    """Lengths of ways around lemons to where each apple is touched: [NUM_APPLES, *SHAPE] units."""
    rows, columns = np.indices(SHAPE)
    x, y = SOUTH_WEST[0] + SPACING * columns, SOUTH_WEST[1] + SPACING * rows
    cost = np.where(_touched(LEMONS, x, y).any(axis=0), LEMON_COST, 1.0)
    point = np.arange(rows.size).reshape(SHAPE)
    edges = []
    for up, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        near = np.s_[: SHAPE[0] - up, max(-right, 0) : SHAPE[1] - max(right, 0)]
        far = np.s_[up:, max(right, 0) : SHAPE[1] + min(right, 0)]
        length = 0.5 * SPACING * np.hypot(up, right) * (cost[near] + cost[far])
        edges.append((length.ravel(), point[near].ravel(), point[far].ravel()))
    lengths, starts, ends = (np.concatenate(parts) for parts in zip(*edges, strict=True))
    graph = coo_array((lengths, (starts, ends)), shape=(rows.size, rows.size)).tocsr()
    ways = [
        dijkstra(graph, directed=False, indices=point[touched], min_only=True)
        for touched in _touched(APPLES, x, y)
    ]
    return np.reshape(ways, (NUM_APPLES, *SHAPE))


@cache
def tour() -> tuple[int, ...]:
    """Order of the apples: from the spawn point always to the nearest, improved by 2-opt."""
    stops = np.array([SPAWN, *APPLES])
    way = np.zeros((len(stops), len(stops)))  # from stop to stop; nobody goes back to the first
    way[:, 1:] = chart()[:, *_cell(*stops.T)].T
    order = [0]
    while len(order) <= NUM_APPLES:
        left = [k for k in range(1, NUM_APPLES + 1) if k not in order]
        order.append(min(left, key=lambda k: way[order[-1], k]))
    shorter: list[int] | None = order
    while shorter is not None:
        order = shorter
        others = (
            order[:a] + order[a:b][::-1] + order[b:]
            for a, b in itertools.combinations(range(1, NUM_APPLES + 2), 2)
        )
        length = way[order[:-1], order[1:]].sum()
        shorter = next((o for o in others if way[o[:-1], o[1:]].sum() < length - 1e-6), None)
    return tuple(k - 1 for k in order[1:])


def _touched(items: tuple, x: NDArray, y: NDArray) -> NDArray[np.bool_]:
    """Which items players at points [*SHAPE] touch, [items, *SHAPE]."""
    places = np.array(items, np.float64)[:, :, None, None]
    east, north = x - places[:, 0], y - places[:, 1]
    return (east >= TOUCH_WEST) & (east <= TOUCH_EAST) & (np.abs(north) <= TOUCH_SIDE)


def _cell(x: NDArray, y: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of the chart's points nearest to places."""
    points = np.rint((np.stack([y, x], axis=-1) - SOUTH_WEST[::-1]) / SPACING).astype(np.int64)
    rows, columns = np.clip(points, 0, np.array(SHAPE) - 1).T
    return rows, columns
