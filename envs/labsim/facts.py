"""What is true in a labsim level at a moment: what a probe tries to read from an agent's code.

A fact is a number or a class. Numbers are float64 [B, k], and NaN where there is none (a direction
of nothing); a direction is its cosine and sine. Classes are int64 [B].
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from envs.labsim.levels.lasertag_fighters import AGENT
from envs.labsim.levels.lasertag_weapons import sees
from envs.labsim.levels.rooms_keys_doors_puzzle_rules import ABSENT, EMPTY_HANDED
from envs.labsim.levels.seekavoid_arena_01_scene import APPLES, ITEMS

VIEW_DEGREES = 90.0  # across, of the camera

State = Mapping[str, NDArray]  # of `LabsimVectorEnv.get_state`
Facts = dict[str, NDArray]


def read_facts(level: str, state: State) -> Facts:
    """The facts of `level` (its canonical name) that hold in a state of B environments.

    "position" is x, y in world units, "heading" and "direction of ..." are a cosine and a sine: of
    the angle from the world's x axis, and from where the player looks. The rest is the level's own.
    """
    player = _player(state)
    yaw = np.radians(player["yaw"])
    pose = {
        "position": np.stack([player["x"], player["y"]], axis=1),
        "heading": np.stack([np.cos(yaw), np.sin(yaw)], axis=1),
    }
    return pose | LEVEL_FACTS[level](state)


def _room_watermaze(state: State) -> Facts:
    return _whereabouts("platform", state, state["platform.x"], state["platform.y"])


def _explore_goal_locations_small(state: State) -> Facts:
    return _whereabouts("goal", state, state["maze.goal_x"], state["maze.goal_y"])


def _seekavoid_arena_01(state: State) -> Facts:
    present = state["present"]  # [B, items]
    x, y = np.broadcast_to(ITEMS.T[:, None], (2, *present.shape))
    apples, lemons = slice(None, len(APPLES)), slice(len(APPLES), None)
    return {
        **_nearest("nearest apple", state, x[:, apples], y[:, apples], present[:, apples]),
        **_nearest("nearest lemon", state, x[:, lemons], y[:, lemons], present[:, lemons]),
    }


def _rooms_keys_doors_puzzle(state: State) -> Facts:
    there = state["key.colour"] != ABSENT  # [B, keys]
    return {
        **_whereabouts("goal", state, state["game.goal_x"], state["game.goal_y"]),
        **_nearest("nearest key", state, state["key.x"], state["key.y"], there),
        "holds a key": (state["game.held"] != EMPTY_HANDED).astype(np.int64),
    }


def _lasertag_three_opponents_small(state: State) -> Facts:
    x, y, alive = (state[f"fighter.{name}"][:, AGENT + 1 :] for name in ("x", "y", "alive"))
    health = state["fighter.health"][:, AGENT, None].astype(np.float64)
    return {
        **_nearest("nearest bot", state, x, y, alive),
        "health": health,
        "sees a bot": sees_a_bot(state, VIEW_DEGREES / 2.0).astype(np.int64),
    }


def sees_a_bot(state: State, degrees: float) -> NDArray[np.bool_]:
    """Whether a living bot of laser tag stands within so many degrees of the agent's line of sight.

    [B]; of its middle, and with no wall between.
    """
    player = _player(state)
    x, y, alive = (state[f"fighter.{name}"][:, AGENT + 1 :] for name in ("x", "y", "alive"))
    bearing = np.arctan2(y - player["y"][:, None], x - player["x"][:, None])
    off = (np.degrees(bearing) - player["yaw"][:, None] + 180.0) % 360.0 - 180.0
    seen = alive & (np.abs(off) <= degrees)  # [B, bots]
    for i, k in zip(*np.nonzero(seen), strict=True):
        cells = state["solids.cells"][i]
        seen[i, k] = sees(cells, player["x"][i], player["y"][i], x[i, k], y[i, k])
    return np.asarray(seen.any(axis=1))


LEVEL_FACTS: dict[str, Callable[[State], Facts]] = {
    "room_watermaze": _room_watermaze,
    "explore_goal_locations_small": _explore_goal_locations_small,
    "seekavoid_arena_01": _seekavoid_arena_01,
    "rooms_keys_doors_puzzle": _rooms_keys_doors_puzzle,
    "lasertag_three_opponents_small": _lasertag_three_opponents_small,
}


def _player(state: State) -> dict[str, NDArray[np.float64]]:
    """The player's x, y and yaw in degrees, each [B]."""
    names = ("x", "y", "yaw")
    if "fighter.x" in state:  # of laser tag's fighters, the player is one
        return {name: state[f"fighter.{name}"][:, AGENT] for name in names}
    return {name: state[f"player.{name}"] for name in names}


def _whereabouts(thing: str, state: State, x: NDArray[np.float64], y: NDArray[np.float64]) -> Facts:
    """Distance and direction of what is at x, y, each [B]; NaN where there is nothing."""
    player = _player(state)
    dx, dy = x - player["x"], y - player["y"]
    angle = np.arctan2(dy, dx) - np.radians(player["yaw"])
    distance = np.hypot(dx, dy)
    angle = np.where(distance > 0.0, angle, np.nan)  # no direction of what he stands on
    return {
        f"distance to {thing}": distance[:, None],
        f"direction of {thing}": np.stack([np.cos(angle), np.sin(angle)], axis=1),
    }


def _nearest(
    thing: str,
    state: State,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> Facts:
    """As `_whereabouts`, of the nearest of N things at x, y, each [B, N], that are present."""
    player = _player(state)
    distance = np.hypot(x - player["x"][:, None], y - player["y"][:, None])
    distance = np.where(present, distance, np.inf)
    row, nearest = np.arange(len(distance)), distance.argmin(axis=1)
    there = np.isfinite(distance[row, nearest])
    return _whereabouts(
        thing,
        state,
        np.where(there, x[row, nearest], np.nan),
        np.where(there, y[row, nearest], np.nan),
    )
