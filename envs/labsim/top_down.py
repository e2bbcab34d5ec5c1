"""A small picture of a world from above, for videos and debugging."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from envs.labsim.scene import PLATFORM_APOTHEM, Scene

SIZE = 144  # pixels
MARGIN = 8
GROUND, WALL, TARGET, RAISED, PLAYER = "#24506e", "#e8eef2", "#f2c14e", "#ff7733", "#ff3355"


def draw_top_down(
    scene: Scene, target: NDArray[np.float64] | None, pose: NDArray[np.float64], i: int
) -> NDArray[np.uint8]:
    """Draw world i with north (+y) up: u8 [SIZE, SIZE, 3].

    Args:
        scene: where the walls are, and whether the platform is up.
        target: [2] centre of the platform, drawn as an outline while it is hidden;
            None: there is none.
        pose: [5] x, y, z, pitch and yaw in degrees of the player, drawn as an arrowhead.
        i: which world of the scene.
    """
    ends = scene.segments[i, :, :4].reshape(-1, 2, 2)
    low, high = ends.min(axis=(0, 1)), ends.max(axis=(0, 1))
    scale = (SIZE - 2 * MARGIN) / float((high - low).max())

    def pixel(points: NDArray) -> list[tuple[float, float]]:
        right = MARGIN + (points[:, 0] - low[0]) * scale
        down = MARGIN + (high[1] - points[:, 1]) * scale
        return list(zip(right.tolist(), down.tolist(), strict=True))

    image = Image.new("RGB", (SIZE, SIZE), GROUND)
    draw = ImageDraw.Draw(image)
    for segment in ends:
        draw.line(pixel(segment), fill=WALL, width=2)
    angles = np.radians(22.5 + 45.0 * np.arange(8))
    radius = PLATFORM_APOTHEM / np.cos(np.radians(22.5))
    if target is not None:
        octagon = target + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        raised = scene.platform[i, 2] > scene.floor_z[i]
        draw.polygon(pixel(octagon), outline=TARGET, fill=RAISED if raised else None)
    angles = np.radians(pose[4] + np.array([0.0, 140.0, 220.0]))
    arrow = pose[:2] + 45.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    draw.polygon(pixel(arrow), fill=PLAYER)
    return np.asarray(image)
