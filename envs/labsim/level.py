"""What the vector environment needs of a level, and what all levels have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from envs.frame_rate import FRAMES_PER_STEP
from envs.labsim.collision import Solids, clear_of_cells
from envs.labsim.scene import Scene
from envs.labsim.world import StepOut, random_seed


class Level(ABC):
    """The rules of a level for a batch of B environments.

    Everything that happens in environment i depends on its seed and its actions only, so that
    neither the number of threads nor the other environments matter. A level's module ends with
    `advances`, which says which kernel a step runs.
    """

    episode_steps: int  # agent steps until the level's clock ends an episode
    clocks: tuple[int, int]  # of a map just loaded, see `load_clocks`
    standing_z: float  # of the origin of a player who stands on the floor
    kernel: Callable[..., None]  # the step's, and ..
    marker: NDArray  # .. a value of a type that no other level has: both set by `advances`

    players: NDArray  # [B] of dtype PLAYER
    scene: Scene
    solids: Solids
    rules: Any  # a named tuple of the arrays that the kernel works with

    def seed(self, i: int, seed: int) -> None:
        """Start the random stream of environment i; seeds are in 0 .. 2^64 - 1."""
        self.players["rng"][i] = random_seed(np.uint64(seed))

    @abstractmethod
    def begin(self, i: int, length_steps: int = ...) -> None:
        """Begin an episode of environment i; its clock ends it after `length_steps`."""

    def step(
        self,
        actions: NDArray[np.int64],
        out: StepOut,
        start: int,
        stop: int,
        num_frames: int = FRAMES_PER_STEP,
    ) -> None:
        """Advance environments start .. stop - 1 by some frames, at most to their episodes' ends.

        `actions` [B, 4]: look (pixels a frame), strafe, move and fire of raw DeepMind Lab actions.
        """
        self.kernel(self.rules, actions, out, start, stop, num_frames)

    def place(self, i: int, pose: NDArray[np.float64], velocity: NDArray[np.float64]) -> None:
        """Put player i at pose (x, y, yaw in degrees) with a world-frame velocity (x, y)."""
        put_player(self.players[i], pose, velocity, self.standing_z)

    def place_target(self, i: int, target: NDArray[np.float64]) -> None:
        """Put what is to be found at target (x, y); ValueError if that cannot be placed."""
        raise ValueError("this level has no target, such as a goal, that can be placed")

    def restart_clock(self, i: int) -> None:
        """Let the episode of environment i begin now, at its full length."""
        player = self.players[i]
        player["frame"], player["trial_start"] = 0, 0
        player["last_frame"] = self.episode_steps * FRAMES_PER_STEP

    def target(self, i: int) -> NDArray[np.float64] | None:
        """Where the target of environment i is, [2]; None if the level has none."""
        return None

    def is_open(self, i: int, x: float, y: float) -> bool:
        """Whether a player may stand at (x, y) in environment i."""
        return clear_of_cells(self.solids, i, x, y)

    def index_limits(self) -> dict[str, tuple[int, int]]:
        """Lowest and highest of the numbers in `state` that lead to a place in an array, by name.

        Textures are known as such by their names.
        """
        return {}

    @abstractmethod
    def state(self) -> dict[str, NDArray]:
        """Every array that changes while the level runs, by name; first axis B.

        `set_state` writes to them in place.
        """


def advance(marker, rules, actions, out, start, stop, num_frames):  # type: ignore[no-untyped-def]
    """`Level.step` in compiled code, where `marker` says which level's; arguments as there."""


def advances(level: type[Level], kernel: Any) -> None:
    """Let a level, and `advance` with its marker, run a kernel in each step.

    The marker is an empty array of a record type of the level's own. The class of `rules` would not
    do: a compiled function that is called from Python knows named tuples by the types of their
    fields alone.
    """
    level.kernel = staticmethod(kernel)
    level.marker = np.empty(0, [(level.__name__, np.uint8)])

    @overload(advance)
    def choose(marker, rules, actions, out, start, stop, num_frames):  # type: ignore[no-untyped-def]
        if level.__name__ not in getattr(getattr(marker, "dtype", None), "fields", ()):
            return None  # another level's
        return lambda marker, rules, actions, out, start, stop, num_frames: kernel(
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
