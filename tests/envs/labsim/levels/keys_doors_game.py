"""Games of rooms_keys_doors_puzzle for tests, and what is where in the puzzle of one seed."""

import numpy as np

from envs.actions import FIRE as RAW_FIRE
from envs.actions import IMPALA_ACTIONS, LOOK, MOVE, STRAFE
from envs.labsim.levels.rooms_keys_doors_puzzle import RoomsKeysDoorsPuzzle
from envs.labsim.world import StepOut

FORWARD, FIRE = 0, 8
RED, GREEN, BLUE, BLACK, WHITE = range(5)
EMPTY, CLOSED = -1, -1
SEED = 7003
WHITE_KEY, WHITE_DOOR = (850.0, 250.0), (950.0, 350.0)  # in the row of the start
GREEN_KEY, NORTH_SOUTH_DOOR = (650.0, 550.0), (350.0, 450.0)
GOAL = (450.0, 250.0)


class Game:
    """rooms_keys_doors_puzzle with begun episodes, advanced by single frames or agent steps."""

    def __init__(self, seeds=(SEED,), length_steps=900):
        self.level = RoomsKeysDoorsPuzzle(len(seeds))
        self.out = StepOut.allocate(len(seeds))
        for i, seed in enumerate(seeds):
            self.level.seed(i, seed)
            self.level.begin(i, length_steps)

    def step(self, action=FIRE, frames=4):
        count = len(self.level.players)
        raw = IMPALA_ACTIONS[np.broadcast_to(action, count)][:, (LOOK, STRAFE, MOVE, RAW_FIRE)]
        self.level.step(raw, self.out, 0, count, frames)
        return self.out.reward.copy()

    def put(self, x, y, yaw=0.0):
        self.level.place(0, np.array([x, y, yaw]), np.zeros(2))
        return self

    def door(self, at):
        """Index of the door whose cell has its middle there."""
        doors = self.level.doors[0]
        (k,) = np.flatnonzero((doors["x"] == at[0]) & (doors["y"] == at[1]))
        return int(k)

    @property
    def held(self):
        return int(self.level.games["held"][0])

    @held.setter
    def held(self, colour):
        self.level.games["held"][0] = colour

    @property
    def player(self):
        return self.level.players[0]

    def opened(self, at):
        return self.level.doors["opened_ms"][0, self.door(at)] != CLOSED
