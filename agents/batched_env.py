"""What the agents need of environments: a batch that writes into the caller's buffer."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

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

    @property
    def lost(self) -> np.ndarray | None:
        """bool, where the environment failed: a new episode begins, the old one has no end.

        Of this step nothing else is known there. None: all environments are well.
        """


def episode_ended(result: StepResult) -> np.ndarray:
    """Where the next observation opens an episode, bool [B]."""
    ended = result.terminated | result.truncated
    return ended if result.lost is None else ended | result.lost


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
        """Continue from a state of `get_state`, bit for bit.

        Environments that cannot do that begin anew in the next step, which reports them as lost.
        """

    def close(self) -> None:
        """Free what the environments hold."""


@runtime_checkable
class SplitEnv(BatchedEnv, Protocol):
    """Environments whose step comes in two parts, so that others can be served in between."""

    def send(self, actions: np.ndarray) -> None:
        """Start a step with actions [B] int64."""

    def receive(self, obs: np.ndarray) -> StepResult:
        """Wait for it; write the observations that follow to obs [B, ...]."""


@runtime_checkable
class GroupedEnv(Protocol):
    """Environments in groups: the network acts for one while another simulates."""

    groups: Sequence[SplitEnv]  # the environments, first to last

    @property
    def worker_restarts(self) -> int:
        """How often a process of theirs was replaced since the run began."""
