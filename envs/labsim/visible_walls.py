"""Which walls each column of the screen sees, sorted by depth.

The camera is a pinhole with pitch 0 and a horizontal view of 90 degrees. With depth d along the
view direction and s to the right, a point lies at x = s / d in [-1, 1] from left to right.

On screen, 1 / depth and u / depth of an upright rectangle are linear in x. So each wall segment is
projected once and entered in the columns that it covers; of a grid of cells, each column finds its
own wall. With S segments, N things and W columns:

    table    f64 [S + N + W, FIELDS] what is needed to paint a surface: segments, things, grid walls
    count    i64 [W] surfaces in each column's list
    entries  f64 [W, S + N + 1, 2] the lists: depth, and row in the table, of each surface
    edges    i64 [W, 3] where on the screen the floor and the water begin, see `find_edges`
"""

from typing import NamedTuple

import numpy as np

from envs.labsim.collision import WALL_THICKNESS
from envs.labsim.scene import (
    THING_HALF_WIDTH,
    THING_X,
    THING_Y,
    THING_YAW,
    THING_Z0,
    THING_Z1,
    U0,
    U1,
    V_BOTTOM,
    V_TOP,
    X0,
    X1,
    Y0,
    Y1,
    Z0,
    Z1,
)
from envs.labsim.textures import HOLES
from envs.labsim.world import kernel

NEAR = 1.0  # units; nothing nearer than this is seen

# Columns of the table. At x on the screen, 1 / depth = INVERSE + x * INVERSE_SLOPE,
# u = depth * (U + x * U_SLOPE) and abs(du / dx) = depth**2 * U_GAIN.
INVERSE, INVERSE_SLOPE, U, U_SLOPE, U_GAIN, BOTTOM, TOP, V_LOW, V_HIGH, TEXTURE = range(10)
SHARPNESS = 10  # texels that a pixel may skip over, at most
FIELDS = 11
THING_SHARPNESS = 2.0

BOTTOM_EDGE, WATER_EDGE, BEHIND = range(3)  # columns of the edges


class View(NamedTuple):
    """One camera: where it is, and cosine and sine of its yaw."""

    x: float
    y: float
    z: float
    cos: float
    sin: float


@kernel
def enter_segments(segments, textures, view, table, count, entries):  # type: ignore[no-untyped-def]
    """Enter the segments [S, 10] that face the camera; segment k fills row k of the table."""
    half = 0.5 * len(count)
    for k in range(len(segments)):
        x0, y0 = segments[k, X0] - view.x, segments[k, Y0] - view.y
        x1, y1 = segments[k, X1] - view.x, segments[k, Y1] - view.y
        d0, s0 = x0 * view.cos + y0 * view.sin, x0 * view.sin - y0 * view.cos
        d1, s1 = x1 * view.cos + y1 * view.sin, x1 * view.sin - y1 * view.cos
        cross = d0 * s1 - s0 * d1  # > 0: point 0 is left of point 1
        if textures[k] < 0 or cross <= 0.0 or (d0 < NEAR and d1 < NEAR):
            continue
        # An end that lies behind the camera leaves the screen on its own side.
        left = max(-1.0, min(s0 / d0, 1.0)) if d0 >= NEAR else -1.0
        right = max(-1.0, min(s1 / d1, 1.0)) if d1 >= NEAR else 1.0
        u0, u_span = segments[k, U0], segments[k, U1] - segments[k, U0]
        inverse, inverse_slope = (s1 - s0) / cross, (d0 - d1) / cross
        table[k, INVERSE] = inverse
        table[k, INVERSE_SLOPE] = inverse_slope
        table[k, U] = u0 * inverse - u_span * s0 / cross
        table[k, U_SLOPE] = u0 * inverse_slope + u_span * d0 / cross
        table[k, U_GAIN] = abs(u_span) / cross
        table[k, BOTTOM] = segments[k, Z0]
        table[k, TOP] = segments[k, Z1]
        table[k, V_LOW] = segments[k, V_BOTTOM]
        table[k, V_HIGH] = segments[k, V_TOP]
        table[k, TEXTURE] = textures[k]
        table[k, SHARPNESS] = 1.0
        first = int(np.ceil((left + 1.0) * half - 0.5))
        last = int(np.ceil((right + 1.0) * half - 0.5))
        for column in range(first, last):
            depth = 1.0 / (inverse + ((column + 0.5) / half - 1.0) * inverse_slope)
            if depth >= NEAR:
                entries[column, count[column], 0] = depth
                entries[column, count[column], 1] = k
                count[column] += 1


@kernel
def enter_things(  # type: ignore[no-untyped-def]
    things, textures, views, view, first_row, table, count, entries
):
    """Enter the things [N, 6] before the camera; thing k fills row first_row + k of the table."""
    half = 0.5 * len(count)
    for k in range(len(things)):
        dx, dy = things[k, THING_X] - view.x, things[k, THING_Y] - view.y
        depth, side = dx * view.cos + dy * view.sin, dx * view.sin - dy * view.cos
        # At least a pixel wide and high: smaller things would flicker while the camera moves.
        pixel = 2.0 * depth / len(count)
        half_width = max(things[k, THING_HALF_WIDTH], 0.5 * pixel)
        growth = max(0.5 * (pixel - things[k, THING_Z1] + things[k, THING_Z0]), 0.0)
        left, right = (side - half_width) / depth, (side + half_width) / depth
        if textures[k] < 0 or depth < NEAR or left >= 1.0 or right <= -1.0:
            continue
        # From the thing, the camera lies in the direction (-dx, -dy).
        turn = (np.arctan2(-dy, -dx) - np.radians(things[k, THING_YAW])) / (2.0 * np.pi)
        picture = int(np.floor(turn * views[k] + 0.5)) % views[k]
        row = first_row + k
        table[row, INVERSE] = 1.0 / depth
        table[row, INVERSE_SLOPE] = 0.0
        table[row, U] = (half_width - side) / (2.0 * half_width * depth)
        table[row, U_SLOPE] = 1.0 / (2.0 * half_width)
        table[row, U_GAIN] = 1.0 / (2.0 * half_width * depth)
        table[row, BOTTOM] = things[k, THING_Z0] - growth
        table[row, TOP] = things[k, THING_Z1] + growth
        table[row, V_LOW] = 1.0
        table[row, V_HIGH] = 0.0
        table[row, TEXTURE] = textures[k] + picture
        table[row, SHARPNESS] = THING_SHARPNESS
        first = int(np.ceil((max(left, -1.0) + 1.0) * half - 0.5))
        last = int(np.ceil((min(right, 1.0) + 1.0) * half - 0.5))
        for column in range(first, last):
            entries[column, count[column], 0] = depth
            entries[column, count[column], 1] = row
            count[column] += 1


@kernel
def enter_grid(  # type: ignore[no-untyped-def]
    solid, textures, grid, wall_z, view, first_row, table, count, entries
):
    """Enter the nearest wall of a grid of cells in each column (digital differential analyser).

    Column c fills row first_row + c of the table. Rays start in open cells and end where they
    leave the grid. Walls stand a little inside the open cell from which they are seen.
    """
    size, half = grid[2], 0.5 * len(count)
    eye_x, eye_y = (view.x - grid[0]) / size, (view.y - grid[1]) / size  # in cells
    for column in range(len(count)):
        x = (column + 0.5) / half - 1.0
        ray_x, ray_y = view.cos + x * view.sin, view.sin - x * view.cos  # per unit of depth
        cell_x, cell_y = int(np.floor(eye_x)), int(np.floor(eye_y))
        step_x, step_y = (1 if ray_x > 0.0 else -1), (1 if ray_y > 0.0 else -1)
        per_x, per_y = size / max(abs(ray_x), 1e-9), size / max(abs(ray_y), 1e-9)  # depth per cell
        next_x = (cell_x + 1 - eye_x if step_x > 0 else eye_x - cell_x) * per_x
        next_y = (cell_y + 1 - eye_y if step_y > 0 else eye_y - cell_y) * per_y
        depth, per, along_x, texture = 0.0, 0.0, False, -1
        inside = 0 <= cell_x < solid.shape[1] and 0 <= cell_y < solid.shape[0]
        while inside and not solid[cell_y, cell_x]:
            texture = textures[cell_y, cell_x]
            along_x = next_x < next_y
            if along_x:
                depth, per = next_x, per_x
                next_x += per_x
                cell_x += step_x
            else:
                depth, per = next_y, per_y
                next_y += per_y
                cell_y += step_y
            inside = 0 <= cell_x < solid.shape[1] and 0 <= cell_y < solid.shape[0]
        if not inside or texture < 0:
            continue
        depth = max(depth - WALL_THICKNESS / size * per, NEAR)
        if along_x:
            u = -step_x * (eye_y + depth * ray_y / size)
        else:
            u = step_y * (eye_x + depth * ray_x / size)
        row = first_row + column
        table[row, INVERSE] = 1.0 / depth
        table[row, INVERSE_SLOPE] = 0.0
        table[row, U] = u / depth
        table[row, U_SLOPE] = 0.0
        table[row, U_GAIN] = per / (depth * size * size)
        table[row, BOTTOM] = wall_z[0]
        table[row, TOP] = wall_z[1]
        table[row, V_LOW] = 1.0
        table[row, V_HIGH] = 0.0
        table[row, TEXTURE] = texture
        table[row, SHARPNESS] = 1.0
        entries[column, count[column], 0] = depth
        entries[column, count[column], 1] = row
        count[column] += 1


@kernel
def sort_entries(count, entries):  # type: ignore[no-untyped-def]
    """Sort each column's list from far to near (they are short: insertion sort)."""
    for column in range(len(count)):
        for k in range(1, count[column]):
            depth, surface = entries[column, k, 0], entries[column, k, 1]
            place = k
            while place > 0 and entries[column, place - 1, 0] < depth:
                entries[column, place, 0] = entries[column, place - 1, 0]
                entries[column, place, 1] = entries[column, place - 1, 1]
                place -= 1
            entries[column, place, 0] = depth
            entries[column, place, 1] = surface


@kernel
def find_edges(  # type: ignore[no-untyped-def]
    mips, table, count, entries, eye_z, floor_z, water_z, height, edges
):
    """Find in each column the nearest surface that hides all floor behind it, and where it ends.

    Such a surface stands on the floor, is higher than the eye and has no holes. BOTTOM_EDGE is the
    first row of the screen below it, WATER_EDGE the first row where it is under water, BEHIND the
    number of surfaces to paint before the floor. If there is none: horizon, horizon, 0.
    """
    focal, middle = 0.5 * len(count), 0.5 * height
    for column in range(len(count)):
        edges[column, BOTTOM_EDGE] = (height + 1) // 2
        edges[column, WATER_EDGE] = (height + 1) // 2
        edges[column, BEHIND] = 0
        for k in range(count[column] - 1, -1, -1):
            depth, surface = entries[column, k, 0], int(entries[column, k, 1])
            high = table[surface, BOTTOM] <= floor_z and table[surface, TOP] >= eye_z
            if high and mips[int(table[surface, TEXTURE]), HOLES] == 0:
                bottom = middle + (eye_z - table[surface, BOTTOM]) * focal / depth
                water = middle + (eye_z - water_z) * focal / depth
                edges[column, BOTTOM_EDGE] = int(np.ceil(min(bottom, float(height)) - 0.5))
                edges[column, WATER_EDGE] = int(np.ceil(min(water, float(height)) - 0.5))
                edges[column, BEHIND] = k + 1
                break
