"""What the agents need of environments: a batch that writes into the caller's buffer."""

from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np


class StepResult(Protocol):
    """What one step of a batch of environments reports; arrays of length B."""

    @property
    def reward(self) -> np.ndarray:
        """float32, as the environment pays it."""

    @property
    def terminated(self) -> np.ndarray:
        """bool."""

    @property
    def truncated(self) -> np.ndarray:
        """bool."""

    @property
    def success_seconds(self) -> np.ndarray:
        """float32, time since the trial began where it succeeded, else NaN."""

    @property
    def final_obs(self) -> np.ndarray | None:
        """[B, ...] last observations, valid where an episode ended."""


class BatchedEnv(Protocol):
    """B environments that write their observations straight into the caller's buffer.

    An environment whose episode ends starts the next one within the same step.
    """

    num_envs: int
    single_observation_space: "gymnasium.spaces.Box[Any]"
    single_action_space: gymnasium.spaces.Discrete

    def reset_into(self, seeds: Sequence[int], obs: np.ndarray) -> None:
        """Start an episode in every environment; write observations to obs [B, ...]."""

    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> StepResult:
        """Apply actions [B] int64; write the observations that follow to obs [B, ...]."""

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything that the environments' future depends on."""

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from a state of `get_state`, bit for bit."""

    def close(self) -> None:
        """Free what the environments hold."""
