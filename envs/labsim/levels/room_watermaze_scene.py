"""What room_watermaze looks like: a 16-gon room, water on the floor, eight framed landmarks.

Geometry and shaders: DeepMind Lab, commit b1db91a (`em_watermaze.map`, `lab_games.shader`). What
those do not tell (where textures begin, how bright surfaces are lit) was fitted to recorded frames.
"""

import numpy as np
from numpy.typing import NDArray

from envs.labsim.levels.room_watermaze_pictures import LANDMARKS, PANEL_WIDTH, PANEL_Z, pictures
from envs.labsim.scene import Scene, equal_scenes
from envs.labsim.textures import pack_textures

# Corners of the walls in the first quadrant. The map's are whole numbers: faces towards 0, 45,
# 90 .. degrees are 308 units wide and the others 297.
CORNERS = ((760.0, 154.0), (646.0, 428.0), (428.0, 646.0), (154.0, 760.0))
WALL_HEIGHT = 192.0
WATER_Z = 16.0
WALL_U = (-0.375, 1.375)  # texture columns at the left and right end of each face
WALL_V = (-0.027, 0.960)  # texture rows at the top and at the foot
FLOOR_TILE = 194.56  # units: 1024 pixels of 0.19 units
WATER_TILE = 190.0
# Where the panels touch the walls or, in the north-east, almost do; from the east on.
PANELS = (
    (760.0, 0.0), (536.0, 528.0), (0.0, 760.0), (-536.0, 536.0),
    (-760.0, 0.0), (-536.0, -536.0), (0.0, -760.0), (536.0, -536.0),
)  # fmt: skip
PANEL_DEPTH = 6.5  # of the frame; only a box at its foot, not drawn here, is 12.5 units deep
SHADOW_Z = 16.0
CEILING_RGB = (150, 224, 255)

WALL, FLOOR, FRAME, SHADOW, PANEL = range(5)  # texture ids, in the order of `pictures`
WATER = PANEL + len(LANDMARKS)


def _wall_faces() -> NDArray[np.float64]:
    quarters = [np.array(CORNERS)]
    for _ in range(3):
        quarters.append(quarters[-1] @ np.array([[0.0, 1.0], [-1.0, 0.0]]))  # (x, y) -> (-y, x)
    corners = np.concatenate(quarters)
    return np.stack([corners, np.roll(corners, 1, axis=0)], axis=1)


# Ends of the 16 walls seen from inside, [16, left or right, 2]; face k looks to 22.5 * k degrees.
WALL_FACES = _wall_faces()


def build_scene(num_envs: int) -> Scene:
    """The scene of num_envs equal rooms; only `platform` changes while the level runs."""
    walls, panels = _walls(), _panels()
    wall_textures = np.full(len(walls), WALL)
    panel_textures = [(SHADOW, PANEL + k, FRAME, FRAME) for k in range(len(PANELS))]
    return equal_scenes(
        pack_textures(pictures()),
        num_envs,
        wall_z=(0.0, WALL_HEIGHT),
        floor_texture=[[FLOOR]],
        floor_tile=FLOOR_TILE,
        segments=np.concatenate([walls, panels]),
        segment_texture=np.append(wall_textures, panel_textures),
        background=CEILING_RGB,
        water_texture=WATER,
        water_z=WATER_Z,
        water_tile=WATER_TILE,
    )


def _walls() -> NDArray[np.float64]:
    """The walls as segments: [16, 10]."""
    ends = WALL_FACES.reshape(16, 4)
    return np.hstack([ends, np.tile([0.0, WALL_HEIGHT, *WALL_U, *WALL_V], (16, 1))])


def _panels() -> NDArray[np.float64]:
    """Shadow, picture, left and right side of each panel: [32, 10]."""
    rows = []
    for k, origin in enumerate(np.array(PANELS)):
        bearing = np.radians(45.0 * k)
        outward = np.array([np.cos(bearing), np.sin(bearing)])
        to_right = 0.5 * PANEL_WIDTH * np.array([np.sin(bearing), -np.cos(bearing)])
        back_left, back_right = origin - to_right, origin + to_right
        left, right = (corner - PANEL_DEPTH * outward for corner in (back_left, back_right))
        bottom, top = PANEL_Z
        for start, end, low, high in (
            (back_left - outward, back_right - outward, SHADOW_Z, bottom),
            (left, right, bottom, top),
            (back_left, left, bottom, top),
            (right, back_right, bottom, top),
        ):
            rows.append([*start, *end, low, high, 0.0, 1.0, 0.0, 1.0])
    return np.array(rows)
