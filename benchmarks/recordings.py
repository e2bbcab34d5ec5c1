"""Recordings of the real DeepMind Lab, replayed in labsim from every recorded state.

labsim is led along a recording: at each row it is given the recorded place, heading and velocity.
The rest is its own from there: how long frames last, which doors are open, what was taken.
Platforms and bots, whose state nobody knows, are taken out of the way.
"""

from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.games import Games
from envs.labsim.collision import WALL_THICKNESS, Solids
from envs.labsim.levels.lasertag_three_opponents_small import LasertagThreeOpponentsSmall
from envs.labsim.levels.room_watermaze import RoomWatermaze
from envs.labsim.world import CLOCK_FRAMES, HALF_WIDTH, load_clocks, shift_clocks

DATA = Path(__file__).parent.parent / "tests" / "data"
SEEDS = {7001: "seed7001_uniform", 7003: "seed7003_sticky"}
UPSTREAM_NAMES = {"room_watermaze": "rooms_watermaze"}
MOVED_BY_REWARDS = ("room_watermaze", "explore_goal_locations_small")
RUNNING = 325.0  # units per engine second: faster than anybody runs who was not hit
FIGHT_STEPS = 10  # before and after a hit in which bots are near, shoot and stand in the way
FIRE = 8  # the action of those who stand still

CLEAR = 25.0  # units to a wall or door: more than a player walks in an agent step
EVENT_STEPS = 4  # before and after a reward in which platforms hold players and maps are loaded
FASTEST = 25.0  # more units than a player walks in an agent step: who moves more spawned
FIRST_STEPS = 40  # from which it is told how a recording's clocks began
OUT_OF_THE_WAY = 5000.0  # x of whatever recordings know nothing about

# Where a recording's player found what was random there.
TARGETS = {
    ("room_watermaze", 7003): (-194.19, 76.42),
    ("explore_goal_locations_small", 7003): (650.0, 750.0),
}
# Recordings whose rewards do not depend on what else was random there.
EVENTS = (*TARGETS, ("seekavoid_arena_01", 7001), ("seekavoid_arena_01", 7003))


class ReplayErrors(NamedTuple):
    """What labsim missed after replaying some agent steps from every row that allows it."""

    distance: NDArray[np.float64]  # [N] units in the plane
    yaw: NDArray[np.float64]  # [N] degrees


def load(level: str, seed: int) -> dict[str, NDArray]:
    """The arrays of a recording; tests/data/README.md lists them."""
    name = f"{UPSTREAM_NAMES.get(level, level)}_{SEEDS[seed]}"
    return dict(np.load(DATA / f"{name}.npz"))


def replay(level: str, seed: int, rows: Collection[int], steps: int) -> ReplayErrors:
    """Replay `steps` recorded actions from each of these rows."""
    trace = load(level, seed)
    errors = []
    for row, games in lead(level, seed):
        if row not in rows:
            continue
        state = games.level.state()
        kept = {name: array.copy() for name, array in state.items()}
        _clear(games)
        for action in trace["actions"][row : row + steps]:
            games.step(np.array([action], np.int64))
        missed = float(games.level.players["yaw"][0]) - trace["rot"][row + steps, 1]
        distance = np.hypot(*(games.xy()[0] - trace["pos"][row + steps, :2]))
        errors.append((distance, abs((missed + 180.0) % 360.0 - 180.0)))
        for name, array in state.items():
            array[...] = kept[name]
    distances, yaws = np.array(errors, np.float64).reshape(-1, 2).T
    return ReplayErrors(distances, yaws)


def drift(level: str, seed: int) -> NDArray[np.float64]:
    """Units by which labsim misses each row [N - 1] if it knows the first row and all actions.

    Ends before a reward moves the player, which may be at once.
    """
    trace = load(level, seed)
    games = next(games for _, games in lead(level, seed))
    _clear(games)
    last = len(trace["pos"]) - 1
    if level in MOVED_BY_REWARDS:
        last = min([last, *(np.flatnonzero(trace["rewards"]) - EVENT_STEPS).tolist()])
    missed = np.empty(last)
    for row in range(last):
        games.step(trace["actions"][row : row + 1].astype(np.int64))
        missed[row] = np.hypot(*(games.xy()[0] - trace["pos"][row + 1, :2]))
    return missed


def lead(level: str, seed: int) -> Iterator[tuple[int, Games]]:
    """Lead labsim along a recording, and give it at each row.

    It is put on the recorded path, except while a platform holds the player.
    """
    trace, games = load(level, seed), Games(level, [seed])
    _start_clocks(games, clock_start(level, seed))
    if (level, seed) in TARGETS:
        games.level.place_target(0, np.array(TARGETS[level, seed]))
    else:
        _clear(games)
    for row in range(len(trace["pos"])):
        held = isinstance(games.level, RoomWatermaze) and games.level.platforms["touched_ms"] >= 0
        if not held:
            place_as_recorded(games, trace, row)
        yield row, games
        if row < len(trace["actions"]):
            games.step(trace["actions"][row : row + 1].astype(np.int64))


@cache
def clock_start(level: str, seed: int) -> int:
    """How many frames past a level's usual start a recording's clocks began, 0 .. 74.

    That is the start with the smallest errors of single agent steps at the recording's begin.
    """
    trace, games = load(level, seed), Games(level, [seed])
    _clear(games)
    steps = min(FIRST_STEPS, len(trace["pos"]) - 1)
    if level in MOVED_BY_REWARDS:
        steps = min([steps, *np.flatnonzero(trace["rewards"]).tolist()])
    missed = np.empty((CLOCK_FRAMES, steps))
    for frames in range(CLOCK_FRAMES):
        _start_clocks(games, frames)
        for row in range(steps):
            place_as_recorded(games, trace, row)
            games.step(trace["actions"][row : row + 1].astype(np.int64))
            missed[frames, row] = np.hypot(*(games.xy()[0] - trace["pos"][row + 1, :2]))
    # What a clock does not explain (a wall, a hit) counts little.
    return int(np.minimum(missed, 1.0).mean(axis=1).round(3).argmin())


def _start_clocks(games: Games, frames: int) -> None:
    """Let the clocks of player 0 begin so many frames past the level's usual start."""
    player = games.level.players[0]
    load_clocks(player, games.level.clocks)
    shift_clocks(player, frames)
    player["frame"] = 0


def living_rows(level: str, trace: dict[str, NDArray], steps: int) -> list[int]:
    """Rows from which the player, for some steps, lives and walks on the floor.

    No platform holds him then, and no map is loaded.
    """
    pos, actions = trace["pos"], trace["actions"]
    living = pos[:, 2] < np.median(pos[:, 2]) + 0.01
    if level in MOVED_BY_REWARDS:
        for event in np.flatnonzero(trace["rewards"]).tolist():
            living[max(event - EVENT_STEPS, 0) : event + EVENT_STEPS] = False
    living[1:] &= np.hypot(*np.diff(pos[:, :2], axis=0).T) < FASTEST
    # The dead neither move nor turn, whatever they do.
    still = (np.diff(pos, axis=0) == 0.0).all(axis=1) & (np.diff(trace["rot"][:, 1]) == 0.0)
    living[:-1] &= ~still | (actions[: len(still)] == FIRE)
    return _runs(living, steps)


def free_rows(level: str, trace: dict[str, NDArray], solids: Solids, steps: int) -> list[int]:
    """Those living rows whose path is away from walls and, in lasertag, from hits and shoves."""
    free = wall_gap(trace["pos"][:, :2], solids) > CLEAR
    if level == "lasertag_three_opponents_small":
        hit = (np.hypot(*trace["vel"][:, :2].T) > RUNNING) | (trace["vel"][:, 2] != 0.0)
        for event in np.flatnonzero(hit).tolist():
            free[max(event - FIGHT_STEPS, 0) : event + FIGHT_STEPS] = False
    living = living_rows(level, trace, steps)
    return sorted(set(living) & set(_runs(free, steps)))


def _runs(fit: NDArray[np.bool_], steps: int) -> list[int]:
    """Rows that are fit, as are `steps` more after them."""
    return [row for row in range(len(fit) - steps) if fit[row : row + steps + 1].all()]


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


def place_as_recorded(games: Games, trace: dict[str, NDArray], row: int) -> None:
    """Give player 0 the place, heading and velocity of a row.

    Recorded velocities are relative to the heading; the engine's are whole numbers along x and y.
    """
    yaw = trace["rot"][row, 1]
    ahead, left = trace["vel"][row, :2]
    cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    velocity = np.rint([ahead * cos - left * sin, ahead * sin + left * cos])
    games.level.place(0, np.array([*trace["pos"][row, :2], yaw]), velocity)


def rewarded_steps(level: str, seed: int) -> tuple[list[int], list[int]]:
    """Steps at which a recording was rewarded, and the same in labsim."""
    recorded = np.flatnonzero(load(level, seed)["rewards"]).tolist()
    rewarded = []
    for row, games in lead(level, seed):
        if row > 0 and games.out.reward[0] != 0:
            rewarded.append(row - 1)
        if row == recorded[-1] + 10:
            break
    return recorded, rewarded


def _clear(games: Games) -> None:
    """Take out of the way what the recording knows nothing about."""
    level = games.level
    if isinstance(level, RoomWatermaze):
        level.place_target(0, np.array([OUT_OF_THE_WAY, 0.0]))
    if isinstance(level, LasertagThreeOpponentsSmall):
        bots = level.fighters[0, 1:]
        bots["alive"], bots["died_ms"], bots["press_ms"] = False, 2**40, 2**40
        level.solids.boxes[0, 1:] = -1.0
