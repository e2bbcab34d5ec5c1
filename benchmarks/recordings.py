"""Recordings of the real DeepMind Lab, replayed in labsim from every recorded state.

What labsim is put back to at a row is all that the recording knows: the player's place, heading and
velocity, and from the row's number what his clock shows. Platforms and bots, whose state it does
not know, are taken out of the way.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.rules import Rules
from envs.labsim.collision import WALL_THICKNESS, Solids
from envs.labsim.levels.lasertag_three_opponents_small import LasertagThreeOpponentsSmall
from envs.labsim.levels.room_watermaze import RoomWatermaze
from envs.labsim.world import HALF_WIDTH

DATA = Path(__file__).parent.parent / "tests" / "data"
SEEDS = {7001: "seed7001_uniform", 7003: "seed7003_sticky"}
UPSTREAM_NAMES = {"room_watermaze": "rooms_watermaze"}
MOVED_BY_REWARDS = ("room_watermaze", "explore_goal_locations_small")
RUNNING = 325.0  # units per engine second: faster than anybody runs who was not hit
FIGHT_STEPS = 10  # before and after a hit in which bots are near, shoot and stand in the way
FIRE = 8  # the action of those who stand still

CLEAR = 25.0  # units to a wall or door: more than a player walks in an agent step
EVENT_STEPS = 5  # before and after a reward in which platforms hold players and maps are loaded
FASTEST = 25.0  # more units than a player walks in an agent step: who moves more spawned
OUT_OF_THE_WAY = 5000.0  # x of whatever recordings know nothing about
CLOCKS = ("server_debt", "lag_ms")  # how long frames last; see `world.pass_frame`

# Recordings whose rewards do not depend on what was random there: level, seed, and the target.
EVENTS: tuple[tuple[str, int, tuple[float, float] | None], ...] = (
    ("room_watermaze", 7003, (-194.19, 76.42)),  # where the recorded visit held the player
    ("explore_goal_locations_small", 7003, (650.0, 750.0)),
    ("seekavoid_arena_01", 7001, None),
    ("seekavoid_arena_01", 7003, None),
)


class ReplayErrors(NamedTuple):
    """What labsim missed after replaying some agent steps from every row that allows it."""

    distance: NDArray[np.float64]  # [N] units in the plane
    yaw: NDArray[np.float64]  # [N] degrees


def load(level: str, seed: int) -> dict[str, NDArray]:
    """The arrays of a recording; tests/data/README.md lists them."""
    name = f"{UPSTREAM_NAMES.get(level, level)}_{SEEDS[seed]}"
    return dict(np.load(DATA / f"{name}.npz"))


def replay(level: str, seed: int, steps: int) -> ReplayErrors:
    """Replay `steps` recorded actions from each row whose whole path is free; see `free_rows`."""
    trace = load(level, seed)
    rules = Rules(level, [seed])
    start = {name: array.copy() for name, array in rules.level.state().items()}
    solids: Solids = rules.level.solids  # type: ignore[attr-defined]  # every level of labsim has them
    rows = free_rows(level, trace, solids, steps)
    clocks = clocks_at_rows(level, seed)
    errors = np.empty((len(rows), 2))
    for k, row in enumerate(rows):
        for name, array in rules.level.state().items():
            array[...] = start[name]
        _clear(rules)
        place_as_recorded(rules, trace, row)
        for name, clock in zip(CLOCKS, clocks[row], strict=True):
            rules.level.players[name] = clock
        for action in trace["actions"][row : row + steps]:
            rules.step(np.array([action], np.int64))
        missed = float(rules.level.players["yaw"][0]) - trace["rot"][row + steps, 1]
        errors[k, 0] = np.hypot(*(rules.xy()[0] - trace["pos"][row + steps, :2]))
        errors[k, 1] = abs((missed + 180.0) % 360.0 - 180.0)
    return ReplayErrors(errors[:, 0], errors[:, 1])


def free_rows(level: str, trace: dict[str, NDArray], solids: Solids, steps: int) -> list[int]:
    """Rows from which the player, for some steps, lives and walks on the floor, away from walls.

    No platform holds him then, and no map is loaded.
    """
    pos, actions = trace["pos"], trace["actions"]
    free = (wall_gap(pos[:, :2], solids) > CLEAR) & (pos[:, 2] < np.median(pos[:, 2]) + 0.01)
    if level in MOVED_BY_REWARDS:
        for event in np.flatnonzero(trace["rewards"]).tolist():
            free[max(event - EVENT_STEPS, 0) : event + EVENT_STEPS] = False
    free[1:] &= np.hypot(*np.diff(pos[:, :2], axis=0).T) < FASTEST
    if level == "lasertag_three_opponents_small":
        hit = (np.hypot(*trace["vel"][:, :2].T) > RUNNING) | (trace["vel"][:, 2] != 0.0)
        for event in np.flatnonzero(hit).tolist():
            free[max(event - FIGHT_STEPS, 0) : event + FIGHT_STEPS] = False
    # The dead neither move nor turn, whatever they do.
    still = (np.diff(pos, axis=0) == 0.0).all(axis=1) & (np.diff(trace["rot"][:, 1]) == 0.0)
    free[:-1] &= ~still | (actions[: len(still)] == FIRE)
    last = len(pos) - 1 - steps
    return [row for row in range(last + 1) if free[row : row + steps + 1].all()]


def wall_gap(xy: NDArray[np.float64], solids: Solids) -> NDArray[np.float64]:
    """Units between players' boxes at xy [N, 2] and the nearest wall or box of world 0, [N]."""
    walls, boxes = solids.walls[0], solids.boxes[0]
    gaps = [xy @ wall[:2] - wall[2] for wall in walls]
    west, south, cell = solids.grid[0]
    for row, column in np.argwhere(solids.cells[0]):
        middle = np.array([west, south]) + cell * np.array([column + 0.5, row + 0.5])
        gaps.append(np.abs(xy - middle).max(axis=1) - 0.5 * cell - WALL_THICKNESS - HALF_WIDTH)
    for box in boxes[boxes[:, 2] >= 0.0]:
        gaps.append((np.abs(xy - box[:2]) - box[2:]).max(axis=1) - HALF_WIDTH)
    return np.min(gaps, axis=0)


def place_as_recorded(rules: Rules, trace: dict[str, NDArray], row: int) -> None:
    """Give player 0 the place, heading and velocity of a row.

    Recorded velocities are relative to the heading; the engine's are whole numbers along x and y.
    """
    yaw = trace["rot"][row, 1]
    ahead, left = trace["vel"][row, :2]
    cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    velocity = np.rint([ahead * cos - left * sin, ahead * sin + left * cos])
    rules.level.place(0, np.array([*trace["pos"][row, :2], yaw]), velocity)


def rewarded_steps(
    level: str, seed: int, target: tuple[float, float] | None
) -> tuple[list[int], list[int]]:
    """Steps at which a recording was rewarded, and the same in labsim.

    labsim is put on the recorded path at every row, except while a platform holds the player.
    """
    recorded = np.flatnonzero(load(level, seed)["rewards"]).tolist()
    rewards, _ = _follow(level, seed, target, recorded[-1] + 10)
    return recorded, np.flatnonzero(rewards).tolist()


def clocks_at_rows(level: str, seed: int) -> NDArray[np.int64]:
    """What the player's clock shows at each row: [N, 2], named by CLOCKS.

    It depends on nothing but the number of frames since the map was (re)loaded.
    """
    targets = {(name, number): target for name, number, target in EVENTS}
    target = targets.get((level, seed), (OUT_OF_THE_WAY, 0.0))
    if level not in MOVED_BY_REWARDS:
        target = None
    return _follow(level, seed, target, len(load(level, seed)["pos"]))[1]


def _follow(
    level: str, seed: int, target: tuple[float, float] | None, last: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Step labsim through a recording's first rows: rewards [last], clocks at rows [last, 2]."""
    trace, rules = load(level, seed), Rules(level, [seed])
    if target is not None:
        rules.level.place_target(0, np.array(target))
    last = min(last, len(trace["pos"]))
    rewards, clocks = np.zeros(last, np.float32), np.empty((last, len(CLOCKS)), np.int64)
    for t in range(last):
        held = isinstance(rules.level, RoomWatermaze) and rules.level.platforms["touched_ms"] >= 0
        if not held:
            place_as_recorded(rules, trace, t)
        clocks[t] = [rules.level.players[name][0] for name in CLOCKS]
        if t < len(trace["actions"]):
            rewards[t] = rules.step(trace["actions"][t : t + 1].astype(np.int64))[0]
    return rewards, clocks


def _clear(rules: Rules) -> None:
    """Take out of the way what the recording knows nothing about."""
    level = rules.level
    if isinstance(level, RoomWatermaze):
        level.place_target(0, np.array([OUT_OF_THE_WAY, 0.0]))
    if isinstance(level, LasertagThreeOpponentsSmall):
        bots = level.fighters[0, 1:]
        bots["alive"], bots["died_ms"], bots["press_ms"] = False, 2**40, 2**40
        level.solids.boxes[0, 1:] = -1.0
