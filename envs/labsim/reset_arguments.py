"""What `LabsimVectorEnv.reset` is given: seeds, and where players and targets are to be."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.frame_rate import FRAMES_PER_STEP
from envs.labsim.level import Level

SIZES = {"pose": 3, "velocity": 2, "target": 2}
LARGEST = 1e4  # of any number: compiled code would look for what is farther beyond its arrays


def one_seed_each(seed: int | Sequence[int | None] | None, num_envs: int) -> list[int]:
    """Turn Gymnasium's forms of a seed into one number per environment; None becomes a fresh one.

    A single seed s is s + i for environment i.
    """
    if isinstance(seed, int | np.integer):
        return [int(seed) + i for i in range(num_envs)]
    seeds = [None] * num_envs if seed is None else list(seed)
    fresh = np.random.SeedSequence().generate_state(len(seeds), np.uint32)
    return [int(new) if s is None else int(s) for s, new in zip(seeds, fresh, strict=True)]


def read_options(options: dict[str, Any] | None, num_envs: int) -> dict[str, NDArray[np.float64]]:
    """Check the options and give each as an array [B, n]; ValueError says what is wrong."""
    places = {}
    for name, value in (options or {}).items():
        if name not in SIZES:
            raise ValueError(f"unknown reset option '{name}': allowed are {', '.join(SIZES)}")
        array = np.asarray(value, np.float64)
        shapes = ((SIZES[name],), (num_envs, SIZES[name]))
        if array.shape not in shapes or not (np.abs(array) <= LARGEST).all():  # NaN is not
            raise ValueError(
                f"reset option '{name}' is {value}, not {SIZES[name]} numbers of at most "
                f"{LARGEST:,.0f} in size"
            )
        places[name] = np.broadcast_to(array, (num_envs, SIZES[name]))
    if "velocity" in places and "pose" not in places:
        raise ValueError("reset option 'velocity' needs a 'pose'")
    return places


def put_in_place(
    level: Level, i: int, places: dict[str, NDArray[np.float64]], episode_steps: int
) -> None:
    """Put player and target of environment i where the options say; its clock starts anew.

    Raises ValueError for a pose inside a wall and for a target that cannot be placed.
    """
    if "target" in places:
        level.place_target(i, places["target"][i])
    if "pose" in places:
        pose = places["pose"][i]
        if not level.is_open(i, pose[0], pose[1]):
            raise ValueError(f"the pose {tuple(pose.tolist())} is not inside the level's walls")
        angle = np.radians(pose[2])
        ahead, left = places["velocity"][i] if "velocity" in places else (0.0, 0.0)
        cos, sin = np.cos(angle), np.sin(angle)
        velocity = np.array([ahead * cos - left * sin, ahead * sin + left * cos])
        level.place(i, pose, velocity)
    level.restart_clock(i)
    level.players["last_frame"][i] = episode_steps * FRAMES_PER_STEP
