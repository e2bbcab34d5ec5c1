"""What rooms_keys_doors_puzzle looks like: orange floors in the sky, fences, keys, an ice lolly.

The walls are solid but invisible (theme INVISIBLE_WALLS of DeepMind Lab, commit b1db91a).
"""

import os
from functools import cache

import labmaze.assets
import numpy as np
from numpy.typing import NDArray

from envs.labsim.items import ITEM_ORIGIN
from envs.labsim.levels.rooms_keys_doors_puzzle_generator import (
    COLUMNS,
    MAX_DOORS,
    MAX_KEYS,
    ROWS,
)
from envs.labsim.models import SPIN_VIEWS, key, lolly
from envs.labsim.scene import NONE, Scene, equal_scenes
from envs.labsim.text_maze import CELL, FLOOR_Z, WALL_TOP
from envs.labsim.textures import TexturePack, as_picture, load_rgb, pack_textures, with_alpha
from envs.labsim.themes import sky_pictures

ITEM_Z = FLOOR_Z + ITEM_ORIGIN
COLOUR_RGB = np.array(  # in the generator's order
    [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)], np.uint8
)
# Fitted to recorded frames: light on the floor, and the glow of the lines between its tiles.
FLOOR_LIGHT, FLOOR_GLOW = 0.93, np.array([0.0, 0.57, 0.98])

# A fence (`translate_text_level.cc`): two rails and four posts, 8 units thick and wide.
FENCE_LENGTH, FENCE_HALF_THICKNESS = 100.0, 4.0
POSTS = (4.0, 34.0, 64.0, 94.0)  # middles, from the fence's end
RAIL = 8.0

FLOOR, SKY, FENCE = 0, 1, 5  # texture ids; one sky for each side, one fence for each colour
KEY = FENCE + len(COLOUR_RGB)  # SPIN_VIEWS pictures of each colour ..
LOLLY = KEY + SPIN_VIEWS * len(COLOUR_RGB)  # .. and as many of the goal
GOAL_THING = MAX_KEYS  # the last of the scene's things; the others are keys
# Feet and heights of the pictures of keys and of the goal.
KEY_FOOT, KEY_HEIGHT = ITEM_Z + key((255, 0, 0)).foot, key((255, 0, 0)).height
LOLLY_FOOT, LOLLY_HEIGHT = ITEM_Z + lolly().foot, lolly().height


def fence_segments(is_east_west: bool) -> NDArray[np.float32]:
    """A fence's segments, [FENCE_SEGMENTS, 10], around its middle.

    The fence of a passage from east to west runs from south to north, and the other way round.
    """
    half = 0.5 * FENCE_LENGTH
    parts = [(-half, half, FLOOR_Z, RAIL), (-half, half, WALL_TOP - RAIL, WALL_TOP)]
    for post in POSTS:
        middle = post - half
        parts.append((middle - 0.5 * RAIL, middle + 0.5 * RAIL, RAIL, WALL_TOP - RAIL))
    thick = FENCE_HALF_THICKNESS
    rows = []
    for start, end, low, high in parts:
        rows += [(start, -thick, end, -thick, low, high), (end, thick, start, thick, low, high)]
    sides = [(-half, -1.0, FLOOR_Z, WALL_TOP), (half, 1.0, FLOOR_Z, WALL_TOP)]  # the fence's ends
    for post in POSTS:
        sides += [
            (post - half + turn * 0.5 * RAIL, turn, RAIL, WALL_TOP - RAIL) for turn in (-1.0, 1.0)
        ]
    for place, turn, low, high in sides:  # seen from the west (-1) or from the east (1)
        rows.append((place, -turn * thick, place, turn * thick, low, high))
    segments = np.zeros((len(rows), 10), np.float32)
    segments[:, :6] = rows
    segments[:, 7], segments[:, 9] = 1.0, 1.0
    if is_east_west:  # a quarter of a turn: (x, y) -> (-y, x)
        x0, y0, x1, y1 = segments[:, :4].T.copy()
        segments[:, :4] = np.stack([-y0, x0, -y1, x1], axis=1)
    return segments


FENCES = np.stack([fence_segments(False), fence_segments(True)])  # [2, FENCE_SEGMENTS, 10]
FENCE_SEGMENTS = FENCES.shape[1]


def build_scene(num_envs: int) -> Scene:
    """The scene of num_envs puzzles, empty until a map is loaded."""
    things = np.zeros((MAX_KEYS + 1, 6))
    things[:, 4] = [key((255, 0, 0)).half_width] * MAX_KEYS + [lolly().half_width]
    return equal_scenes(
        _textures(),
        num_envs,
        grid=(0.0, 0.0, CELL),
        solid=np.zeros((ROWS, COLUMNS)),
        wall_texture=np.full((ROWS, COLUMNS), NONE),
        wall_z=(FLOOR_Z, WALL_TOP),
        floor_texture=np.full((ROWS, COLUMNS), NONE),
        floor_tile=CELL,
        floor_z=FLOOR_Z,
        segments=np.zeros((MAX_DOORS * FENCE_SEGMENTS, 10)),
        segment_texture=[NONE] * (MAX_DOORS * FENCE_SEGMENTS),
        things=things,
        thing_texture=[NONE] * (MAX_KEYS + 1),
        thing_views=[SPIN_VIEWS] * (MAX_KEYS + 1),
        sky_texture=SKY,
    )


@cache
def _textures() -> TexturePack:
    """All textures; packed once, every batch reads the same."""
    return pack_textures(_pictures())


def _pictures() -> list[NDArray[np.uint8]]:
    """RGBA pictures in the order of the texture ids."""
    floor_path = labmaze.assets.get_floor_texture_paths("style_01")["orange"]
    glow_path = os.path.join(os.path.dirname(floor_path), "floor_light_m.png")
    floor = FLOOR_LIGHT * load_rgb(floor_path) + FLOOR_GLOW * load_rgb(glow_path)
    flat = [with_alpha(np.full((1, 1, 3), rgb, np.uint8)) for rgb in COLOUR_RGB]
    keys = [picture for r, g, b in COLOUR_RGB.tolist() for picture in key((r, g, b)).pictures]
    return [as_picture(floor), *sky_pictures(), *flat, *keys, *lolly().pictures]
