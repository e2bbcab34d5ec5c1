"""Objects made of MiniWorld's meshes and boxes, and for which of labsim's things they stand.

Sizes and places of parts are in labsim's units; x is where the object faces, y its left, and z
counts from the lower edge of labsim's picture of the thing. Sizes are those of labsim's pictures.
"""

import colorsys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from envs.labsim import models as pictures
from envs.labsim.levels import explore_goal_locations_small_scene as explore
from envs.labsim.levels import lasertag_scene as lasertag
from envs.labsim.levels import rooms_keys_doors_puzzle_scene as keys_doors
from envs.labsim.levels import seekavoid_arena_01_scene as seekavoid
from envs.labsim.model_renderer import Model as Picture
from envs.labsim.models import BLUE, BOT_VIEWS, GADGETS, GREEN, RED, SPIN_VIEWS, Vector

BOX = ""  # the name of the one shape that is not a mesh
BALL, CONE, KEY = "ball", "cone", "key"
WHITE, GREY, BLACK = (235.0, 235.0, 235.0), (88.0, 88.0, 96.0), (34.0, 34.0, 38.0)


class Part(NamedTuple):
    """A mesh of the stock, stretched to a size."""

    mesh: str
    size: Vector  # along x, y and z
    middle: Vector
    rgb: Vector | None = None  # 0 to 255; None: the mesh's own colours and pictures
    is_upright: bool = False  # a mesh that lies along y stands up


Model = tuple[Part, ...]


def models(level: str) -> dict[int, Model]:
    """What stands for the things of a level, by the first texture that a thing shows."""
    if level == "explore_goal_locations_small":
        return {explore.GOAL_TEXTURE: _whole(CONE, pictures.goal())}
    if level == "seekavoid_arena_01":
        return {
            seekavoid.ITEM_TEXTURE: _whole("ball_red", pictures.apple()),
            seekavoid.ITEM_TEXTURE + 1: _whole("ball_yellow", pictures.lemon(), depth=0.8),
        }
    if level == "rooms_keys_doors_puzzle":
        found = {keys_doors.LOLLY: _whole(CONE, pictures.lolly())}
        for k, rgb in enumerate(keys_doors.COLOUR_RGB.tolist()):
            found[keys_doors.KEY + SPIN_VIEWS * k] = _key(rgb)
        return found
    return _lasertag() if level == "lasertag_three_opponents_small" else {}


def _whole(mesh: str, picture: Picture, depth: float = 1.0) -> Model:
    """One mesh as wide and as high as a picture, and `depth` times as deep as it is wide."""
    width = 2.0 * picture.half_width
    middle = (0.0, 0.0, 0.5 * picture.height)
    return (Part(mesh, (depth * width, width, picture.height), middle),)


def _key(rgb: Sequence[float]) -> Model:
    picture = pictures.key((255, 0, 0))
    size = (10.0, 2.0 * picture.half_width, picture.height)
    colour = (float(rgb[0]), float(rgb[1]), float(rgb[2]))
    return (Part(KEY, size, (0.0, 0.0, 0.5 * picture.height), colour, is_upright=True),)


def _lasertag() -> dict[int, Model]:
    found = {
        lasertag.HEALTH_TEXTURE: _whole("medkit", pictures.health(), depth=0.6),
        lasertag.ARMOUR_TEXTURE: _whole("keycard", pictures.armour(), depth=0.2),
        lasertag.ORB_TEXTURE: (
            Part(BALL, (16.0, 16.0, 16.0), (0.0, 0.0, 8.0), (255.0, 150.0, 60.0)),
        ),
    }
    for k, kind in enumerate(GADGETS):
        found[lasertag.GADGET_TEXTURE + SPIN_VIEWS * k] = _gadget(kind)
    for k in range(lasertag.NUM_HUES):
        found[lasertag.BOT_TEXTURE + BOT_VIEWS * k] = _bot(lasertag.HUE_STEP_DEG * k)
    return found


def _gadget(kind: str) -> Model:
    """A grey gun whose part in front tells the kind."""
    size, rgb = {
        "orb": ((18.0, 18.0, 18.0), (255.0, 70.0, 20.0)),
        "beam": ((20.0, 6.0, 6.0), (60.0, 230.0, 255.0)),
        "disc": ((22.0, 4.0, 22.0), (180.0, 255.0, 40.0)),
    }[kind]
    return (
        Part(BOX, (22.0, 8.0, 9.0), (-8.0, 0.0, 17.0), (150.0, 154.0, 164.0)),
        Part(BOX, (6.0, 6.0, 12.0), (-13.0, 0.0, 8.0), (62.0, 64.0, 72.0)),
        Part(BOX if kind == "beam" else BALL, size, (11.0, 0.0, 17.0), rgb),
    )


def _bot(hue_deg: float) -> Model:
    """A black robot with parts in the hues H, H + 120 and H + 240, as labsim's."""
    first, second, third = (
        (
            255.0 * np.array(colorsys.hsv_to_rgb((hue_deg / 360.0 + k / 3.0) % 1.0, 1.0, 1.0))
        ).tolist()
        for k in range(3)
    )
    colour = {RED: first, GREEN: second, BLUE: third}
    parts = [
        Part(BALL, (13.0, 12.0, 14.0), (0.0, 0.0, 49.0), colour[RED]),
        Part(BALL, (9.0, 9.2, 5.6), (3.5, 0.0, 49.5), WHITE),  # visor
        Part(BALL, (14.0, 19.0, 17.0), (0.0, 0.0, 34.0), BLACK),
        Part(BALL, (10.4, 12.0, 11.0), (3.2, 0.0, 35.5), colour[GREEN]),  # chest plate
        Part(BOX, (7.0, 13.0, 13.0), (-8.0, 0.0, 35.0), colour[BLUE]),  # back pack
        Part(BOX, (10.0, 14.0, 8.0), (0.0, 0.0, 25.0), GREY),
    ]
    for side in (-1.0, 1.0):
        parts += [
            Part(BALL, (9.6, 8.8, 8.8), (0.0, 11.8 * side, 39.0), colour[BLUE]),  # shoulder
            Part(BOX, (5.0, 5.0, 14.0), (1.0, 13.5 * side, 31.0), BLACK),
            Part(BOX, (15.0, 5.8, 5.8), (6.0, 13.0 * side, 25.5), colour[RED]),  # fore-arm
            Part(BOX, (6.0, 6.0, 14.0), (0.5, 5.0 * side, 19.0), BLACK),
            Part(BOX, (7.0, 6.8, 14.0), (1.5, 5.5 * side, 9.5), colour[GREEN]),  # shin
            Part(BOX, (12.0, 6.8, 4.0), (2.5, 5.5 * side, 2.0), GREY),
        ]
    return tuple(parts)
