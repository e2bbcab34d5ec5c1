"""What seekavoid_arena_01 looks like: a walled floor with fruit, in a stadium under a blue sky.

Geometry: DeepMind Lab, commit b1db91a (`seekavoid_arena_01.map`). The stadium there is a model; its
ring, the heights of its rails and all colours were fitted to recorded frames.
"""

import os

import labmaze.assets
import numpy as np
from numpy.typing import NDArray

from envs.labsim.items import ITEM_ORIGIN
from envs.labsim.models import apple, lemon
from envs.labsim.scene import NONE, Scene, equal_scenes
from envs.labsim.textures import SIZE, as_picture, load_image, load_rgb, pack_textures

WEST, EAST, SOUTH, NORTH = -568.0, 1016.0, -760.0, 568.0
WALL_HEIGHT = 192.0
WALL_TILE = 224.0  # units of wall for each texture along it
WALL_SHIFTS = (16.0, -14.0, 0.0, 0.0)  # units that the textures of the four walls are moved by
FLOOR_TILE = 194.56  # units: 1024 pixels of 0.19 units
# Light on the walls at some heights (as parts of the wall, from the top), and on the floor.
WALL_LIGHT_V, WALL_LIGHT = (0.0, 0.2, 0.4, 0.6, 1.0), (0.62, 0.7, 0.74, 0.72, 0.65)
FLOOR_LIGHT = 0.77
WALL_GLOW = np.array([0.0, 0.53, 0.92])  # of the light blue lines on walls ..
FLOOR_GLOW = np.array([0.25, 0.65, 1.0])  # .. and of those between the floor's tiles

APPLES = (
    (288, -128), (64, -160), (352, -24), (72, -288), (288, -312), (272, 64), (384, -240), (48, 56),
    (-56, -48), (368, 80), (128, 144), (480, -216), (-120, -224), (432, 104), (-64, -440),
)  # fmt: skip
LEMONS = (
    (296, -208), (144, 24), (392, -88), (-48, -136), (8, -360), (240, -424), (-56, 88), (232, 176),
)  # fmt: skip
ITEMS = np.array(APPLES + LEMONS, np.float64)  # [23, 2] x, y; apples come first
ITEM_Z = ITEM_ORIGIN  # the floor is at 0
ITEM_MODELS = (apple(), lemon())

# The four walls, each seen from inside with its first point on the left.
WALL_SEGMENTS = (
    (EAST, NORTH, EAST, SOUTH),
    (WEST, NORTH, EAST, NORTH),
    (WEST, SOUTH, WEST, NORTH),
    (EAST, SOUTH, WEST, SOUTH),
)

STADIUM_CENTRE = (394.0, 23.0)
STADIUM_RADII = (2650.0, 3060.0)  # of its ring, along x and y
STADIUM_FACES = 32
STADIUM_TILES = 10  # textures around the ring: then they are stretched alike along and up
STADIUM_Z = (140.0, 1960.0)  # what is lower is always behind the walls
STADIUM_SIZE = 16  # so coarse that all of it is drawn with one mip level, from everywhere
# Bands of the stadium's wall: height of the upper end, colour; from below.
SEATS, CONCRETE, SHADE = (26.0, 80.0, 122.0), (20.0, 67.0, 102.0), (13.0, 51.0, 77.0)
WHITE, DARK = (246.0, 246.0, 246.0), (58.0, 60.0, 64.0)
CYAN, BLUE = (123.0, 255.0, 255.0), (0.0, 115.0, 197.0)
BANDS = (
    (915.0, SEATS), (980.0, DARK), (1060.0, WHITE), (1130.0, CYAN), (1260.0, SEATS),
    (1385.0, CONCRETE), (1440.0, SHADE), (1510.0, BLUE), (1590.0, DARK), (1665.0, WHITE),
    (1790.0, CONCRETE), (1880.0, DARK), (1960.0, (190.0, 190.0, 190.0)),
)  # fmt: skip

WALL, FLOOR, STADIUM, SKY = range(4)  # texture ids, in the order of `_pictures`
ITEM_TEXTURE = SKY + 4  # of apples; lemons follow


def build_scene(num_envs: int) -> Scene:
    """The scene of num_envs equal arenas; only `things` and `thing_texture` change."""
    walls, stadium = _walls(), _stadium()
    return equal_scenes(
        pack_textures(_pictures()),
        num_envs,
        wall_z=(0.0, WALL_HEIGHT),
        floor_texture=[[FLOOR]],
        floor_tile=FLOOR_TILE,
        segments=np.concatenate([walls, stadium]),
        segment_texture=[WALL] * len(walls) + [STADIUM] * len(stadium),
        things=_things(),
        thing_texture=[NONE] * len(ITEMS),
        thing_views=[1] * len(ITEMS),
        sky_texture=SKY,
    )


def _pictures() -> list[NDArray[np.uint8]]:
    """All textures, in the order of their ids."""
    wall_path = labmaze.assets.get_wall_texture_paths("style_01")["green"]
    floor_path = labmaze.assets.get_floor_texture_paths("style_01")["orange"]
    folder = os.path.dirname(wall_path)
    wall_glow, floor_glow = (
        load_rgb(os.path.join(folder, f"{name}_light_m.png")) for name in ("wall", "floor")
    )
    light = np.interp((np.arange(SIZE) + 0.5) / SIZE, WALL_LIGHT_V, WALL_LIGHT)[:, None, None]
    wall = light * load_rgb(wall_path) + WALL_GLOW * wall_glow
    floor = FLOOR_LIGHT * load_rgb(floor_path) + FLOOR_GLOW * floor_glow
    sky = labmaze.assets.get_sky_texture_paths("sky_02")
    # As recorded: the sky's east is in the south here.
    sides = [load_image(path) for path in (sky.back, sky.left, sky.front, sky.right)]
    fruit = [model.pictures[0] for model in ITEM_MODELS]
    return [as_picture(wall), as_picture(floor), _stadium_picture(), *sides, *fruit]


def _stadium_picture() -> NDArray[np.uint8]:
    """A part of the stadium: rows of seats between rails, [STADIUM_SIZE, STADIUM_SIZE, 4]."""
    bottom, top = STADIUM_Z
    height = top - (np.arange(SIZE) + 0.5) / SIZE * (top - bottom)
    bands = np.searchsorted([band[0] for band in BANDS], height)
    picture = np.array([band[1] for band in BANDS])[bands][:, None].repeat(SIZE, axis=1)
    rows, columns = np.indices((SIZE, SIZE)) // (SIZE // STADIUM_SIZE)
    seats = (picture == SEATS).all(axis=2)
    picture[seats] *= np.where((rows + columns) % 2 == 0, 1.05, 0.95)[seats][:, None]
    joints = (picture.min(axis=2) > 150.0) & (columns % 4 == 0)  # of a rail's pieces
    picture[joints] *= 0.6
    block = SIZE // STADIUM_SIZE
    picture = picture.reshape(STADIUM_SIZE, block, STADIUM_SIZE, block, 3).mean(axis=(1, 3))
    return as_picture(picture)


def _walls() -> NDArray[np.float64]:
    """The four walls as segments: [4, 10]."""
    rows = []
    for (x0, y0, x1, y1), shift in zip(WALL_SEGMENTS, WALL_SHIFTS, strict=True):
        # Textures run along the world's axes: whole tiles lie between multiples of WALL_TILE.
        start, end = (x0, x1) if x0 != x1 else (y0, y1)
        along = np.sign(end - start)
        u = [(along * place + shift) / WALL_TILE for place in (start, end)]
        rows.append([x0, y0, x1, y1, 0.0, WALL_HEIGHT, *u, 0.0, 1.0])
    return np.array(rows)


def _stadium() -> NDArray[np.float64]:
    """The ring of the stadium as segments, seen from inside: [STADIUM_FACES, 10]."""
    turns = 2.0 * np.pi * np.arange(STADIUM_FACES + 1) / STADIUM_FACES
    points = np.stack([np.cos(turns), np.sin(turns)], axis=1) * STADIUM_RADII + STADIUM_CENTRE
    u = STADIUM_TILES * turns[:, None] / (2.0 * np.pi)
    z, v = (np.tile(ends, (STADIUM_FACES, 1)) for ends in (STADIUM_Z, (0.0, 1.0)))
    return np.hstack([points[1:], points[:-1], z, 1.0 - u[1:], 1.0 - u[:-1], v])


def _things() -> NDArray[np.float64]:
    """The items, yet without height: [23, 6]; see `Scene.things`."""
    half_widths = [ITEM_MODELS[0].half_width] * len(APPLES)
    half_widths += [ITEM_MODELS[1].half_width] * len(LEMONS)
    nothing = np.zeros(len(ITEMS))
    return np.column_stack([ITEMS, nothing, nothing + 1.0, half_widths, nothing])
