"""Mazes of text as DeepMind Lab builds them: cells of 100 units, textures, pictures on the walls.

The mazes are labmaze's, whose generator is DeepMind Lab's own; what they look like follows
`deepmind/level_generation/text_level` and `game_scripts/themes` (commit b1db91a), down to the
random numbers, so that a seed gives the walls, floors and places of pictures that it gives there.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import labmaze
import numpy as np
from numpy.typing import NDArray

from envs.labsim.collision import CLEARANCE, Solids
from envs.labsim.decals import NUM_DECALS, decal_pictures
from envs.labsim.mersenne_twister import MersenneTwister
from envs.labsim.scene import NONE, Scene, equal_scenes
from envs.labsim.textures import TexturePack
from envs.labsim.themes import FLOORS, WALLS, sky_pictures, theme_pictures
from envs.labsim.world import FEET

CELL = 100.0  # units
FLOOR_Z = 1.0
WALL_TOP = 100.0
STANDING_Z = FLOOR_Z + FEET + CLEARANCE  # of a player on the floor

ROCK = "*"  # a cell without floor, bounded by walls
CORRIDOR = "."  # the letter of cells outside rooms: they have the first floor and wall

DECALS_PER_WALL = 0.1
DECAL_HALF_WIDTH = 16.0
DECAL_Z = (34.0, 66.0)
DECAL_INSET = 2.0  # units before the side of the cell; the wall stands 1 unit before it
MAX_DECALS = 16  # more than mazes of 11 x 11 cells have wall faces for

# Texture ids, in the order of `maze_pictures`.
FLOOR = 0
WALL = FLOOR + len(FLOORS)
DECAL = WALL + len(WALLS)
SKY = DECAL + NUM_DECALS
FIRST_FREE_TEXTURE = SKY + 4  # of a level's own pictures

# Sides of a cell in the order in which DeepMind Lab builds walls: the step (row, column) to the
# neighbour, and to the right of someone who looks there.
Side = tuple[tuple[int, int], tuple[int, int]]
NORTH, EAST, SOUTH, WEST = (
    ((1, 0), (0, 1)),
    ((0, 1), (-1, 0)),
    ((-1, 0), (0, -1)),
    ((0, -1), (1, 0)),
)


class TextMaze(NamedTuple):
    """A maze; rows run along +y (the text's last line is row 0), columns along +x."""

    entities: NDArray[np.str_]  # [rows, columns] what is in each cell
    letters: NDArray[np.str_]  # [rows, columns] which room each cell belongs to

    @property
    def solid(self) -> NDArray[np.bool_]:
        """Which cells are walls, [rows, columns]."""
        return self.entities == ROCK

    def find(self, entity: str) -> NDArray[np.float64]:
        """Centres of the cells with an entity, [n, 2], from north to south and west to east."""
        rows, columns = np.nonzero(self.entities[::-1] == entity)
        return cell_centre(len(self.entities) - 1 - rows, columns)


class Look(NamedTuple):
    """Textures of one maze; ids count from `maze_pictures`."""

    wall_texture: NDArray[np.int32]  # [rows, columns]
    floor_texture: NDArray[np.int32]  # [rows, columns] NONE where there is a wall
    decals: NDArray[np.float32]  # [MAX_DECALS, 10] rows of `Scene.segments`
    decal_texture: NDArray[np.int32]  # [MAX_DECALS] NONE: absent


def cell_centre(row: NDArray | int, column: NDArray | int) -> NDArray[np.float64]:
    """World x, y of the middle of a cell, [..., 2]."""
    return CELL * (np.stack([column, row], axis=-1) + 0.5)


def read_maze(maze: labmaze.RandomMaze) -> TextMaze:
    """Turn labmaze's text upside down, so that rows run along +y."""
    return TextMaze(np.array(maze.entity_layer[::-1]), np.array(maze.variations_layer[::-1]))


def decorate(maze: TextMaze, random: MersenneTwister) -> Look:
    """Choose textures for each room, and walls for pictures.

    `random` is the stream of DeepMind Lab's map maker.
    """
    solid = maze.solid
    looks = {CORRIDOR: (WALL, FLOOR)}
    faces = []
    wall_texture = np.full(solid.shape, NONE, np.int32)
    floor_texture = np.full(solid.shape, NONE, np.int32)
    for row in range(len(solid) - 1, -1, -1):
        for column in range(solid.shape[1]):
            if solid[row, column]:
                continue
            letter = str(maze.letters[row, column])
            if letter not in looks:
                wall = WALL + random.integer(0, len(WALLS) - 1)
                looks[letter] = wall, FLOOR + random.integer(0, len(FLOORS) - 1)
                random.draw()  # the ceiling, of which there is one
            wall_texture[row, column], floor_texture[row, column] = looks[letter]
            for side in (NORTH, EAST, SOUTH, WEST):
                (rows_on, columns_on), _ = side
                if solid[row + rows_on, column + columns_on]:
                    faces.append((row, column, side))
            if (row + column) % 2 == 0:
                random.draw()  # how bright the lamp of this cell is
    decals, decal_texture = _place_decals(faces, random)
    return Look(wall_texture, floor_texture, decals, decal_texture)


def _place_decals(
    faces: Sequence[tuple[int, int, Side]], random: MersenneTwister
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Hang distinct pictures on distinct wall faces, given as row, column and side."""
    segments = np.zeros((MAX_DECALS, 10), np.float32)
    textures = np.full(MAX_DECALS, NONE, np.int32)
    count = int(min(0.5 + DECALS_PER_WALL * len(faces), NUM_DECALS))
    places = _shuffle(len(faces), random)[:count]
    pictures = _shuffle(NUM_DECALS, random)[:count]
    for k, (place, picture) in enumerate(zip(places, pictures, strict=True)):
        row, column, side = faces[place]
        # From (row, column) to (x, y).
        ahead, right = np.array(side)[:, ::-1]
        middle = cell_centre(row, column) + (0.5 * CELL - DECAL_INSET) * ahead
        ends = middle - DECAL_HALF_WIDTH * right, middle + DECAL_HALF_WIDTH * right
        segments[k] = *ends[0], *ends[1], *DECAL_Z, 0.0, 1.0, 0.0, 1.0
        textures[k] = DECAL + picture
    return segments, textures


def _shuffle(count: int, random: MersenneTwister) -> list[int]:
    """0 .. count - 1 in the order in which `random:shuffle` of level scripts puts them."""
    order = list(range(count))
    for k in range(count - 1):
        other = random.integer(k, count - 1)
        order[k], order[other] = order[other], order[k]
    return order


@cache
def maze_pictures() -> tuple[NDArray[np.uint8], ...]:
    """RGBA pictures that all mazes share: floors, walls, decals, sky; see the texture ids."""
    return (*theme_pictures(), *decal_pictures(), *sky_pictures())


def empty_scene(textures: TexturePack, num_envs: int, side: int, num_things: int) -> Scene:
    """Scenes of mazes of side x side cells, yet without maze and things; `show_maze` fills one.

    `textures` begin with `maze_pictures`.
    """
    return equal_scenes(
        textures,
        num_envs,
        grid=(0.0, 0.0, CELL),
        solid=np.ones((side, side)),
        wall_texture=np.full((side, side), NONE),
        wall_z=(FLOOR_Z, WALL_TOP),
        floor_texture=np.full((side, side), NONE),
        floor_tile=CELL,
        floor_z=FLOOR_Z,
        segments=np.zeros((MAX_DECALS, 10)),
        segment_texture=[NONE] * MAX_DECALS,
        things=np.tile((0.0, 0.0, 0.0, 1.0, 1.0, 0.0), (num_things, 1)),
        thing_texture=[NONE] * num_things,
        thing_views=[1] * num_things,
        sky_texture=SKY,
    )


def maze_solids(num_envs: int, side: int, num_boxes: int) -> Solids:
    """What players bump into in mazes of side x side cells, yet without maze and boxes."""
    return Solids(
        walls=np.zeros((num_envs, 0, 5)),
        cells=np.ones((num_envs, side, side), np.bool_),
        grid=np.tile((0.0, 0.0, CELL), (num_envs, 1)),
        boxes=np.full((num_envs, num_boxes, 4), -1.0),
    )


def show_maze(scene: Scene, solids: Solids, i: int, maze: TextMaze, look: Look) -> None:
    """Put a maze into scene and solids of environment i."""
    solids.cells[i] = scene.solid[i] = maze.solid
    scene.wall_texture[i], scene.floor_texture[i] = look.wall_texture, look.floor_texture
    scene.segments[i], scene.segment_texture[i] = look.decals, look.decal_texture


def maze_state(scene: Scene, solids: Solids) -> dict[str, NDArray]:
    """The arrays that `show_maze` writes, by the names that a level's state gives them."""
    fields = ("solid", "wall_texture", "floor_texture", "segments", "segment_texture")
    return {"solids.cells": solids.cells} | {f"scene.{f}": getattr(scene, f) for f in fields}
