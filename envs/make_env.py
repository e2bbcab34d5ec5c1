"""One environment of a backend that runs in worker processes; workers call `make_env`."""

import importlib
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import (
    FlattenObservation,
    FrameStackObservation,
    GrayscaleObservation,
    RepeatAction,
    ReshapeObservation,
    ResizeObservation,
    TransformObservation,
)

from envs.config import EnvConfig, WrapperConfig
from envs.pool.checks import check_inside, describe

# What Gymnasium and wrappers raise where an environment or a wrapper does not fit.
MISFITS = (
    gymnasium.error.Error,
    ImportError,
    AttributeError,
    AssertionError,
    KeyError,
    TypeError,
    ValueError,
)
LARGE = 20  # pixels: smaller pictures with many channels may be boards, whose planes come last
UNKNOWN = (gymnasium.error.NameNotFound, gymnasium.error.NamespaceNotFound)
# Modules that register well-known environments, by how their names begin.
REGISTERED_BY = {
    "MiniGrid-": "minigrid",
    "BabyAI-": "minigrid",
    "ALE/": "ale_py",
    "MiniWorld-": "envs.miniworld.stock_levels",
    "Vizdoom": "vizdoom.gymnasium_wrapper",
}


def make_env(config: EnvConfig) -> gymnasium.Env:
    """Make one environment. Raises ValueError: what is missing or does not fit, in a sentence."""
    if config.backend == "dmlab":
        from envs.dmlab.env import DMLabEnv

        cache = config.level_cache
        return DMLabEnv(
            level=config.level,
            hud=config.hud or "none",
            renderer=config.renderer or "software",
            mixer_seed=config.mixer_seed or 0,
            level_cache=None if cache is None else Path(cache).expanduser(),
            settings=config.lab_settings or {},
        )
    if config.backend == "miniworld":
        from envs.miniworld.env import MiniworldEnv

        return MiniworldEnv(level=config.level)
    assert config.id is not None
    try:
        env = gymnasium.make(config.id, disable_env_checker=True, **(config.kwargs or {}))
        return wrap(check_inside(env), config.wrappers or WrapperConfig())
    except MISFITS as error:
        why = describe(error)  # with its place: it may be a bug in the environment
        if isinstance(error, gymnasium.error.Error | ValueError) and str(error):
            why = " ".join(str(error).split())  # what the user should change
        hint = _where_it_is(config.id) if isinstance(error, UNKNOWN) else ""
        raise ValueError(f"env.id={config.id} cannot be made as configured: {why}{hint}") from error


def _where_it_is(env_id: str) -> str:
    """Say which module an environment that Gymnasium does not know may come from."""
    for beginning, module in REGISTERED_BY.items():
        if env_id.startswith(beginning):
            return f" Write env.id={module}:{env_id}, where {module} registers it."
    return " One that a module registers is env.id=MODULE:ID, as in minigrid:MiniGrid-Empty-5x5-v0."


def wrap(env: gymnasium.Env, config: WrapperConfig) -> gymnasium.Env:
    """Put wrappers around `env` until it gives images u8 [H, W, C] or vectors [D].

    Raises ValueError: it gives something else. One of MISFITS: a wrapper does not fit.
    """
    for path in config.extra or []:
        module, _, name = path.rpartition(".")
        env = getattr(importlib.import_module(module), name)(env)
    if config.obs_key is not None:
        env = _pick(env, config.obs_key)
    if _channels_first(env.observation_space, config.channels_first):
        env = ChannelsLast(env)
    if config.frame_skip > 1:
        repeat = MaxOfLastTwo if _is_image(env) else RepeatAction
        env = repeat(env, config.frame_skip)
    if config.resize is not None:
        height, width = config.resize
        env = ResizeObservation(env, (height, width))
    if config.greyscale:
        env = GrayscaleObservation(env, keep_dim=True)
    env = _as_array(env)
    return _stack(env, config.frame_stack) if config.frame_stack > 1 else env


def _is_image(env: gymnasium.Env) -> bool:
    shape = env.observation_space.shape
    return shape is not None and len(shape) in (2, 3)


class MaxOfLastTwo(RepeatAction):
    """Repeats an action; observations are the maximum of a step's last two frames, or its only one.

    Gymnasium's MaxAndSkipObservation shows older frames where an episode ends within a step.
    """

    def step(self, action: Any) -> Any:
        """Take at most `num_repeats` steps with an action; their rewards are added."""
        frames: list[np.ndarray] = []
        total_reward, ended = 0.0, False
        while len(frames) < self.num_repeats and not ended:
            obs, reward, terminated, truncated, info = self.env.step(action)
            frames.append(np.array(obs))  # a copy: an environment may draw into the same array
            total_reward += float(reward)
            ended = terminated or truncated
        return np.max(frames[-2:], axis=0), total_reward, terminated, truncated, info


class ChannelsLast(TransformObservation):
    """Images [C, H, W] as [H, W, C]."""

    note: str  # what a user should know

    def __init__(self, env: gymnasium.Env) -> None:
        space: Any = env.observation_space
        low, high = space.low.transpose(1, 2, 0), space.high.transpose(1, 2, 0)
        last = gymnasium.spaces.Box(low, high, dtype=space.dtype)
        super().__init__(env, lambda obs: np.ascontiguousarray(obs.transpose(1, 2, 0)), last)
        self.note = (
            f"observations of shape {space.shape} are read as images with their channels first; "
            "if they are not, set env.wrappers.channels_first=false"
        )


def _channels_first(space: gymnasium.Space, asked: bool | None) -> bool:
    """Whether observations are images [C, H, W], as `asked` or else as their shape looks.

    Raises ValueError: asked for, but there is no such image.
    """
    image = isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 3
    if asked and not image:
        raise ValueError(f"env.wrappers.channels_first needs images [C, H, W], not {space}.")
    if asked is not None or not image:
        return bool(asked)
    first, *size = space.shape or ()
    few = first in (1, 3, 4) or min(size) >= LARGE
    return first < min(size) and size[1] not in (1, 3, 4) and few


def _pick(env: gymnasium.Env, key: str) -> gymnasium.Env:
    """Take one entry of observations that are a Dict."""
    space = env.observation_space
    entries = list(space) if isinstance(space, gymnasium.spaces.Dict) else []
    if not isinstance(space, gymnasium.spaces.Dict) or key not in entries:
        raise ValueError(
            f"env.wrappers.obs_key is '{key}', but observations have the entries {entries}."
        )
    return TransformObservation(env, lambda obs: obs[key], space[key])


def _as_array(env: gymnasium.Env) -> gymnasium.Env:
    """Make images [H, W, C] of [H, W], and vectors of numbers. Raises ValueError."""
    space = env.observation_space
    if isinstance(space, gymnasium.spaces.Dict):
        raise ValueError(
            f"observations are a Dict; choose an entry with env.wrappers.obs_key={'|'.join(space)}."
        )
    if not isinstance(space, gymnasium.spaces.Box):
        return FlattenObservation(env)  # a choice of n as n numbers, 0 or 1
    if len(space.shape) == 1:
        return env
    if len(space.shape) == 2:
        env = ReshapeObservation(env, (*space.shape, 1))
    if not _is_image(env) or space.dtype != np.uint8:
        raise ValueError(
            f"observations of shape {space.shape} and {space.dtype} are neither images "
            "[height, width, channels] of uint8 nor vectors."
        )
    return env


def _stack(env: gymnasium.Env, count: int) -> gymnasium.Env:
    """Put the last `count` observations side by side along their last axis, the newest last."""
    env = FrameStackObservation(env, count)
    old: Any = env.observation_space

    def side_by_side(obs: np.ndarray) -> np.ndarray:
        return np.concatenate(list(obs), axis=-1)

    space = gymnasium.spaces.Box(side_by_side(old.low), side_by_side(old.high), dtype=old.dtype)
    return TransformObservation(env, side_by_side, space)
