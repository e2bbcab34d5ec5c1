"""rooms_keys_doors_puzzle: find the order of coloured keys and doors that leads to the goal.

Rules of DeepMind Lab (commit b1db91a, `keys_doors_puzzle_factory.lua`): +1 for each key, +1 for
each door, +50 for the goal. One key at a time is carried, another one replaces it, a door takes it.
Every episode has a new puzzle; it ends 0.2 s after the goal is touched, or after 60 s.
"""

import numpy as np
from numpy.typing import NDArray

from envs.config import LEVEL_STEPS
from envs.frame_rate import FRAMES_PER_SECOND, FRAMES_PER_STEP
from envs.labsim.collision import Solids
from envs.labsim.level import Level, advances, fields_by_name
from envs.labsim.levels.rooms_keys_doors_puzzle_generator import (
    COLOURS,
    COLUMNS,
    MAX_DOORS,
    MAX_KEYS,
    ROWS,
    make_puzzle,
)
from envs.labsim.levels.rooms_keys_doors_puzzle_rules import (
    ABSENT,
    CLOSED,
    DOOR,
    EMPTY_HANDED,
    GAME,
    ITEM,
    Rules,
    draw_items,
    place_fence,
    step_slice,
)
from envs.labsim.levels.rooms_keys_doors_puzzle_scene import (
    FENCE,
    FENCE_SEGMENTS,
    FLOOR,
    build_scene,
)
from envs.labsim.maps import draw_lab_seed, lab_seed
from envs.labsim.scene import NONE
from envs.labsim.text_maze import CELL, FLOOR_Z, STANDING_Z
from envs.labsim.world import (
    HALF_WIDTH,
    PLAYER,
    start_clocks,
    uniform,
)

EPISODE_STEPS = LEVEL_STEPS["rooms_keys_doors_puzzle"]
# Of a map just loaded, see `load_clocks`: with them, recorded frames are as long as they were, and
# a recorded door opens when it did.
CLOCKS = (28, 18)


class RoomsKeysDoorsPuzzle(Level):
    """The rules of rooms_keys_doors_puzzle for a batch of environments."""

    episode_steps = EPISODE_STEPS
    clocks = CLOCKS
    standing_z = STANDING_Z

    def __init__(self, num_envs: int) -> None:
        self.players = np.zeros(num_envs, PLAYER)
        self.games = np.zeros(num_envs, GAME)
        self.keys = np.zeros((num_envs, MAX_KEYS), ITEM)  # colour ABSENT: taken, or none
        self.doors = np.zeros((num_envs, MAX_DOORS), DOOR)
        self.scene = build_scene(num_envs)
        self.solids = Solids(
            walls=np.empty((num_envs, 0, 5)),
            cells=np.ones((num_envs, ROWS, COLUMNS), np.bool_),
            grid=np.tile((0.0, 0.0, CELL), (num_envs, 1)),
            boxes=np.zeros((num_envs, MAX_DOORS, 4)),
        )
        self.rules = Rules(
            self.players,
            self.games,
            self.keys,
            self.doors,
            self.solids,
            self.scene.segments,
            self.scene.things,
            self.scene.thing_texture,
            self.scene.square,
        )

    def seed(self, i: int, seed: int) -> None:
        """Start the random stream of environment i; seeds are in 0 .. 2^64 - 1.

        The first puzzle is the one that DeepMind Lab makes of the same seed.
        """
        super().seed(i, seed)
        self.games["next_seed"][i] = lab_seed(seed)

    def begin(self, i: int, length_steps: int = EPISODE_STEPS) -> None:
        """Begin an episode of environment i with a new puzzle."""
        player, game = self.players[i], self.games[i]
        self._load_puzzle(i, int(game["next_seed"]))
        game["next_seed"] = draw_lab_seed(player)
        game["held"], game["goal_taken"] = EMPTY_HANDED, False
        game["ends_after"], game["unpaid"] = np.inf, 0.0
        player["yaw"] = 360.0 * uniform(player)
        player["floor"] = FLOOR_Z
        player["vx"], player["vy"], player["vz"] = 0.0, 0.0, 0.0
        start_clocks(player, CLOCKS)
        player["frame"], player["trial_start"] = 0, 0
        player["last_frame"] = length_steps * FRAMES_PER_STEP
        rules = self.rules
        draw_items(player, game, self.keys[i], rules.things, rules.textures, rules.square, i)

    def restart_clock(self, i: int) -> None:
        """Let the episode of environment i begin now, at its full length; forget what is unpaid."""
        self.games["unpaid"][i] = 0.0
        self.games["ends_after"][i] -= self.players["frame"][i] / FRAMES_PER_SECOND
        super().restart_clock(i)

    def target(self, i: int) -> NDArray[np.float64]:
        """Where the goal of environment i is, [2]."""
        return np.array([self.games["goal_x"][i], self.games["goal_y"][i]])

    def is_open(self, i: int, x: float, y: float) -> bool:
        """Whether a player may stand at (x, y) in environment i."""
        away = np.abs([x, y] - self.solids.boxes[i, :, :2]) - self.solids.boxes[i, :, 2:]
        in_doors = (away <= HALF_WIDTH).all(axis=1) & (self.doors["colour"][i] != ABSENT)
        return super().is_open(i, x, y) and not in_doors.any()

    def index_limits(self) -> dict[str, tuple[int, int]]:
        """Lowest and highest of the numbers in `state` that lead to a place in an array."""
        last = len(COLOURS) - 1
        return {
            "door.colour": (ABSENT, last),
            "door.is_east_west": (0, 1),
            "game.held": (EMPTY_HANDED, last),
            "key.colour": (ABSENT, last),
        }

    def state(self) -> dict[str, NDArray]:
        """Every array that changes while the level runs, by name."""
        own = fields_by_name(player=self.players, game=self.games, key=self.keys, door=self.doors)
        own |= {"solids.cells": self.solids.cells, "solids.boxes": self.solids.boxes}
        scene = self.scene
        return own | {
            "scene.floor_texture": scene.floor_texture,
            "scene.segments": scene.segments,
            "scene.segment_texture": scene.segment_texture,
            "scene.things": scene.things,
            "scene.thing_texture": scene.thing_texture,
            "scene.square": scene.square,
        }

    def _load_puzzle(self, i: int, seed: int) -> None:
        """Build the rooms, doors and objects of a seed, and put the player at the start."""
        puzzle = make_puzzle(seed)
        self.solids.cells[i] = ~puzzle.open_cells
        self.scene.floor_texture[i] = np.where(puzzle.open_cells, FLOOR, NONE)
        keys, doors = self.keys[i], self.doors[i]
        keys[:], doors[:] = (0.0, 0.0, ABSENT), (0.0, 0.0, ABSENT, 0, CLOSED, 0, 0)
        keys, doors = keys[: len(puzzle.keys)], doors[: len(puzzle.doors)]
        keys["x"], keys["y"] = _middles(puzzle.keys)
        keys["colour"] = puzzle.keys[:, 2]
        doors["x"], doors["y"] = _middles(puzzle.doors)
        doors["colour"], doors["is_east_west"] = puzzle.doors[:, 2], puzzle.doors[:, 3]
        textures = self.scene.segment_texture[i].reshape(MAX_DOORS, FENCE_SEGMENTS)
        textures[:] = np.where(self.doors["colour"][i] == ABSENT, NONE, FENCE)[:, None]
        textures[: len(doors)] += doors["colour"][:, None].astype(np.int32)
        self.solids.boxes[i] = -1.0
        for k in range(len(doors)):
            box, segments = self.solids.boxes[i, k], self.scene.segments[i]
            place_fence(self.players[i], doors[k], box, segments, k)
        points = np.array([puzzle.goal, puzzle.start])
        (goal_x, start_x), (goal_y, start_y) = _middles(points)
        self.games["goal_x"][i], self.games["goal_y"][i] = goal_x, goal_y
        self.place(i, np.array([start_x, start_y, 0.0]), np.zeros(2))


def _middles(cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """World x and y, [2, N], of the middles of cells that start with row and column, [N, ..]."""
    return CELL * (cells[:, 1::-1].T + np.float64(0.5))


advances(RoomsKeysDoorsPuzzle, step_slice)
