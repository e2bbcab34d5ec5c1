"""One labsim environment behind Gymnasium's interface for single environments."""

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.frame_rate import STEPS_PER_SECOND
from envs.labsim.vector_env import LabsimVectorEnv


class LabsimEnv(gymnasium.Env):
    """A batch of one: the same episodes as environment 0 of a `LabsimVectorEnv`.

    `reset` knows the options of `LabsimVectorEnv.reset`; infos hold "pose": x, y, z, pitch and
    yaw of the player in DeepMind Lab's units; and "success_seconds" where a trial succeeded in the
    step: nominal seconds from (re)spawn to success. Copies go on exactly as the original would.
    Raises ValueError as `LabsimVectorEnv` does.
    """

    metadata = {  # noqa: RUF012 - as Gymnasium declares it
        "render_modes": ["rgb_array"],
        "render_fps": STEPS_PER_SECOND,
    }

    def __init__(
        self,
        level: str,
        render_mode: str | None = None,
        vector_env_type: type[LabsimVectorEnv] = LabsimVectorEnv,
        registered: str | None = None,
    ) -> None:
        more = {} if registered is None else {"registered": registered}
        self._vector_env = vector_env_type(level, 1, render_mode=render_mode, **more)  # type: ignore[arg-type]
        self.observation_space = self._vector_env.single_observation_space
        self.action_space = self._vector_env.single_action_space
        self.render_mode = render_mode
        self._next: tuple[NDArray[np.uint8], NDArray[np.float64]] | None = None
        self._frame = np.zeros(self.observation_space.shape or (), np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin an episode; see `LabsimVectorEnv.reset` for seeds and options."""
        super().reset(seed=seed)
        if self._next is not None and seed is None and not options:
            # The batch has begun this episode already, when the last one ended.
            obs, pose = self._next
        else:
            batch_obs, info = self._vector_env.reset(seed=seed, options=options)
            obs, pose = batch_obs[0], info["pose"][0]
        self._next = None
        self._frame = obs
        return obs, {"pose": pose}

    def step(self, action: np.int64) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Take one agent step of four frames; raise ValueError if no episode is under way."""
        if self._next is not None:
            raise ValueError("the episode has ended: call reset() before step()")
        batch_obs, reward, terminated, truncated, info = self._vector_env.step(np.array([action]))
        obs = batch_obs[0]
        if terminated[0] or truncated[0]:
            self._next = obs, info["pose"][0]
            obs, info = info["final_obs"][0], info["final_info"]
        self._frame = obs
        own: dict[str, Any] = {"pose": info["pose"][0]}
        if "success_seconds" in info:
            own["success_seconds"] = float(info["success_seconds"][0])
        return obs, float(reward[0]), bool(terminated[0]), bool(truncated[0]), own

    def get_state(self) -> dict[str, NDArray]:
        """Copy everything that a later `set_state` needs to go on exactly from here."""
        state = self._vector_env.get_state() | {"frame": self._frame.copy()}
        if self._next is not None:
            state |= {"next.obs": self._next[0].copy(), "next.pose": self._next[1].copy()}
        return state

    def set_state(self, state: dict[str, NDArray]) -> None:
        """Go on from a state of `get_state`; raise ValueError if it is another level's."""
        own = ("frame", "next.obs", "next.pose")
        if "frame" not in state or ("next.obs" in state) != ("next.pose" in state):
            raise ValueError("this is not a state of a single environment: its picture is missing")
        self._vector_env.set_state(
            {name: array for name, array in state.items() if name not in own}
        )
        self._frame = state["frame"].copy()
        ended = "next.obs" in state
        self._next = (state["next.obs"].copy(), state["next.pose"].copy()) if ended else None

    def render(self) -> NDArray[np.uint8] | None:
        """Give the latest observation, or None without a render mode."""
        return None if self.render_mode is None else self._frame.copy()

    def close(self) -> None:
        """Free the batch."""
        self._vector_env.close()
