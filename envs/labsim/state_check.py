"""Whether a state that came from a file may be handed to compiled code, which checks nothing."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from envs.labsim.level import Level
from envs.labsim.scene import NONE

LARGEST = 1.0e9  # of any number with a fraction: `scene.NOWHERE`
FARTHEST = 1.0e4  # units from 0 that a player comes to in any direction
ON_MAP = ("player", "fighter", "item")  # those whose places lead to a cell of the map ..
SPAWNS = "spawns"  # .. and these, x and y beside each other
ENDLESS = "game.ends_after"  # a time that is infinite while nothing ends the episode


def check_state(level: Level, state: Mapping[str, NDArray]) -> None:
    """Raise ValueError, in a sentence, unless `state` is one of this level and of as many worlds.

    Its arrays have their names, shapes and types; numbers are finite, players, items and spawn
    points are on the map, and what leads to a place in an array is within the array.
    """
    own = level.state()
    forms = {name: (array.shape, array.dtype) for name, array in own.items()}
    if forms != {name: (np.shape(x), getattr(x, "dtype", None)) for name, x in state.items()}:
        raise ValueError(f"this is not a state of {len(level.players)} environments of this level")
    for name, array in state.items():
        group, _, field = name.partition(".")
        largest = np.inf if name == ENDLESS else LARGEST
        if array.dtype.kind == "f" and not (np.abs(array) <= largest).all():  # NaN is not
            raise ValueError(f"{name} holds numbers that are not finite or too large")
        if group in ON_MAP and field in ("x", "y"):
            _require_on_map(level, name, array, "xy".index(field))
        if group in ON_MAP and field == "z" and (np.abs(array) > FARTHEST).any():
            raise ValueError(f"{name} holds heights outside of the map")
        if field.endswith("texture"):
            _require_between(name, array, NONE, len(level.scene.mips) - 1)
        if name == SPAWNS:
            for axis in (0, 1):
                _require_on_map(level, name, array[..., axis], axis)
    for name, (low, high) in level.index_limits().items():
        _require_between(name, state[name], low, high)


def _require_on_map(level: Level, name: str, places: NDArray, axis: int) -> None:
    """Raise ValueError unless x (axis 0) or y of things lie within the grid of their world.

    A grid of one cell stands for open ground without end.
    """
    low, high = -FARTHEST, FARTHEST
    rows_columns = level.scene.solid.shape[1:]
    if rows_columns != (1, 1):
        low = level.scene.grid[:, axis].min()
        high = low + level.scene.grid[:, 2].max() * rows_columns[1 - axis]
    if not ((places >= low) & (places <= high)).all():
        raise ValueError(f"{name} holds places outside of the map")


def _require_between(name: str, numbers: NDArray, low: int, high: int) -> None:
    if numbers.size and not (low <= numbers.min() and numbers.max() <= high):
        raise ValueError(f"{name} holds numbers outside of {low} to {high}")
