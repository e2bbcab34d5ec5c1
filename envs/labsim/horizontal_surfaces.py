"""Paint horizontal textures, the floor and the water, row by row of the screen.

Along a row of the screen a horizontal plane has one depth, and texture coordinates change evenly.
Pictures lie with their right towards the world's east (+x) and their top towards its north (+y).
"""

from typing import NamedTuple

from envs.labsim.textures import BITS, LOG2_SIZE, START, TILE, mip_level
from envs.labsim.visible_walls import BOTTOM_EDGE, WATER_EDGE
from envs.labsim.world import kernel

LONGEST_RAY = 2.0**0.5  # length per depth of the rays at the sides of a view of 90 degrees


class HorizontalSurface(NamedTuple):
    """A horizontal texture that fills the plane at height z; texture -1: there is none."""

    texture: int
    tile: float  # units per texture
    z: float


@kernel
def paint_floor(texels, mips, floor, view, edges, image):  # type: ignore[no-untyped-def]
    """Paint one floor texture from each column's bottom edge down."""
    height, width = image.shape[0], image.shape[1]
    full_bits = mips[floor.texture, LOG2_SIZE]
    for row in range(_highest(edges, BOTTOM_EDGE, height), height):
        level, u0, v0, u_step, v_step = _row_of_surface(floor, full_bits, view, row, height, width)
        bits = full_bits - level
        start, mask, shift = mips[floor.texture, START + level], (1 << bits) - 1, BITS - bits
        for column in range(width):
            if row >= edges[column, BOTTOM_EDGE]:
                u, v = u0 + column * u_step, v0 + column * v_step
                texel = texels[start + (((u >> shift) & mask) << bits) + ((v >> shift) & mask)]
                image[row, column, 0] = texel & 255
                image[row, column, 1] = (texel >> 8) & 255
                image[row, column, 2] = (texel >> 16) & 255


@kernel
def paint_floor_cells(  # type: ignore[no-untyped-def]
    texels, mips, textures, grid, floor, view, edges, image
):
    """Paint the floors of a grid's cells; pits, and what is outside the grid, stay as they are.

    textures: i32 [rows, columns]. `floor` has the tile and the height, and any texture of the
    size that all have.
    """
    height, width = image.shape[0], image.shape[1]
    full_bits, scale = mips[floor.texture, LOG2_SIZE], floor.tile / (grid[2] * TILE)
    for row in range(_highest(edges, BOTTOM_EDGE, height), height):
        level, u0, v0, u_step, v_step = _row_of_surface(floor, full_bits, view, row, height, width)
        bits = full_bits - level
        mask, shift = (1 << bits) - 1, BITS - bits
        for column in range(width):
            u, v = u0 + column * u_step, v0 + column * v_step
            cell_x = u * scale - grid[0] / grid[2]
            cell_y = -v * scale - grid[1] / grid[2]
            if row < edges[column, BOTTOM_EDGE] or cell_x < 0.0 or cell_y < 0.0:
                continue
            if cell_x >= textures.shape[1] or cell_y >= textures.shape[0]:
                continue
            texture = textures[int(cell_y), int(cell_x)]
            if texture >= 0:
                start = mips[texture, START + level]
                texel = texels[start + (((u >> shift) & mask) << bits) + ((v >> shift) & mask)]
                image[row, column, 0] = texel & 255
                image[row, column, 1] = (texel >> 8) & 255
                image[row, column, 2] = (texel >> 16) & 255


@kernel
def add_water(texels, mips, water, sway_u, sway_v, view, edges, image):  # type: ignore[no-untyped-def]
    """Add a grey texture to what lies under water: from each column's water edge down.

    sway_u, sway_v: shift of the surface in tiles.
    """
    height, width = image.shape[0], image.shape[1]
    full_bits = mips[water.texture, LOG2_SIZE]
    for row in range(_highest(edges, WATER_EDGE, height), height):
        level, u0, v0, u_step, v_step = _row_of_surface(water, full_bits, view, row, height, width)
        u0 += int(sway_u * TILE)
        v0 += int(sway_v * TILE)
        bits = full_bits - level
        start, mask, shift = mips[water.texture, START + level], (1 << bits) - 1, BITS - bits
        for column in range(width):
            if row >= edges[column, WATER_EDGE]:
                u, v = u0 + column * u_step, v0 + column * v_step
                texel = texels[start + (((u >> shift) & mask) << bits) + ((v >> shift) & mask)]
                grey = texel & 255
                image[row, column, 0] = min(image[row, column, 0] + grey, 255)
                image[row, column, 1] = min(image[row, column, 1] + grey, 255)
                image[row, column, 2] = min(image[row, column, 2] + grey, 255)


@kernel
def _highest(edges, edge, height):  # type: ignore[no-untyped-def]
    """Find the highest row at which some column has the given edge."""
    highest = height
    for column in range(len(edges)):
        highest = min(highest, edges[column, edge])
    return highest


@kernel
def _row_of_surface(surface, full_bits, view, row, height, width):  # type: ignore[no-untyped-def]
    """Find mip level, u and v of the first pixel and their steps along one row of the screen.

    u and v are whole numbers of which TILE make one tile.
    """
    focal = 0.5 * width
    slope = (row + 0.5 - 0.5 * height) / focal  # of the row's rays; > 0: downwards
    depth = (view.z - surface.z) / slope
    # From row to row the depth changes by depth / slope / focal, and by LONGEST_RAY times that the
    # place that is seen at the sides of the screen.
    tiles_per_pixel = LONGEST_RAY * depth / (slope * focal * surface.tile)
    level = mip_level(tiles_per_pixel * (1 << full_bits), full_bits)
    scale = TILE / surface.tile
    x = 0.5 / focal - 1.0
    u = int((view.x + depth * (view.cos + x * view.sin)) * scale)
    v = int(-(view.y + depth * (view.sin - x * view.cos)) * scale)
    u_step = int(depth * view.sin / focal * scale)
    v_step = int(depth * view.cos / focal * scale)
    return level, u, v, u_step, v_step
