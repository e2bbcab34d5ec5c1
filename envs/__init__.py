"""Environments: DeepMind Lab's levels, and any other with discrete actions, in batches.

Importing this package registers `labsim/<level>-v0` and `miniworld/<level>-v0` with Gymnasium;
engines are loaded on use.
"""

import logging
from functools import partial
from typing import TYPE_CHECKING

import gymnasium

from envs.actions import ACTION_NAMES, IMPALA_ACTIONS
from envs.config import (
    ALIASES,
    LEVEL_STEPS,
    LEVELS,
    EnvConfig,
    canonical_level,
    frames_per_step,
)
from envs.frame_rate import FRAMES_PER_STEP
from envs.miniworld import register as register_miniworld

if TYPE_CHECKING:
    from envs.labsim.vector_env import LabsimVectorEnv
    from envs.pool import WorkerPool

log = logging.getLogger(__name__)


def make_vec_env(
    config: EnvConfig,
    num_envs: int,
    *,
    stagger: bool,
    num_threads: int = 1,
    keep_final_obs: bool = False,
) -> "LabsimVectorEnv | WorkerPool":
    """Make `num_envs` copies of a level or environment that are stepped together.

    With `stagger`, the first episode of each environment is cut at a random length that its seed
    decides, so that environments do not all reset at once. The worker threads or processes share
    the batch; results do not depend on their number. With `keep_final_obs`, step_into reports the
    last observation of episodes that end, as it always does where environments are in processes.
    Raises ValueError for an unknown level or backend, and for what a backend lacks.
    """
    config.validate()
    if config.in_workers:
        return _make_pool(config, num_envs, stagger, num_threads)
    from envs.labsim.vector_env import LabsimVectorEnv

    return LabsimVectorEnv(
        config.level,
        num_envs,
        stagger=stagger,
        num_threads=num_threads,
        keep_final_obs=keep_final_obs,
    )


def first_wait(config: EnvConfig) -> str:
    """Say what a user waits for before the first step."""
    if config.in_workers:
        return "starting environments in processes of their own"
    return "compiling the engine takes about 30 s the first time"


def _make_pool(config: EnvConfig, num_envs: int, stagger: bool, num_threads: int) -> "WorkerPool":
    """Make a pool that keeps one core for the network, and the others busy with either group."""
    from envs.make_env import make_env
    from envs.pool import WorkerPool

    if config.backend == "dmlab":
        from envs.dmlab.settings import ignored

        for name in ignored(config.level, config.lab_settings or {}):
            log.warning("env.lab_settings.%s changes nothing on %s", name, config.level)
    in_a_group = -(-num_envs // 2)
    # Two Labs in one process can crash, and two MiniWorlds share one OpenGL context.
    alone = config.backend in ("dmlab", "miniworld")
    per_worker = 1 if alone else -(-in_a_group // max(1, num_threads - 1))
    return WorkerPool(
        partial(make_env, config),
        num_envs,
        envs_per_worker=per_worker,
        stagger=stagger,
        timeout_s=config.worker_patience_s,
    )


for _name in (*LEVELS, *ALIASES):
    gymnasium.register(
        f"labsim/{_name}-v0",
        entry_point="envs.labsim.single_env:LabsimEnv",
        vector_entry_point="envs.labsim.vector_env:LabsimVectorEnv",
        max_episode_steps=LEVEL_STEPS[canonical_level(_name)],
        kwargs={"level": _name, "registered": _name},
    )
register_miniworld()

__all__ = [
    "ACTION_NAMES",
    "ALIASES",
    "FRAMES_PER_STEP",
    "IMPALA_ACTIONS",
    "LEVELS",
    "EnvConfig",
    "canonical_level",
    "first_wait",
    "frames_per_step",
    "make_vec_env",
]
