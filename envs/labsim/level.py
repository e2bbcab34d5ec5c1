"""What the vector environment needs of a level."""

from typing import Any, Protocol

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from envs.labsim.scene import Scene
from envs.labsim.world import StepOut


class Level(Protocol):
    """The rules of a level for a batch of B environments.

    Everything that happens in environment i depends on its seed and its actions only, so that
    neither the number of threads nor the other environments matter.
    """

    episode_steps: int  # agent steps until the level's clock ends an episode
    clocks: tuple[int, int]  # of a map just loaded, see `load_clocks`
    players: NDArray  # [B] of dtype PLAYER
    scene: Scene
    rules: Any  # a named tuple of the arrays that `step` works with; see `advances`

    def seed(self, i: int, seed: int) -> None:
        """Start the random stream of environment i; seeds are in 0 .. 2^64 - 1."""

    def begin(self, i: int, length_steps: int = ...) -> None:
        """Begin an episode of environment i; its clock ends it after `length_steps`."""

    def step(
        self,
        actions: NDArray[np.int64],
        out: StepOut,
        start: int,
        stop: int,
        num_frames: int = ...,
    ) -> None:
        """Advance environments start .. stop - 1 by some frames, at most to their episodes' ends.

        `actions` [B, 4]: look (pixels a frame), strafe, move and fire of raw DeepMind Lab actions.
        """

    def place(self, i: int, pose: NDArray[np.float64], velocity: NDArray[np.float64]) -> None:
        """Put player i at pose (x, y, yaw in degrees) with a world-frame velocity (x, y)."""

    def place_target(self, i: int, target: NDArray[np.float64]) -> None:
        """Put what is to be found at target (x, y); ValueError if the level has no such thing."""

    def restart_clock(self, i: int) -> None:
        """Let the episode of environment i begin now, at its full length."""

    def target(self, i: int) -> NDArray[np.float64] | None:
        """Where the target of environment i is, [2]; None if the level has none."""

    def is_open(self, i: int, x: float, y: float) -> bool:
        """Whether a player may stand at (x, y) in environment i."""

    def state(self) -> dict[str, NDArray]:
        """Every array that changes while the level runs, by name; first axis B.

        `set_state` writes to them in place.
        """


def advance(rules, actions, out, start, stop, num_frames):  # type: ignore[no-untyped-def]
    """`Level.step` in compiled code, where `rules` says whose; arguments as there."""


def advances(kind: type, step: Any) -> None:
    """Let `advance` call the kernel `step` for rules that are a named tuple of this class.

    No two levels' named tuples may have fields of the same types: a compiled function that is
    called from Python tells named tuples apart by these, not by their class.
    """

    @overload(advance)
    def choose(rules, actions, out, start, stop, num_frames):  # type: ignore[no-untyped-def]
        if not isinstance(rules, types.BaseNamedTuple) or rules.instance_class is not kind:
            return None  # another level's
        return lambda rules, actions, out, start, stop, num_frames: step(
            rules, actions, out, start, stop, num_frames
        )


def put_player(
    player: np.void, pose: NDArray[np.float64], velocity: NDArray[np.float64], z: float
) -> None:
    """Give a player's record a pose (x, y, yaw in degrees), a velocity (x, y) and a height."""
    player["x"], player["y"], player["z"] = pose[0], pose[1], z
    player["yaw"] = pose[2] % 360.0
    player["vx"], player["vy"], player["vz"] = *velocity, 0.0


def fields_by_name(**records: NDArray) -> dict[str, NDArray]:
    """The fields of structured arrays as `state` names them: "player.x" of player=players."""
    return {
        f"{name}.{field}": array[field]
        for name, array in records.items()
        for field in array.dtype.names or ()
    }
