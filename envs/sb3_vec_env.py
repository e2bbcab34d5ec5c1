"""Our environments for Stable-Baselines3: every agent written for its `VecEnv` trains in them.

import gymnasium
from stable_baselines3 import A2C
from envs.sb3_vec_env import SB3VecEnv

envs = SB3VecEnv(gymnasium.make_vec("labsim/seekavoid_arena_01-v0", num_envs=8))
A2C("CnnPolicy", envs).learn(100_000)
"""

from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from episode_seeds import FIRST_EVALUATION_SEED


class BatchedEnv(Protocol):
    """What is needed of environments; `LabsimVectorEnv` says what each part does."""

    num_envs: int
    single_observation_space: gymnasium.spaces.Box
    single_action_space: gymnasium.spaces.Discrete

    def reset_into(self, seeds: Sequence[int], obs: NDArray) -> None:
        """Begin an episode in every environment."""

    def step_into(self, actions: NDArray[np.int64], obs: NDArray) -> Any:
        """Advance every environment by one agent step; returns a StepResult."""

    def close(self) -> None:
        """Free what the environments hold."""


class SB3VecEnv(VecEnv):
    """A batch of environments behind Stable-Baselines3's interface.

    Infos hold what SB3 reads: "TimeLimit.truncated" always, "terminal_observation" where an episode
    ended; and "success_seconds" where a trial succeeded. `seed(s)` gives environment i the seed
    s + i at the next `reset`, as SB3 does; a reset without a seed goes on with drawn ones.
    The batch must keep final observations (`keep_final_obs`), which SB3's value estimates need.
    """

    def __init__(self, batched_env: BatchedEnv) -> None:
        self.batched_env = batched_env
        super().__init__(
            batched_env.num_envs,
            batched_env.single_observation_space,
            batched_env.single_action_space,
        )
        self._seed_generator = np.random.default_rng()
        self._actions = np.zeros(batched_env.num_envs, np.int64)
        self._obs = self._new_obs()

    def _new_obs(self) -> NDArray:
        """A new array for every step, because SB3 still reads the last step's."""
        space = self.batched_env.single_observation_space
        return np.empty((self.num_envs, *space.shape), space.dtype)

    def reset(self) -> NDArray:
        """Begin an episode in every environment; observations [B, ...].

        Raises ValueError if options were set: this interface has none.
        """
        if any(self._options):
            raise ValueError(f"got the reset options {self._options}; there are none here")
        seeds = [seed for seed in self._seeds if seed is not None]
        if seeds:
            self._seed_generator = np.random.default_rng(seeds)
        else:
            seeds = self._seed_generator.integers(
                FIRST_EVALUATION_SEED, size=self.num_envs
            ).tolist()
        self._obs = self._new_obs()
        self.batched_env.reset_into(seeds, self._obs)
        self._reset_seeds()
        return self._obs

    def step_async(self, actions: NDArray) -> None:
        """Take note of the actions [B]."""
        self._actions = np.asarray(actions, np.int64)

    def step_wait(self) -> VecEnvStepReturn:
        """Advance every environment: observations [B, ...], rewards [B], ends [B], infos.

        Where an episode ended the observation is the first one of the next. Raises ValueError
        there, if the batch keeps no final observations.
        """
        self._obs = self._new_obs()
        result = self.batched_env.step_into(self._actions, self._obs)
        ended = result.terminated | result.truncated
        timeouts = result.truncated & ~result.terminated
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": bool(cut)} for cut in timeouts]
        for i in np.flatnonzero(~np.isnan(result.success_seconds)):
            infos[i]["success_seconds"] = float(result.success_seconds[i])
        for i in np.flatnonzero(ended):
            if result.final_obs is None:
                raise ValueError("no final observation: make the batch with keep_final_obs=True")
            infos[i]["terminal_observation"] = result.final_obs[i].copy()
        # A copy: SB3 adds values to it, and the batch may use its own array again.
        return self._obs, result.reward.copy(), ended, infos

    def close(self) -> None:
        """Close the batch."""
        self.batched_env.close()

    def get_images(self) -> Sequence[NDArray]:
        """The latest observations, which `render` tiles."""
        return list(self._obs)

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The batch's attribute, once per environment asked for: they share it."""
        if attr_name == "render_mode":  # asked for by SB3, and not all batches have one
            value = getattr(self.batched_env, attr_name, None)
        else:
            value = getattr(self.batched_env, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set the batch's attribute; raise ValueError for a part of the environments alone."""
        if sorted(self._get_indices(indices)) != list(range(self.num_envs)):
            raise ValueError(f"{attr_name} belongs to all environments: set it without indices")
        setattr(self.batched_env, attr_name, value)

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the batch that takes the number of an environment, for each asked for.

        `env_method("get_top_down")` draws every environment's map, for example.
        """
        method = getattr(self.batched_env, method_name)
        return [method(i, *args, **kwargs) for i in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None
    ) -> list[bool]:
        """No environment of a batch has a wrapper of its own."""
        return [False for _ in self._get_indices(indices)]
