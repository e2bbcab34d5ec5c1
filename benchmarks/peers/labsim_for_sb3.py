"""labsim behind Stable-Baselines3's vector interface, as little of it as training asks for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from envs.labsim.vector_env import LabsimVectorEnv


class SB3VecEnv(VecEnv):
    """A batch of environments that keeps final observations; episodes are seeded with 0, 1, ..."""

    def __init__(self, batch: LabsimVectorEnv) -> None:
        self.batch = batch
        super().__init__(batch.num_envs, batch.single_observation_space, batch.single_action_space)
        self._actions = np.zeros(batch.num_envs, np.int64)

    def _new_obs(self) -> NDArray:
        """A new array for every step: SB3 still reads the last one's."""
        shape = self.batch.single_observation_space.shape
        return np.empty((self.num_envs, *shape), np.uint8)

    def reset(self) -> NDArray:
        """Begin an episode in every environment."""
        obs = self._new_obs()
        self.batch.reset_into(range(self.num_envs), obs)
        return obs

    def step_async(self, actions: NDArray) -> None:
        """Take note of the actions [B]."""
        self._actions = np.asarray(actions, np.int64)

    def step_wait(self) -> VecEnvStepReturn:
        """Advance every environment by one agent step."""
        obs = self._new_obs()
        result = self.batch.step_into(self._actions, obs)
        assert result.final_obs is not None
        ended = result.terminated | result.truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(ended):
            infos[i]["TimeLimit.truncated"] = bool(result.truncated[i])
            infos[i]["terminal_observation"] = result.final_obs[i].copy()
        return obs, result.reward.copy(), ended, infos

    def close(self) -> None:
        """Close the batch."""
        self.batch.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The batch's attribute, once per environment asked for."""
        return [getattr(self.batch, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set the batch's attribute."""
        setattr(self.batch, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list:
        """No environment of a batch has methods of its own."""
        raise NotImplementedError(method_name)

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        """No environment of a batch has a wrapper of its own."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[NDArray | None]:
        """Nothing to show."""
        return [None] * self.num_envs
