"""A small picture of a world from above, for videos and debugging.

Everything has the mean colour of its texture.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from envs.labsim.scene import (
    PLATFORM_APOTHEM,
    THING_HALF_WIDTH,
    THING_Y,
    Y1,
    Z0,
    Scene,
)
from envs.labsim.textures import LOG2_SIZE, START

SIZE = 144  # pixels
MARGIN = 8
SMALLEST_DOT = 2.0  # pixels, radius
VOID, ROCK, TARGET, RAISED, PLAYER = "#2a3540", "#68727c", "#f2c14e", "#ff7733", "#ff3355"


def draw_top_down(
    scene: Scene, target: NDArray[np.float64] | None, pose: NDArray[np.float64], i: int
) -> NDArray[np.uint8]:
    """Draw world i with north (+y) up: u8 [SIZE, SIZE, 3].

    Args:
        scene: where floors, walls and things are, and whether the platform is up.
        target: [2] what is to be found, drawn as an outline of the platform's size;
            None: there is none.
        pose: [5] x, y, z, pitch and yaw in degrees of the player, drawn as an arrowhead.
        i: which world of the scene.
    """
    low, high = _bounds(scene, i)
    scale = (SIZE - 2 * MARGIN) / float((high - low).max())

    def pixel(points: NDArray) -> list[tuple[float, float]]:
        right = MARGIN + (points[:, 0] - low[0]) * scale
        down = MARGIN + (high[1] - points[:, 1]) * scale
        return list(zip(right.tolist(), down.tolist(), strict=True))

    image = Image.new("RGB", (SIZE, SIZE), VOID)
    draw = ImageDraw.Draw(image)
    for corners, colour in _floors(scene, i, low, high):
        (left, bottom), (right, top) = pixel(corners)
        draw.rectangle((left, top, right, bottom), fill=colour)
    for segment, texture in zip(scene.segments[i], scene.segment_texture[i], strict=True):
        if texture >= 0:
            ends = segment[: Y1 + 1].reshape(2, 2)
            draw.line(pixel(ends), fill=_mean_colour(scene, texture), width=2)
    for thing, texture in zip(scene.things[i], scene.thing_texture[i], strict=True):
        if texture >= 0:
            ((right, down),) = pixel(thing[None, : THING_Y + 1])
            radius = max(float(thing[THING_HALF_WIDTH]) * scale, SMALLEST_DOT)
            box = (right - radius, down - radius, right + radius, down + radius)
            draw.ellipse(box, fill=_mean_colour(scene, texture))
    if target is not None:
        angles = np.radians(22.5 + 45.0 * np.arange(8))
        radius = PLATFORM_APOTHEM / np.cos(np.radians(22.5))
        octagon = target + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        raised = scene.platform[i, 2] > scene.floor_z[i]
        draw.polygon(pixel(octagon), outline=TARGET, fill=RAISED if raised else None)
    angles = np.radians(pose[4] + np.array([0.0, 140.0, 220.0]))
    arrow = pose[:2] + 45.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    draw.polygon(pixel(arrow), fill=PLAYER)
    return np.asarray(image)


def _bounds(scene: Scene, i: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest x, y of what is drawn: the grid, or all walls that stand on the floor."""
    rows, columns = scene.solid.shape[1:]
    if rows * columns > 1:
        low = scene.grid[i, :2]
        return low, low + scene.grid[i, 2] * np.array([columns, rows], np.float32)
    segments = scene.segments[i]
    ends = segments[segments[:, Z0] <= scene.floor_z[i], : Y1 + 1].reshape(-1, 2)
    return ends.min(axis=0), ends.max(axis=0)


def _floors(
    scene: Scene, i: int, low: NDArray[np.float32], high: NDArray[np.float32]
) -> list[tuple[NDArray[np.float32], str | tuple[int, int, int]]]:
    """South-western and north-eastern corner, and colour, of each cell that is not a pit."""
    textures, solid = scene.floor_texture[i], scene.solid[i]
    if solid.size == 1:
        return [(np.stack([low, high]), _mean_colour(scene, textures[0, 0]))]
    cells = []
    for row, column in np.argwhere(solid | (textures >= 0)):
        corners = scene.grid[i, :2] + scene.grid[i, 2] * np.array(
            [[column, row], [column + 1, row + 1]], np.float32
        )
        texture = textures[row, column]
        cells.append((corners, ROCK if solid[row, column] else _mean_colour(scene, texture)))
    return cells


def _mean_colour(scene: Scene, texture: int) -> tuple[int, int, int]:
    """The one texel of a texture's smallest level."""
    mips = scene.mips[texture]
    texel = int(scene.texels[mips[START + mips[LOG2_SIZE]]])
    return texel & 255, (texel >> 8) & 255, (texel >> 16) & 255
