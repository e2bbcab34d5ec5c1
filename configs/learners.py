"""A run's settings to what trains: our agent in its environments, or Stable-Baselines3's."""

from collections.abc import Callable
from functools import partial

import torch

from agents.batched_env import BatchedEnv
from agents.config import SB3A2CConfig
from agents.learner import Learner
from agents.sb3_a2c import SB3A2CLearner
from configs.run_config import RunConfig
from cpc_aux import make_aux
from envs import frames_per_step, make_vec_env
from envs.interop import SB3VecEnv

AnyLearner = Learner | SB3A2CLearner


def make_learner(
    config: RunConfig,
    device: torch.device,
    threads: int,
    make_envs: Callable[..., BatchedEnv] | None = None,
) -> AnyLearner:
    """The agent of `config` in its environments, ready to start; `threads` cores share the work.

    `make_envs`, picklable, takes the place of `make_vec_env`.
    """
    make_envs = make_envs or make_vec_env
    if isinstance(config.agent, SB3A2CConfig):
        return SB3A2CLearner(
            config.agent,
            make_envs=partial(
                make_envs, config.env, stagger=True, num_threads=threads, keep_final_obs=True
            ),
            as_vec_env=SB3VecEnv,
            num_envs=config.env.num_envs,
            total_frames=config.total_frames,
            seed=config.seed,
            device=device,
            frames_per_step=frames_per_step(config.env),
        )
    if config.agent.compile and device.type == "cpu":
        raise ValueError(
            "agent.compile is true, but this run is on a CPU, which it makes no faster; "
            "set agent.compile=false."
        )
    # On a CPU each core has a share of the batch, unless the environments have processes of their
    # own: then these, and on a GPU the engine's threads, use the cores.
    shares = threads if device.type == "cpu" and not config.env.in_workers else 1
    fast = config.fast == "auto"
    return Learner(
        config.agent,
        make_envs=partial(
            make_envs,
            config.env,
            stagger=True,
            num_threads=1 if shares > 1 else threads,
            keep_final_obs=config.agent.bootstrap_on_timeout,
        ),
        num_envs=config.env.num_envs,
        make_aux=partial(make_aux, config.aux, num_threads=shares, fast=fast),
        aux_weight=config.aux.weight,
        total_frames=config.total_frames,
        seed=config.seed,
        device=device,
        num_threads=shares,
        frames_per_step=frames_per_step(config.env),
        fast=fast,
    )
