"""Textures of mazes of text: walls and floors of the theme MISHMASH, and the sky above them.

The pictures ship with the labmaze wheel. Names and order: `game_scripts/themes/texture_sets.lua`
of DeepMind Lab (commit b1db91a). How they are lit was fitted to recorded frames.
"""

import os

import labmaze.assets
import numpy as np
from numpy.typing import NDArray

from envs.labsim.textures import SIZE, as_picture, load_image, load_rgb

# Style and colour; the first of each is that of corridors.
FLOORS = tuple(
    (style, colour + shade)
    for style, colours in (
        ("style_01", ("orange", "blue")),
        ("style_02", ("blue", "green")),
        ("style_03", ("green", "blue")),
        ("style_04", ("blue", "orange")),
        ("style_05", ("blue", "orange")),
    )
    for colour in colours
    for shade in ("", "_bright")
)
WALLS = tuple(
    (style, colour + shade)
    for style, colours in (
        ("style_01", ("green", "red")),
        ("style_02", ("yellow", "blue")),
        ("style_03", ("orange", "gray")),
        ("style_04", ("green", "red")),
        ("style_05", ("red", "yellow")),
    )
    for colour in colours
    for shade in ("", "_bright")
)

Glows = dict[str, tuple[float, float, float]]  # colour of the lines in a file
# What the shaders (`assets/scripts/lab_games.shader`) add to the pictures, by style: the glowing
# lines of *_light*_m.png, times a colour. Those whose brightness changes with a sine wave, cut off
# at 0 and 1, have the wave's mean here.
GLOW_BLUE = (0.0, 0.58, 1.0)
ALMOST_ON, HALF_OFF = 0.68, 0.32  # means of 1 + sin and of sin, cut off
FLOOR_GLOWS: dict[str, Glows] = {
    "style_01": {"floor_light_m": GLOW_BLUE},
    "style_02": {"floor_light_m": (ALMOST_ON,) * 3},
    "style_03": {f"floor_light{k}_m": (ALMOST_ON,) * 3 for k in (1, 2, 3)},
    "style_04": {},
    "style_05": {f"floor_light{k}_m": (HALF_OFF,) * 3 for k in (1, 2)},
}
WALL_GLOWS: dict[str, Glows] = {
    "style_01": {"wall_light_m": GLOW_BLUE},
    "style_02": {},
    "style_03": {"wall_light_m": (ALMOST_ON,) * 3},
    "style_04": {},
    "style_05": {},
}
WALL_SIZE = 256  # pixels a side that recorded frames show of walls
# Means of the lightmaps of a recorded maze; corners are darker, open places brighter.
WALL_LIGHT, FLOOR_LIGHT = 0.9, 0.9

SKY_EYE = np.array([0.07, 0.03])  # x, y of the camera in half widths of the sky's box
# Directions in which the box's sides lie, and to the right of someone who looks there.
SKY_AHEAD = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)])
SKY_RIGHT = np.array([(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)])


def theme_pictures() -> list[NDArray[np.uint8]]:
    """RGBA pictures of the 20 floors, then of the 20 walls, as they look when lit."""
    return [_floor(*name) for name in FLOORS] + [_wall(*name) for name in WALLS]


def _floor(style: str, colour: str) -> NDArray[np.uint8]:
    path = labmaze.assets.get_floor_texture_paths(style)[colour]
    picture = load_rgb(path, SIZE)
    if style == "style_01" and colour.startswith("blue"):
        picture *= GLOW_BLUE
    return _lit(picture, FLOOR_LIGHT, path, FLOOR_GLOWS[style])


def _wall(style: str, colour: str) -> NDArray[np.uint8]:
    path = labmaze.assets.get_wall_texture_paths(style)[colour]
    return _lit(load_rgb(path, WALL_SIZE), WALL_LIGHT, path, WALL_GLOWS[style])


def _lit(picture: NDArray[np.float64], light: float, path: str, glows: Glows) -> NDArray[np.uint8]:
    """Darken a picture by its light and add glowing lines, whose files lie beside its own."""
    lit = light * picture
    for name, colour in glows.items():
        glow_path = os.path.join(os.path.dirname(path), f"{name}.png")
        lit += load_rgb(glow_path, picture.shape[0]) * colour
    return as_picture(lit)


def sky_pictures() -> list[NDArray[np.uint8]]:
    """RGBA pictures of the sky's sides in the east, north, west and south, [SIZE, SIZE, 4].

    As in recorded frames: the pictures in the north and in the west are mirrored, and the camera
    stands beside the middle of the box.
    """
    sky = labmaze.assets.get_sky_texture_paths("sky_03")
    east, north, west, south = (
        load_image(path, 2 * SIZE) for path in (sky.right, sky.back, sky.left, sky.front)
    )
    box = np.stack([east, north[:, ::-1], west[:, ::-1], south])
    return [_seen_side(box, k) for k in range(len(box))]


def _seen_side(box: NDArray[np.uint8], k: int) -> NDArray[np.uint8]:
    """What a camera at SKY_EYE in a box of 4 pictures sees in the direction of side k."""
    steps = (np.arange(SIZE) + 0.5) * (2.0 / SIZE) - 1.0
    right, down = np.meshgrid(steps, steps)
    rays = SKY_AHEAD[k] + right[..., None] * SKY_RIGHT[k]  # [SIZE, SIZE, 2] x, y
    reach = np.min((np.sign(rays) - SKY_EYE) / rays, axis=2)  # the first wall that a ray meets
    points = SKY_EYE + reach[..., None] * rays
    side = np.argmax(points @ SKY_AHEAD.T, axis=2)
    across = (points * SKY_RIGHT[side]).sum(axis=2)
    size = box.shape[1]
    column = np.clip((across + 1.0) * 0.5 * size, 0, size - 1).astype(int)
    row = np.clip((reach * down + 1.0) * 0.5 * size, 0, size - 1).astype(int)
    return box[side, row, column]
