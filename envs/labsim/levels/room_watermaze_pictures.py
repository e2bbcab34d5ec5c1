"""Textures of room_watermaze: DeepMind Lab's wall and floor, and drawn landmarks and water.

The wall and floor pictures ship with the labmaze wheel. The landmark panels do not; they are drawn
here after recorded frames. Colours are those that DeepMind Lab's lighting makes of the originals.
"""

import os

import labmaze.assets
import numpy as np
from numpy.typing import NDArray

from envs.labsim.textures import SIZE, as_picture, load_rgb

GLOW = np.array([0.0, 0.58, 1.0])  # colour of the *_light_m pictures (lab_games.shader)
FLOOR_LIGHT = 0.94  # lightmap and water together
WALL_LIGHT, SHEEN = 0.9, 2.5  # the average of the lightmap and of the reflections on a wall

PANEL_WIDTH = 175.0
PANEL_Z = (24.3, 174.0)
PANEL_LIGHT = 0.795
PANE = (13.0, 99.5, 68.0)  # the coloured square: middle (to the right, up) and half width, units
OUTLINE = 5.8  # width of the black lines
ROUNDING = 5.0  # radius of polygons' corners
SHAPE_RGB = (155, 222, 230)
LANDMARKS = (  # counter-clockwise from the east, 45 degrees apart: shape and the panel's colour
    ("cross", (181, 239, 1)),
    ("triangle", (148, 19, 19)),
    ("square", (83, 1, 219)),
    ("diamond", (1, 254, 203)),
    ("circle", (232, 169, 1)),
    ("hexagon", (1, 119, 252)),
    ("arch", (198, 1, 1)),
    ("star", (164, 1, 211)),
)
FRAME_SIDE_RGB = (30, 33, 36)  # in the shade
SHADOW_RGB = (11, 36, 54)  # on the wall below a panel

WATER_SIZE = 128
WATER_MEAN, WATER_DEVIATION = 76.0, 9.0  # grey that the water adds to what lies below it


def pictures() -> list[NDArray[np.uint8]]:
    """RGBA pictures: wall, floor, side of a frame, shadow, eight panels, water."""
    wall_path = labmaze.assets.get_wall_texture_paths("style_01")["blue"]
    floor_path = labmaze.assets.get_floor_texture_paths("style_01")["blue"]
    folder = os.path.dirname(wall_path)
    wall_glow, floor_glow = (
        GLOW * load_rgb(os.path.join(folder, f"{name}_light_m.png")) for name in ("wall", "floor")
    )
    wall = WALL_LIGHT * (load_rgb(wall_path) + SHEEN) + wall_glow
    floor = FLOOR_LIGHT * (GLOW * load_rgb(floor_path) + floor_glow)
    side, shadow = (np.full((4, 4, 3), rgb, np.float64) for rgb in (FRAME_SIDE_RGB, SHADOW_RGB))
    panels = [panel_picture(shape, rgb) for shape, rgb in LANDMARKS]
    drawn = (wall, floor, side, shadow, *panels, water_picture())
    return [as_picture(picture) for picture in drawn]


def panel_picture(shape: str, rgb: tuple[int, int, int]) -> NDArray[np.float64]:
    """One landmark, PANEL_WIDTH x PANEL_Z units stretched over [SIZE, SIZE, 3]."""
    bottom, top = PANEL_Z
    steps = (np.arange(SIZE) + 0.5) / SIZE
    x, z = np.meshgrid((steps - 0.5) * PANEL_WIDTH, top - steps * (top - bottom))
    picture = np.zeros((SIZE, SIZE, 3))

    def paint(distance: NDArray[np.float64], colour: tuple[float, ...]) -> None:
        """Blend a colour in where the signed distance (units) is negative; edges are soft."""
        cover = np.clip(0.5 - distance / (PANEL_WIDTH / SIZE), 0.0, 1.0)[..., None]
        picture[:] = picture * (1.0 - cover) + cover * np.array(colour)

    paint(x + 59.0, (58, 65, 70))  # the box at the left of the frame
    paint(_box(x + 75.0, z - 53.0, 9.0, 19.0), (10, 135, 134))
    paint(_box(x + 75.0, z - 48.0, 9.0, 1.5), (52, 60, 65))
    paint(-x - 59.0, (66, 72, 78))
    x, z = x - PANE[0], z - PANE[1]
    half = PANE[2]
    paint(_box(x, z, half + 4.2, half + 4.2), (0, 0, 0))
    paint(_box(x, z, half - 6.0, half - 6.0) - 6.0, tuple(PANEL_LIGHT * np.array(rgb)))
    for bar in (_box(x, z, half, OUTLINE / 2), _box(x, z, OUTLINE / 2, half)):
        paint(bar, (0, 0, 0))
    distance = _shape_distance(shape, x, z)
    paint(distance - OUTLINE, (0, 0, 0))
    paint(distance, SHAPE_RGB)
    return picture


def water_picture() -> NDArray[np.float64]:
    """A tileable net of light with clouds, grey: [WATER_SIZE, WATER_SIZE, 3]."""
    generator = np.random.default_rng(0)

    def clouds(lowest: float, highest: float) -> NDArray[np.float64]:
        """Periodic noise with wave numbers lowest .. highest per tile, standard deviation 1."""
        frequency = np.fft.fftfreq(WATER_SIZE, 1.0 / WATER_SIZE)
        wave = np.hypot(frequency[:, None], frequency[None, :])
        gain = np.where((wave >= lowest) & (wave <= highest), 1.0 / np.maximum(wave, 1.0), 0.0)
        noise = generator.standard_normal((WATER_SIZE, WATER_SIZE))
        field = np.fft.ifft2(np.fft.fft2(noise) * gain).real
        return field / field.std()

    net = -np.abs(clouds(2.0, 9.0))  # bright where the field crosses zero: thin closed lines
    picture = net / net.std() + 1.2 * clouds(5.0, 50.0)
    grey = WATER_MEAN + WATER_DEVIATION * (picture - picture.mean()) / picture.std()
    return np.repeat(grey[..., None], 3, axis=2)


def _box(x: NDArray, z: NDArray, half_width: float, half_height: float) -> NDArray[np.float64]:
    """Signed distance to an upright rectangle around the origin."""
    dx, dz = abs(x) - half_width, abs(z) - half_height
    return np.hypot(np.maximum(dx, 0.0), np.maximum(dz, 0.0)) + np.minimum(np.maximum(dx, dz), 0.0)


def _shape_distance(shape: str, x: NDArray, z: NDArray) -> NDArray[np.float64]:
    """Signed distance (units) to the outline of a landmark's shape, negative inside."""

    def polygon(corners: int, inradius: float, first_deg: float) -> NDArray[np.float64]:
        """A regular polygon with rounded corners whose first side faces first_deg."""
        facing = np.radians(first_deg + 360.0 / corners * np.arange(corners))
        reach = inradius - ROUNDING
        half_side = reach * np.tan(np.pi / corners)
        beyond = [x * np.cos(angle) + z * np.sin(angle) - reach for angle in facing]
        along = [z * np.cos(angle) - x * np.sin(angle) for angle in facing]
        past_end = np.maximum(np.abs(along) - half_side, 0.0)
        outside = np.hypot(beyond, past_end).min(axis=0)
        inside = np.max(beyond, axis=0)
        return np.where(inside > 0.0, outside, inside) - ROUNDING

    if shape == "cross":
        return np.minimum(_box(x, z, 33.0, 13.0), _box(x, z, 13.0, 33.0))
    if shape == "triangle":
        z = z + 12.0
        return polygon(3, 25.0, -90.0)
    if shape == "square":
        return _box(x, z, 34.0, 34.0)
    if shape == "diamond":
        return polygon(4, 33.5, 45.0)
    if shape == "circle":
        return np.hypot(x, z) - 34.0
    if shape == "hexagon":
        return polygon(6, 35.0, 90.0)
    if shape == "arch":
        return np.minimum(_box(x, z + 17.0, 28.0, 17.0), np.hypot(x, z) - 28.0)
    lobes = [np.hypot(x - 19.0 * a, z - 19.0 * b) - 17.0 for a in (-1, 1) for b in (-1, 1)]
    return np.minimum(np.min(lobes, axis=0), polygon(4, 12.0, 0.0))
