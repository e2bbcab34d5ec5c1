"""What the games of all levels' tests have in common."""

import numpy as np

from envs.labsim.vector_env import RAW_ACTIONS
from envs.labsim.world import StepOut

FIRE = 8


class LevelGame:
    """A level with begun episodes, one for each seed, advanced by single frames or agent steps."""

    def __init__(self, make_level, seeds, length_steps):
        self.level = make_level(len(seeds))
        self.out = StepOut.allocate(len(seeds))
        for i, seed in enumerate(seeds):
            self.level.seed(i, seed)
            self.level.begin(i, length_steps)

    def step(self, action=FIRE, frames=4):
        count = len(self.level.players)
        raw = RAW_ACTIONS[np.broadcast_to(action, count)]
        self.level.step(raw, self.out, 0, count, frames)
        return self.out.reward.copy()
