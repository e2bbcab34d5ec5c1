"""Turn a grid of cells into MiniWorld's rooms: one for each open cell with a floor.

MiniWorld's coordinates: metres, y is up, and labsim's (x, y, z) lies at (x, z - floor, -y); angles
are labsim's. UNITS_PER_METRE makes a maze's cell of 100 units 2 m wide, so that MiniWorld's
textures, which are 1 or 2 m wide, go on from cell to cell; and MiniWorld's camera, which sees
100 m, then sees the stadium around seekavoid_arena_01. In DeepMind Lab a metre has 32 units.
"""

from collections.abc import Callable

import numpy as np
from miniworld.miniworld import Room
from numpy.typing import NDArray

from envs.labsim.collision import WALL_THICKNESS
from envs.labsim.scene import NONE, Scene
from envs.labsim.text_maze import CELL
from envs.miniworld.stock import TintedTexture

UNITS_PER_METRE = 50.0

# Sides of a cell counter-clockwise from the east.
OUTWARD = np.array([(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)])

TextureOf = Callable[[int], TintedTexture]  # by labsim's texture id


class LevelRoom(Room):
    """A room of MiniWorld without ceiling, some of whose sides are open, with textures given.

    outline: [n, 2] units, labsim's x and y, counter-clockwise; side k runs from point k to the
    next. Without a wall texture, all sides are open.
    """

    def __init__(
        self,
        outline: NDArray[np.float64],
        is_wall: NDArray[np.bool_],
        height: float,
        floor: TintedTexture,
        wall: TintedTexture | None,
    ) -> None:
        metres = outline / UNITS_PER_METRE * (1.0, -1.0)
        self._floor, self._wall = floor, wall or floor
        super().__init__(
            metres,
            wall_height=height / UNITS_PER_METRE,
            floor_tex=self._floor.name,
            wall_tex=self._wall.name,
            no_ceiling=True,
        )
        lengths = np.linalg.norm(np.roll(metres, -1, axis=0) - metres, axis=1)
        for side in np.flatnonzero(~is_wall | (wall is None)).tolist():
            self.add_portal(side, start_pos=0.0, end_pos=lengths[side])

    def _gen_static_data(self, params: object, rng: object) -> None:
        super()._gen_static_data(params, rng)
        self.floor_tex, self.wall_tex = self._floor, self._wall


def make_rooms(scene: Scene, texture_of: TextureOf) -> list[LevelRoom]:
    """The rooms of a scene's first world, and of a floor that is everywhere, one large room."""
    height = float(scene.wall_z[0, 1] - scene.floor_z[0])
    if scene.solid[0].size == 1:
        floor = texture_of(int(scene.floor_texture[0, 0, 0]))
        return [LevelRoom(surroundings(scene), np.zeros(4, np.bool_), height, floor, None)]
    rooms = []
    for row, column in np.argwhere(~scene.solid[0] & (scene.floor_texture[0] != NONE)).tolist():
        outline, is_wall = cell_outline(scene.solid[0], row, column)
        x, y, size = scene.grid[0]
        wall_texture = int(scene.wall_texture[0, row, column])
        rooms.append(
            LevelRoom(
                np.array([x, y]) + outline * size,
                is_wall,
                height,
                texture_of(int(scene.floor_texture[0, row, column])),
                None if wall_texture == NONE else texture_of(wall_texture),
            )
        )
    return rooms


def cell_outline(
    solid: NDArray[np.bool_], row: int, column: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Outline of an open cell's room, [4, 2] x and y in cells, and which sides are walls, [4].

    As in labsim, walls stand a little inside the cell from which they are seen, and reach as much
    beyond the cell where they end at a corner, to meet the wall around it.
    """
    thickness = WALL_THICKNESS / CELL
    padded = np.pad(solid, 1)  # there is nothing outside the grid
    r, c = row + 1, column + 1
    closed = padded[[r, r + 1, r, r - 1], [c + 1, c, c - 1, c]]  # east, north, west, south
    # The cells beyond the corners in which the sides of the same order begin.
    diagonal = padded[[r - 1, r + 1, r + 1, r - 1], [c + 1, c + 1, c - 1, c - 1]]
    points = np.array([column + 0.5, row + 0.5]) + np.zeros((4, 2))
    for side in range(4):
        for one, other in ((side - 1, side), (side, side - 1)):  # the sides at this corner
            ends_here = closed[other] and not diagonal[side]
            shift = -thickness if closed[one] else thickness if ends_here else 0.0
            points[side] += (0.5 + shift) * OUTWARD[one]
    # Rounded, so that rooms that meet at a point agree about it to the last bit: no cracks.
    return np.round(points, 9), closed


def surroundings(scene: Scene) -> NDArray[np.float64]:
    """A rectangle, as an outline, around all of a scene's segments."""
    ends = scene.segments[0, :, :4].reshape(-1, 2).astype(np.float64)
    (west, south), (east, north) = ends.min(axis=0), ends.max(axis=0)
    return np.array([(east, south), (east, north), (west, north), (west, south)])
