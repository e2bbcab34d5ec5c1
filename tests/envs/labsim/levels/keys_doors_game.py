"""Games of rooms_keys_doors_puzzle for tests, and what is where in the puzzle of one seed."""

import numpy as np

from envs.labsim.levels.rooms_keys_doors_puzzle import RoomsKeysDoorsPuzzle
from tests.envs.labsim.levels.level_game import LevelGame

FORWARD, FIRE = 0, 8
RED, GREEN, BLUE, BLACK, WHITE = range(5)
EMPTY, CLOSED = -1, -1
SEED = 7003
WHITE_KEY, WHITE_DOOR = (850.0, 250.0), (950.0, 350.0)  # in the row of the start
GREEN_KEY, NORTH_SOUTH_DOOR = (650.0, 550.0), (350.0, 450.0)
GOAL = (450.0, 250.0)


class Game(LevelGame):
    """rooms_keys_doors_puzzle with begun episodes, advanced by single frames or agent steps."""

    def __init__(self, seeds=(SEED,), length_steps=900):
        super().__init__(RoomsKeysDoorsPuzzle, seeds, length_steps)

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
