"""Games of seekavoid_arena_01 for tests."""

import numpy as np

from envs.actions import FIRE as RAW_FIRE
from envs.actions import IMPALA_ACTIONS, LOOK, MOVE, STRAFE
from envs.labsim.levels.seekavoid_arena_01 import SeekavoidArena01
from envs.labsim.levels.seekavoid_arena_01_scene import ITEMS
from envs.labsim.world import StepOut

FORWARD, FIRE = 0, 8
# A corner of the arena that no item reaches.
FAR = np.array([900.0, -650.0, 0.0])


class Game:
    """seekavoid_arena_01 with begun episodes, advanced by single frames or agent steps."""

    def __init__(self, num_envs=1, seed=0, length_steps=300):
        self.level = SeekavoidArena01(num_envs)
        self.out = StepOut.allocate(num_envs)
        for i in range(num_envs):
            self.level.seed(i, seed + i)
            self.level.begin(i, length_steps)

    def step(self, action=FIRE, frames=4):
        count = len(self.level.players)
        raw = IMPALA_ACTIONS[np.broadcast_to(action, count)][:, (LOOK, STRAFE, MOVE, RAW_FIRE)]
        self.level.step(raw, self.out, 0, count, frames)
        return self.out.reward.copy()

    def put(self, x, y, i=0):
        self.level.place(i, np.array([x, y, 0.0]), np.zeros(2))

    def visit(self, item):
        """Stand on an item until its reward is there, then leave; return the reward."""
        self.put(*ITEMS[item])
        self.step(frames=1)
        self.put(*FAR[:2])
        return sum(self.step(frames=1)[0] for _ in range(2))
