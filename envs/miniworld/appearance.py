"""Which textures of MiniWorld's stock stand for which of labsim's, level by level.

A stock texture keeps its pattern and takes the mean colour of what it stands for, except pictures
on walls: those of mazes are MiniWorld's portraits, one for one, and the landmarks of
room_watermaze are MiniWorld's letters on the landmarks' colours.
"""

from typing import NamedTuple

import numpy as np

from envs.labsim import text_maze
from envs.labsim.decals import NUM_DECALS
from envs.labsim.levels import room_watermaze_scene as watermaze
from envs.labsim.levels import rooms_keys_doors_puzzle_scene as keys_doors
from envs.labsim.levels import seekavoid_arena_01_scene as seekavoid
from envs.labsim.levels.room_watermaze_pictures import LANDMARKS, PANEL_LIGHT, WATER_MEAN
from envs.labsim.scene import Scene
from envs.labsim.textures import LOG2_SIZE, START
from envs.labsim.themes import FLOORS, WALLS
from envs.miniworld.stock import mean_of_stock, portraits

FLAT = "white_1"  # with a tint: one colour
LETTERS = "AEGHKMSW"  # of the eight landmarks, counter-clockwise from the east
# By style of the theme.
FLOOR_OF_STYLE = {
    "style_01": "rock_1",
    "style_02": "ceiling_tiles_1",
    "style_03": "marble_1",
    "style_04": "stucco_1",
    "style_05": "ceiling_tile_noborder_1",
}
WALL_OF_STYLE = {
    "style_01": "cinder_blocks_1",
    "style_02": "door_garage_white",
    "style_03": "airduct_grate_1",
    "style_04": "brick_wall_1",
    "style_05": "marble_2",
}


class Appearance(NamedTuple):
    """A texture of the stock: its file's name without ending, and the colour it is tinted to."""

    name: str
    rgb: tuple[float, float, float] | None = None  # 0 to 255; None: as it is


def appearances(level: str, scene: Scene) -> dict[int, Appearance]:
    """What stands for each of a level's textures; those that are not named are of one colour."""
    own = {
        "room_watermaze": _watermaze,
        "seekavoid_arena_01": _seekavoid,
        "rooms_keys_doors_puzzle": _keys_doors,
    }
    found = {k: Appearance(FLAT, mean_rgb(scene, k)) for k in range(len(scene.mips))}
    for texture, look in own.get(level, _maze)().items():
        if isinstance(look, str):
            found[texture] = Appearance(look, mean_rgb(scene, texture))
        else:
            found[texture] = look
    return found


def mean_rgb(scene: Scene, texture: int) -> tuple[float, float, float]:
    """The mean colour of a labsim texture, 0 to 255: its smallest mip level."""
    texel = int(scene.texels[scene.mips[texture, START + scene.mips[texture, LOG2_SIZE]]])
    red, green, blue, _ = texel.to_bytes(4, "little")
    return float(red), float(green), float(blue)


def _watermaze() -> dict[int, str | Appearance]:
    found: dict[int, str | Appearance] = {
        watermaze.WALL: WALL_OF_STYLE["style_01"],
        watermaze.FLOOR: FLOOR_OF_STYLE["style_01"],
    }
    # The water adds as much light as labsim's grey, but in its own colour.
    water = WATER_MEAN / mean_of_stock("water_1").mean() * mean_of_stock("water_1")
    found[watermaze.WATER] = Appearance("water_1", tuple(water.tolist()))
    for k, (letter, (_, rgb)) in enumerate(zip(LETTERS, LANDMARKS, strict=True)):
        red, green, blue = (PANEL_LIGHT * np.array(rgb)).tolist()
        found[watermaze.PANEL + k] = Appearance(f"chars/ch_0x{ord(letter)}_1", (red, green, blue))
    return found


def _seekavoid() -> dict[int, str | Appearance]:
    return {
        seekavoid.WALL: WALL_OF_STYLE["style_01"],
        seekavoid.FLOOR: FLOOR_OF_STYLE["style_01"],
    }


def _keys_doors() -> dict[int, str | Appearance]:
    return {keys_doors.FLOOR: FLOOR_OF_STYLE["style_01"]}


def _maze() -> dict[int, str | Appearance]:
    found: dict[int, str | Appearance] = {}
    for k, (style, _) in enumerate(FLOORS):
        found[text_maze.FLOOR + k] = FLOOR_OF_STYLE[style]
    for k, (style, _) in enumerate(WALLS):
        found[text_maze.WALL + k] = WALL_OF_STYLE[style]
    for k, name in enumerate(portraits()[:NUM_DECALS]):
        found[text_maze.DECAL + k] = Appearance(name)
    return found
