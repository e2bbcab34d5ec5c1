"""The maps of laser tag: a maze, what lies where in it, and the ways through it.

Follows DeepMind Lab, commit b1db91a (`factories/lasertag/procedural_factory.lua`), down to the
random numbers, so that a seed gives the maze and the items that it gives there.
"""

from typing import NamedTuple

import labmaze
import numpy as np
from numpy.typing import NDArray

from envs.labsim.levels.lasertag_fighters import BEAM, DISC, ORB
from envs.labsim.levels.lasertag_items import ARMOUR, GADGET, HEALTH, NUM_PLACES
from envs.labsim.mersenne_twister import MersenneTwister
from envs.labsim.text_maze import Look, TextMaze, cell_centre, decorate, read_maze
from envs.labsim.world import kernel

SIDE = 11  # cells
ROOMS, SPAWNS_PER_ROOM = 3, 3
MAX_SPAWNS = ROOMS * SPAWNS_PER_ROOM
FREE, SPAWN = " ", "P"
THEME_SEEDS = 100_000  # of looks
NO_WAY = 255


class Map(NamedTuple):
    """One maze with what lies in it."""

    maze: TextMaze
    look: Look
    spawns: NDArray[np.float64]  # [n, 2] x, y
    item_kinds: NDArray[np.int64]  # [NUM_PLACES]
    item_places: NDArray[np.float64]  # [NUM_PLACES, 2] x, y
    special: int  # ORB, BEAM or DISC
    hue_deg: int  # of the bots
    steps: NDArray[np.uint8]  # [cells, cells] see `walking_distances`


def make_map(seed: int) -> Map:
    """Make the map of a level script's seed."""
    maze = read_maze(
        labmaze.RandomMaze(
            height=SIDE,
            width=SIDE,
            max_rooms=ROOMS,
            room_min_size=3,
            room_max_size=5,
            extra_connection_probability=0.05,
            max_variations=26,
            spawns_per_room=SPAWNS_PER_ROOM,
            random_seed=seed,
        )
    )
    look = decorate(maze, MersenneTwister(MersenneTwister(seed).integer(1, THEME_SEEDS)))
    random = MersenneTwister(seed)
    hue_deg = random.integer(0, 359)
    cells = [
        (row, column)
        for row in range(SIDE - 1, -1, -1)
        for column in range(SIDE)
        if maze.entities[row, column] == FREE
    ]
    for k in range(NUM_PLACES):
        other = random.integer(k, len(cells) - 1)
        cells[k], cells[other] = cells[other], cells[k]
    kinds = np.zeros(NUM_PLACES, np.int64)
    special = ORB
    # Things are made from north to south and west to east, whatever they are.
    for k in sorted(range(NUM_PLACES), key=lambda k: (-cells[k][0], cells[k][1])):
        if k == 0:
            kinds[k], special = GADGET, (ORB, BEAM, DISC)[random.integer(0, 2)]
        else:
            kinds[k] = (HEALTH, ARMOUR)[random.integer(0, 1)]
    rows, columns = np.array(cells[:NUM_PLACES]).T
    return Map(
        maze,
        look,
        maze.find(SPAWN),
        kinds,
        cell_centre(rows, columns),
        special,
        hue_deg,
        walking_distances(maze.solid),
    )


@kernel
def walking_distances(solid):  # type: ignore[no-untyped-def]
    """How many cells it is from each cell to each other: u8 [cells, cells], goal first.

    solid: bool [rows, columns]. A cell's number is row * columns + column; NO_WAY is between those
    that are not connected.
    """
    rows, columns = solid.shape
    count = rows * columns
    steps = np.full((count, count), NO_WAY, np.uint8)
    queue = np.empty(count, np.int64)
    for goal in range(count):
        if solid[goal // columns, goal % columns]:
            continue
        steps[goal, goal] = 0
        queue[0] = goal
        first, last = 0, 1
        while first < last:
            cell = queue[first]
            first += 1
            row, column = cell // columns, cell % columns
            for side in range(4):
                near_row = row + (1 if side == 0 else -1 if side == 1 else 0)
                near_column = column + (1 if side == 2 else -1 if side == 3 else 0)
                if not (0 <= near_row < rows and 0 <= near_column < columns):
                    continue
                near = near_row * columns + near_column
                if not solid[near_row, near_column] and steps[goal, near] == NO_WAY:
                    steps[goal, near] = steps[goal, cell] + 1
                    queue[last] = near
                    last += 1
    return steps
