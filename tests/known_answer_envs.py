"""Tiny batches of environments with known answers, behind the batched interface of the agents."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np


class Result(NamedTuple):
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    success_seconds: np.ndarray
    final_obs: np.ndarray | None = None
    lost: np.ndarray | None = None


class KnownAnswerEnv(ABC):
    """Base: vectors of `size` floats, `num_actions` actions, a step counter and a random stream."""

    size = 3
    num_actions = 2

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_observation_space: gymnasium.spaces.Box[Any] = gymnasium.spaces.Box(
            -1, 1, (self.size,), np.float32
        )
        self.single_action_space = gymnasium.spaces.Discrete(self.num_actions)
        self.clock = np.zeros(num_envs, np.int64)
        self.goal = np.zeros(num_envs, np.int64)
        self.random_state = np.zeros(num_envs, np.uint64)

    def uniform(self) -> np.ndarray:
        """One number in [0, 1) for each environment, from its own stream (Knuth's MMIX)."""
        self.random_state *= np.uint64(6364136223846793005)
        self.random_state += np.uint64(1442695040888963407)
        return (self.random_state >> np.uint64(11)) / 2**53

    def new_goal(self) -> np.ndarray:
        return (self.uniform() * self.num_actions).astype(np.int64)

    def reset_into(self, seeds: Sequence[int], obs: np.ndarray) -> None:
        self.random_state = np.array(seeds, np.uint64)
        for _ in range(3):  # neighbouring seeds drift apart
            self.uniform()
        self.clock[:] = 0
        self.goal[:] = self.new_goal()
        self.observe(obs)

    def get_state(self) -> dict[str, np.ndarray]:
        return {"clock": self.clock, "goal": self.goal, "random_state": self.random_state}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        vars(self).update({name: array.copy() for name, array in state.items()})

    def close(self) -> None:  # noqa: B027 - there is nothing to free
        pass

    @abstractmethod
    def observe(self, obs: np.ndarray) -> None:
        """Write what each environment shows."""


class CueMemory(KnownAnswerEnv):
    """A cue is shown at the first step only; the action at the last step must repeat it.

    Reward 1 for the right one of two actions, 0 for the wrong one: 0.5 a chance, 1.0 with memory.
    """

    delay = 4  # steps between the cue and the answer

    def observe(self, obs: np.ndarray) -> None:
        obs[:] = 0
        obs[:, 0] = np.where(self.clock == 0, 2 * self.goal - 1, 0)
        obs[:, 1] = self.clock == self.delay

    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
        ended = self.clock == self.delay
        reward = np.where(ended & (actions == self.goal), 1.0, 0.0).astype(np.float32)
        self.clock = np.where(ended, 0, self.clock + 1)
        self.goal = np.where(ended, self.new_goal(), self.goal)
        self.observe(obs)
        nothing = np.zeros(self.num_envs, bool)
        return Result(reward, ended, nothing, np.full(self.num_envs, np.nan, np.float32))


class Endless(KnownAnswerEnv):
    """Reward 1 for ever, cut by a time limit: the value is 1 / (1 - gamma) only with bootstrap."""

    limit = 7

    def observe(self, obs: np.ndarray) -> None:
        obs[:] = 1.0

    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
        self.clock += 1
        cut = self.clock == self.limit
        self.clock[cut] = 0
        self.observe(obs)
        n = self.num_envs
        reward, nothing = np.ones(n, np.float32), np.zeros(n, bool)
        return Result(reward, nothing, cut, np.full(n, np.nan, np.float32), obs.copy())


class RandomEnds(KnownAnswerEnv):
    """Random observations and rewards; episodes end at random, by both kinds of end."""

    size = 5
    num_actions = 7

    def observe(self, obs: np.ndarray) -> None:
        for column in range(self.size):
            obs[:, column] = 2 * self.uniform() - 1

    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
        draw = self.uniform()
        final_obs = np.empty_like(obs)
        self.observe(final_obs)
        self.observe(obs)
        reward = (6 * self.uniform() - 3 + actions).astype(np.float32)
        success = np.where(draw > 0.7, draw, np.nan).astype(np.float32)
        return Result(reward, draw < 0.1, (draw > 0.1) & (draw < 0.25), success, final_obs)


class SmallImages(RandomEnds):
    """RandomEnds with its observations painted into images, for the convolutional encoders."""

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.single_observation_space = gymnasium.spaces.Box(0, 255, (29, 37, 3), np.uint8)

    def observe(self, obs: np.ndarray) -> None:
        for row in range(29):
            obs[:, row] = (256 * self.uniform()).astype(np.uint8)[:, None, None]


class Group(RandomEnds):
    """RandomEnds whose step comes in two parts; `lose` {step: environments} go down in it."""

    lose: dict[int, Sequence[int]] = {}  # noqa: RUF012 - replaced, not changed
    steps = 0

    def send(self, actions: np.ndarray) -> None:
        self.sent = actions.copy()

    def receive(self, obs: np.ndarray) -> Result:
        result = self.step_into(self.sent, obs)
        lost = np.zeros(self.num_envs, bool)
        lost[list(self.lose.get(self.steps, []))] = True
        self.steps += 1
        return result._replace(
            reward=np.where(lost, np.float32(0), result.reward),
            terminated=result.terminated & ~lost,
            truncated=result.truncated & ~lost,
            success_seconds=np.where(lost, np.float32(np.nan), result.success_seconds),
            lost=lost,
        )


class Grouped(RandomEnds):
    """RandomEnds in two groups: the first two environments, and the others."""

    worker_restarts = 3

    def __init__(self, num_envs: int) -> None:
        super().__init__(num_envs)
        self.groups = [Group(2), Group(num_envs - 2)]
