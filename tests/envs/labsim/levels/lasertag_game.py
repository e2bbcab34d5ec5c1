"""Laser tag games for tests: in their own maze, or in one large hall with fighters put by hand."""

from envs.labsim.levels.lasertag_maps import SIDE, walking_distances
from envs.labsim.levels.lasertag_three_opponents_small import LasertagThreeOpponentsSmall
from envs.labsim.text_maze import STANDING_Z
from tests.envs.labsim.levels.level_game import LevelGame

FORWARD, STRAFE_LEFT, LOOK_LEFT, LOOK_RIGHT, FIRE = 0, 2, 4, 5, 8
NEVER = 2**60


class Game(LevelGame):
    """lasertag_three_opponents_small with begun episodes, advanced by frames or agent steps."""

    def __init__(self, num_envs=1, seed=7003, length_steps=3600):
        super().__init__(LasertagThreeOpponentsSmall, range(seed, seed + num_envs), length_steps)

    def step(self, action=LOOK_LEFT, frames=4):
        return super().step(action, frames)

    @property
    def player(self):
        return self.level.fighters[0, 0]

    def bot(self, k=1):
        return self.level.fighters[0, k]


class Hall(Game):
    """One game in a hall of 9 x 9 cells from 100 to 1000, without living fighters.

    Its items are three gadgets in one corner that are not there unless a test lays them.
    """

    def __init__(self, seed=7003):
        super().__init__(1, seed)
        cells = self.level.solids.cells[0]
        cells[:] = True
        cells[1:-1, 1:-1] = False
        self.build()
        self.level.items["kind"] = -1
        for k in range(3):
            self.lay(k, 0, 950.0, 950.0, from_ms=NEVER)
        self.level.fighters["alive"] = False
        self.level.fighters["died_ms"] = NEVER
        self.level.solids.boxes[:] = -1.0

    def build(self, *walls):
        """Make cells (row, column) solid."""
        cells = self.level.solids.cells[0]
        for row, column in walls:
            cells[row, column] = True
        self.level.scene.solid[0] = cells
        self.level.steps[0] = walking_distances(cells)
        assert self.level.steps.shape[1] == SIDE * SIDE

    def lay(self, k, kind, x, y, from_ms=0):
        """Let item k be of a kind and lie at (x, y) from an engine time on; return it."""
        item = self.level.items[0, k]
        item["kind"], item["x"], item["y"] = kind, x, y
        item["from_ms"], item["until_ms"] = from_ms, NEVER
        return item

    def put(self, k, x, y, yaw=0.0, thinks=False):
        """Let fighter k live at (x, y); a bot that does not think stands still."""
        fighter = self.level.fighters[0, k]
        fighter["alive"], fighter["must_release"] = True, False
        fighter["x"], fighter["y"], fighter["z"], fighter["yaw"] = x, y, STANDING_Z, yaw
        for name in ("vx", "vy", "vz", "wish_x", "wish_y", "turn_speed", "slope", "ideal_slope"):
            fighter[name] = 0.0
        for name in ("weapon_ms", "slide_ms", "shooting", "armour"):
            fighter[name] = 0
        for name in ("from", "known"):
            fighter[f"{name}_x"], fighter[f"{name}_y"], fighter[f"{name}_z"] = x, y, STANDING_Z
        fighter["known_vx"] = fighter["known_vy"] = 0.0
        fighter["decay_ms"] = -NEVER  # what is above 100 stays
        fighter["ideal_yaw"], fighter["gadget"], fighter["enemy"] = yaw, 1, -1
        fighter["health"] = fighter["last_health"] = 100
        fighter["think_ms"] = 0 if thinks else NEVER
        self.level.solids.boxes[0, k] = x, y, 15.0, 15.0
        return fighter
