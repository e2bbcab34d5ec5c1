"""A level's rules in a batch, without pictures: what scripted policies and comparisons play."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from envs.actions import FIRE, IMPALA_ACTIONS, LOOK, MOVE, STRAFE
from envs.labsim.level import Level
from envs.labsim.levels import LEVELS
from envs.labsim.world import StepOut


class Games:
    """B environments of a level, each with its own seed and a begun episode."""

    def __init__(self, level: str, seeds: Sequence[int]) -> None:
        self.level: Level = LEVELS[level](len(seeds))
        for i, seed in enumerate(seeds):
            self.level.seed(i, seed)
            self.level.begin(i)
        self.running = np.ones(len(seeds), np.bool_)
        self.out = StepOut.allocate(len(seeds))

    def step(self, actions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Take one agent step with actions [B] in 0..8; return the rewards [B].

        Episodes that have ended earn nothing more.
        """
        raw = IMPALA_ACTIONS[actions][:, (LOOK, STRAFE, MOVE, FIRE)]
        self.level.step(raw, self.out, 0, len(actions))
        rewards = np.where(self.running, self.out.reward, np.float32(0.0))
        self.running &= ~(self.out.terminated | self.out.truncated)
        return rewards

    def xy(self) -> NDArray[np.float64]:
        """Where the players are, [B, 2]."""
        return np.stack([self.level.players["x"], self.level.players["y"]], axis=1)
