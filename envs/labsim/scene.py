"""What the raycaster needs to know about a batch of worlds: static geometry and what can change.

Every level describes itself in the same terms:

- a grid of cells: solid cells are walls (text mazes), open cells have a floor or none;
- free upright rectangles, the segments: round walls, landmarks, doors, pictures. They are seen
  from one side only (where point 0 is on the left), so a box takes four of them; a texture with
  holes makes a fence;
- things, pictures that always face the camera: items, players. Which of its pictures a thing shows
  depends on the side from which it is seen;
- a background behind everything: one colour above the horizon, or a sky box all around;
- a sheet of water above the floor, and one octagonal platform that can rise;
- a coloured square in the corner of the image, drawn over everything.

World units are DeepMind Lab's: 32 units are one metre, z is up, yaw is counter-clockwise from +x.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.labsim.textures import TexturePack

# Columns of `Scene.segments`.
X0, Y0, X1, Y1, Z0, Z1, U0, U1, V_TOP, V_BOTTOM = range(10)
# Columns of `Scene.things`.
THING_X, THING_Y, THING_Z0, THING_Z1, THING_HALF_WIDTH, THING_YAW = range(6)

NONE = -1  # a texture id: nothing there
NOWHERE = -1.0e9  # a height: hidden
PLATFORM_APOTHEM = 64.0  # the octagon is 128 units across flats (em_watermaze.map)
PLATFORM_GREY = 77
WATER_SWAY = 0.05  # tiles: the sheet of water moves in a small circle ..
WATER_PERIOD_MS = 8333  # .. at 0.12 Hz, about what DeepMind Lab's caustics do (dm_lab.shader)


class Scene(NamedTuple):
    """A batch of B worlds as the camera sees them; small arrays, one copy per environment.

    Texture coordinates count whole textures: 0 to 1 is one tile, larger numbers repeat it.
    """

    texels: NDArray[np.uint32]  # [N] packed textures, shared by the batch: see TexturePack
    mips: NDArray[np.int32]  # [num_textures, 2 + MAX_LEVELS]

    grid: NDArray[np.float32]  # [B, 3] world x, y of the corner of cell [0, 0]; size of a cell
    solid: NDArray[np.bool_]  # [B, rows, columns] rows run along +y, columns along +x
    wall_texture: NDArray[np.int32]  # [B, rows, columns] of walls seen from that open cell, or NONE
    wall_z: NDArray[np.float32]  # [B, 2] foot and top of the grid's walls
    # [B, rows, columns] NONE: a pit. All floor textures of a scene have the same size. A grid of
    # one cell means that this floor is everywhere.
    floor_texture: NDArray[np.int32]
    floor_tile: NDArray[np.float32]  # [B] units per floor texture, counted from the world's origin
    floor_z: NDArray[np.float32]  # [B]

    segments: NDArray[np.float32]  # [B, S, 10] x0 y0 x1 y1 z0 z1 u0 u1 v_top v_bottom; z0 < z1
    segment_texture: NDArray[np.int32]  # [B, S] NONE: absent

    things: NDArray[np.float32]  # [B, N, 6] x y z0 z1 half_width yaw; z0 < z1, yaw in degrees
    # [B, N] NONE: absent; else the first of `thing_views` pictures. Picture k shows the thing from
    # k / views of a turn counter-clockwise from where it faces: 0 is its front, then its left side.
    thing_texture: NDArray[np.int32]
    thing_views: NDArray[np.int32]  # [B, N] at least 1

    background: NDArray[np.uint8]  # [B, 3] colour above the horizon where nothing else is seen
    sky_texture: NDArray[np.int32]  # [B] first of 4 pictures (E, N, W, S sides of a box), or NONE

    water_texture: NDArray[np.int32]  # [B] grey that is added to what lies under water, or NONE
    water_tile: NDArray[np.float32]  # [B] units per water texture
    water_z: NDArray[np.float32]  # [B]

    platform: NDArray[np.float32]  # [B, 3] centre x, y and top z; below the floor it is hidden

    square: NDArray[np.uint8]  # [B, 4] red, green, blue and whether it is shown (0 or 1)


# What a scene has where a level says nothing: no walls, no floor, nothing to be seen.
_EMPTY: dict[str, tuple[Any, type]] = {
    "grid": ((-1000.0, -1000.0, 2000.0), np.float32),
    "solid": ([[False]], np.bool_),
    "wall_texture": ([[NONE]], np.int32),
    "wall_z": ((0.0, 1.0), np.float32),
    "floor_texture": ([[NONE]], np.int32),
    "floor_tile": (1.0, np.float32),
    "floor_z": (0.0, np.float32),
    "segments": (np.empty((0, 10)), np.float32),
    "segment_texture": ([], np.int32),
    "things": (np.empty((0, 6)), np.float32),
    "thing_texture": ([], np.int32),
    "thing_views": ([], np.int32),
    "background": ((0, 0, 0), np.uint8),
    "sky_texture": (NONE, np.int32),
    "water_texture": (NONE, np.int32),
    "water_tile": (1.0, np.float32),
    "water_z": (0.0, np.float32),
    "platform": ((0.0, 0.0, NOWHERE), np.float32),
    "square": ((0, 0, 0, 0), np.uint8),
}


def equal_scenes(textures: TexturePack, num_envs: int, **fields: Any) -> Scene:
    """A batch of `num_envs` equal worlds; `fields` of Scene are given without the batch axis."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, (empty, dtype) in _EMPTY.items():
        value: NDArray[Any] = np.asarray(fields.pop(name, empty), dtype)
        arrays[name] = np.broadcast_to(value, (num_envs, *value.shape)).copy()
    if fields:
        raise TypeError(f"not a field of Scene: {', '.join(fields)}")
    return Scene(textures.texels, textures.mips, **arrays)
