"""Games of seekavoid_arena_01 for tests."""

import numpy as np

from envs.labsim.levels.seekavoid_arena_01 import SeekavoidArena01
from envs.labsim.levels.seekavoid_arena_01_scene import ITEMS
from tests.envs.labsim.levels.level_game import LevelGame

FORWARD, FIRE = 0, 8
# A corner of the arena that no item reaches.
FAR = np.array([900.0, -650.0, 0.0])


class Game(LevelGame):
    """seekavoid_arena_01 with begun episodes, advanced by single frames or agent steps."""

    def __init__(self, num_envs=1, seed=0, length_steps=300):
        super().__init__(SeekavoidArena01, range(seed, seed + num_envs), length_steps)

    def put(self, x, y, i=0):
        self.level.place(i, np.array([x, y, 0.0]), np.zeros(2))

    def visit(self, item):
        """Stand on an item until its reward is there, then leave; return the reward."""
        self.put(*ITEMS[item])
        self.step(frames=1)
        self.put(*FAR[:2])
        return sum(self.step(frames=1)[0] for _ in range(2))
