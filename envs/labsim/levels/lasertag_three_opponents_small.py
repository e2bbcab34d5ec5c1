"""lasertag_three_opponents_small: tag three bots in a small maze, as often as possible.

Rules of DeepMind Lab (commit b1db91a, `factories/lasertag`): +1 whenever the agent's shots bring a
bot's health to 0, -1 when he does that to himself. Every episode of 240 s has a new maze.

Being tagged costs nothing but time: as in DeepMind Lab, the player comes back only while FIRE is
pressed, 1.7 s later at the earliest, or by himself after 21.7 s. Until then nothing moves him and
his view stays as it was.
"""

import math

import numpy as np
from numpy.typing import NDArray

from envs.config import LEVEL_STEPS
from envs.frame_rate import FRAMES_PER_STEP
from envs.labsim.level import Level, advances, fields_by_name
from envs.labsim.levels.lasertag_fighters import (
    AGENT,
    DISC,
    FIGHTER,
    GAME,
    IMPULSE,
    NOBODY,
    NUM_BOTS,
    NUM_FIGHTERS,
    ORB,
    THINK_MS,
    put_box,
    spawn,
)
from envs.labsim.levels.lasertag_items import (
    ARMOUR,
    ITEM,
    NOTHING,
    NUM_ITEMS,
    NUM_PLACES,
)
from envs.labsim.levels.lasertag_maps import MAX_SPAWNS, SIDE, make_map
from envs.labsim.levels.lasertag_rules import Rules, step_slice
from envs.labsim.levels.lasertag_scene import (
    HUE_STEP_DEG,
    NUM_HUES,
    NUM_ORBS,
    build_scene,
    draw_game,
)
from envs.labsim.levels.lasertag_weapons import ORB_RECORD
from envs.labsim.maps import MapMaker, draw_lab_seed, lab_seed
from envs.labsim.text_maze import STANDING_Z, maze_solids, maze_state, show_maze
from envs.labsim.world import FRAME_MS, SERVER_FRAME_MS, start_clocks

EPISODE_STEPS = LEVEL_STEPS["lasertag_three_opponents_small"]
NEVER_MS = 2**60
# Of a map just loaded, see `load_clocks`: with them, recorded frames are as long as they were.
CLOCKS = (12, 49)


def since_bots_joined(debt_ms: int) -> int:
    """Tell from a server's debt how long its bots had been there, modulo 400 ms.

    They join in its first frame, in which its debt is one frame (`dev_map` in `dmlab_connect.c`).
    In the next 25 it has every value that it can have once.
    """
    frames = range(math.lcm(FRAME_MS, SERVER_FRAME_MS) // FRAME_MS)
    return FRAME_MS * next(n for n in frames if FRAME_MS * (n + 1) % SERVER_FRAME_MS == debt_ms)


class LasertagThreeOpponentsSmall(Level):
    """The rules of lasertag_three_opponents_small for a batch of environments."""

    episode_steps = EPISODE_STEPS
    clocks = CLOCKS
    standing_z = STANDING_Z

    def __init__(self, num_envs: int) -> None:
        self.fighters = np.zeros((num_envs, NUM_FIGHTERS), FIGHTER)
        self.players = self.fighters[:, AGENT]  # FIGHTER begins with the fields of PLAYER
        self.games = np.zeros(num_envs, GAME)
        self.games["special"] = ORB  # until an episode begins
        self.items = np.zeros((num_envs, NUM_ITEMS), ITEM)
        self.orbs = np.zeros((num_envs, NUM_ORBS), ORB_RECORD)
        self.spawns = np.zeros((num_envs, MAX_SPAWNS, 2))
        # Until when each bot does not think of each item.
        self.avoid_ms = np.zeros((num_envs, NUM_FIGHTERS, NUM_ITEMS), np.int64)
        self.steps = np.zeros((num_envs, SIDE * SIDE, SIDE * SIDE), np.uint8)
        self.scene = build_scene(num_envs)
        self.solids = maze_solids(num_envs, SIDE, NUM_FIGHTERS)
        self.rules = Rules(
            self.fighters,
            self.games,
            self.items,
            self.orbs,
            self.spawns,
            self.avoid_ms,
            self.steps,
            self.solids,
            self.scene.things,
            self.scene.thing_texture,
        )
        self._maps = MapMaker(make_map, num_envs)

    def seed(self, i: int, seed: int) -> None:
        """Start the random stream of environment i; seeds are in 0 .. 2^64 - 1.

        The first map is the one that DeepMind Lab makes of the same seed.
        """
        super().seed(i, seed)
        self.games["next_seed"][i] = lab_seed(seed)

    def begin(self, i: int, length_steps: int = EPISODE_STEPS) -> None:
        """Begin an episode of environment i with a new map; all four start at spawn points."""
        player = self.players[i]
        self._load_map(i)
        next_seed = draw_lab_seed(player)
        self.games["next_seed"][i] = next_seed
        self._maps.expect(i, next_seed)
        start_clocks(player, CLOCKS)
        player["frame"], player["trial_start"] = 0, 0
        player["last_frame"] = length_steps * FRAMES_PER_STEP
        fighters, boxes = self.fighters[i], self.solids.boxes[i]
        for name in ("deaths", "tags", "self_tags", "avoid_right", "strafe_right"):
            fighters[name] = 0
        self.avoid_ms[i] = 0
        self.orbs["owner"][i] = NOBODY
        boxes[:] = -1.0
        played_ms = since_bots_joined(int(player["server_debt"]))
        self.games["known_ms"][i] = THINK_MS - played_ms % THINK_MS
        ahead_ms = THINK_MS * np.arange(NUM_BOTS) // NUM_BOTS  # they think in turn
        fighters["think_ms"][1:] = THINK_MS - (played_ms + ahead_ms) % THINK_MS
        for k in range(NUM_FIGHTERS):
            spawn(fighters, k, self.spawns[i, : self.games["num_spawns"][i]], boxes)
        self._update_scene(i)

    def place(self, i: int, pose: NDArray[np.float64], velocity: NDArray[np.float64]) -> None:
        """Put player i at pose (x, y, yaw in degrees) with a world-frame velocity (x, y)."""
        super().place(i, pose, velocity)
        if self.players["alive"][i]:
            put_box(self.players[i], self.solids.boxes[i], AGENT)

    def index_limits(self) -> dict[str, tuple[int, int]]:
        """Lowest and highest of the numbers in `state` that lead to a place in an array."""
        items = (NOBODY, self.items.shape[1] - 1)
        fighters = (NOBODY, NUM_FIGHTERS - 1)
        return {
            "fighter.enemy": fighters,
            "fighter.gadget": (IMPULSE, DISC),
            "fighter.goal": items,
            "fighter.nearby": items,
            "game.hue": (0, NUM_HUES - 1),
            "game.num_spawns": (0, self.spawns.shape[1]),
            "game.special": (ORB, DISC),
            "item.kind": (NOTHING, ARMOUR),
            "orb.owner": fighters,
        }

    def state(self) -> dict[str, NDArray]:
        """Every array that changes while the level runs, by name."""
        own = fields_by_name(fighter=self.fighters, game=self.games, item=self.items, orb=self.orbs)
        own |= {"spawns": self.spawns, "avoid_ms": self.avoid_ms, "steps": self.steps}
        own |= {"solids.boxes": self.solids.boxes, "scene.things": self.scene.things}
        own |= {"scene.thing_texture": self.scene.thing_texture}
        return own | maze_state(self.scene, self.solids)

    def _load_map(self, i: int) -> None:
        """Build the maze of the next seed, with its items."""
        game, items = self.games[i], self.items[i]
        made = self._maps.take(i, int(game["next_seed"]))
        show_maze(self.scene, self.solids, i, made.maze, made.look)
        self.steps[i] = made.steps
        game["special"] = made.special
        game["hue"] = (made.hue_deg + HUE_STEP_DEG // 2) // HUE_STEP_DEG % NUM_HUES
        game["num_spawns"] = len(made.spawns)
        self.spawns[i, : len(made.spawns)] = made.spawns
        items["kind"] = NOTHING
        items["kind"][:NUM_PLACES] = made.item_kinds
        items["x"][:NUM_PLACES], items["y"][:NUM_PLACES] = made.item_places.T
        items["from_ms"], items["until_ms"] = 0, NEVER_MS

    def _update_scene(self, i: int) -> None:
        scene = self.scene
        draw_game(
            self.fighters[i], self.items[i], self.orbs[i], self.games[i], scene.things,
            scene.thing_texture, i,
        )  # fmt: skip


advances(LasertagThreeOpponentsSmall, step_slice)
