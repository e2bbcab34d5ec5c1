"""Environments: DeepMind Lab's levels as batched vector environments.

Importing this package registers `labsim/<level>-v0` with Gymnasium; engines are loaded on use.
"""

from typing import TYPE_CHECKING

import gymnasium

from envs.actions import ACTION_NAMES, IMPALA_ACTIONS
from envs.config import ALIASES, LEVELS, EnvConfig, canonical_level

if TYPE_CHECKING:
    from envs.labsim.vector_env import LabsimVectorEnv

FRAMES_PER_STEP = 4  # an agent step repeats its action for this many environment frames


def make_vec_env(
    config: EnvConfig,
    num_envs: int,
    *,
    stagger: bool,
    num_threads: int = 1,
    keep_final_obs: bool = False,
) -> "LabsimVectorEnv":
    """Make `num_envs` copies of a level that are stepped together.

    With `stagger`, the first episode of each environment is cut at a random length that its seed
    decides, so that environments do not all reset at once. The worker threads share the batch;
    results do not depend on their number. With `keep_final_obs`, step_into reports the last
    observation of episodes that end. Raises ValueError for an unknown level or backend.
    """
    config.validate()
    from envs.labsim.vector_env import LabsimVectorEnv

    return LabsimVectorEnv(
        config.level,
        num_envs,
        stagger=stagger,
        num_threads=num_threads,
        keep_final_obs=keep_final_obs,
    )


for _name in (*LEVELS, *ALIASES):
    gymnasium.register(
        f"labsim/{_name}-v0",
        entry_point="envs.labsim.single_env:LabsimEnv",
        vector_entry_point="envs.labsim.vector_env:LabsimVectorEnv",
        kwargs={"level": _name},
    )

__all__ = [
    "ACTION_NAMES",
    "ALIASES",
    "FRAMES_PER_STEP",
    "IMPALA_ACTIONS",
    "LEVELS",
    "EnvConfig",
    "canonical_level",
    "make_vec_env",
]
