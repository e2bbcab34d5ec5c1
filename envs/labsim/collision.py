"""What players bump into, and Quake's box traces through it.

Grid cells, free vertical walls and boxes, all for the player's 30 x 30 unit box, and the floor.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.labsim.world import FEET, HALF_WIDTH, kernel

WALL_THICKNESS = 1.0  # a text maze's wall quads stand this far inside the open cell
CLEARANCE = 0.125  # a trace ends this far from the surface it hits
BEHIND = -1.0  # deeper than this behind a one-sided wall, the wall is not there
NO_HIT = 2.0  # a fraction of the way

NORMAL_X, NORMAL_Y, OFFSET, SPAN_LOW, SPAN_HIGH = range(5)  # columns of `Solids.walls`
ORIGIN_X, ORIGIN_Y, SIZE = range(3)  # columns of `Solids.grid`
MIDDLE_X, MIDDLE_Y, HALF_X, HALF_Y = range(4)  # columns of `Solids.boxes`


class Solids(NamedTuple):
    """What stops players in B worlds.

    A wall stops only players who come from the side its normal points to, so a thin obstacle has
    one wall per side. Walls and cells reach from below the floor to beyond a player's head.
    """

    walls: NDArray[np.float64]  # [B, S, 5] see `wall_planes`; a zero normal means absent
    cells: NDArray[np.bool_]  # [B, rows, columns] True: solid; rows along +y, columns along +x
    grid: NDArray[np.float64]  # [B, 3] world x, y of the corner of cell [0, 0]; size of a cell
    # [B, M, 4] centre x, y and half sizes along x, y of what can move: doors, players. A negative
    # half size means absent.
    boxes: NDArray[np.float64]


def wall_planes(segments: Sequence[tuple[float, float, float, float]]) -> NDArray[np.float64]:
    """Turn wall segments (x0, y0, x1, y1) into the planes that stop a player's origin: [S, 5].

    As in `scene.py`, a player on the open side sees point 0 on the left. As in Quake's box
    traces, the origin stays 15 * (|nx| + |ny|) units away from a wall with normal n. Columns:
    nx, ny, the offset d of the plane n . p = d, and the range of (-ny, nx) . p that it covers.
    """
    planes = np.empty((len(segments), 5))
    for row, (x0, y0, x1, y1) in zip(planes, segments, strict=True):
        length = np.hypot(x1 - x0, y1 - y0)
        # Rotating the direction 0 -> 1 by -90 degrees gives the normal.
        nx, ny = (y1 - y0) / length, -(x1 - x0) / length
        reach = HALF_WIDTH * (abs(nx) + abs(ny))
        ends = (-ny * x0 + nx * y0, -ny * x1 + nx * y1)
        row[:] = nx, ny, nx * x0 + ny * y0 + reach, min(ends) - reach, max(ends) + reach
    return planes


def before_walls(solids: Solids, i: int, x: float, y: float) -> bool:
    """Whether a player at (x, y) stands on the open side of all free walls of world i."""
    walls = solids.walls[i]
    return bool((walls[:, :2] @ np.array([x, y]) >= walls[:, 2]).all())


def clear_of_cells(solids: Solids, i: int, x: float, y: float) -> bool:
    """Whether a player at (x, y) stands in the grid of world i and outside its walls.

    The notch that `_trace_cells` leaves between the wall quads at a block's corner is open: without
    it, recorded ways round corners are missed by up to 2.4 units an agent step.
    """
    cells = solids.cells[i]
    west, south, size = solids.grid[i]
    x, y = x - west, y - south
    rows, columns = np.nonzero(cells)
    away_x = np.abs(x - (columns + 0.5) * size) - 0.5 * size - HALF_WIDTH
    away_y = np.abs(y - (rows + 0.5) * size) - 0.5 * size - HALF_WIDTH
    # Like Quake's traces, `_trace_box` takes who is exactly at a surface for being behind it.
    in_walls = ((away_x <= WALL_THICKNESS) & (away_y <= 0.0)) | (
        (away_x <= 0.0) & (away_y <= WALL_THICKNESS)
    )
    inside = 0.0 <= x < cells.shape[1] * size and 0.0 <= y < cells.shape[0] * size
    return bool(inside and not in_walls.any())


@kernel
def trace(player, solids, i, to_x, to_y, to_z):  # type: ignore[no-untyped-def]
    """Sweep a player's box to a point in world i; return (fraction, normal x, y, z).

    The fraction of the way that is free is 1 or more if nothing is hit; it ends CLEARANCE away
    from the surface.
    """
    best, nx, ny, nz = NO_HIT, 0.0, 0.0, 0.0
    x, y = player.x, player.y
    walls = solids.walls
    for k in range(walls.shape[1]):
        wall_x, wall_y, offset = walls[i, k, NORMAL_X], walls[i, k, NORMAL_Y], walls[i, k, OFFSET]
        after = wall_x * to_x + wall_y * to_y - offset
        if after >= CLEARANCE:
            continue
        before = wall_x * x + wall_y * y - offset
        if after >= before or before < BEHIND:
            continue
        fraction = max((before - CLEARANCE) / (before - after), 0.0)
        if fraction >= best:
            continue
        along_x, along_y = x + fraction * (to_x - x), y + fraction * (to_y - y)
        along = wall_x * along_y - wall_y * along_x
        if walls[i, k, SPAN_LOW] <= along <= walls[i, k, SPAN_HIGH]:
            best, nx, ny = fraction, wall_x, wall_y
    fraction, cell_x, cell_y = _trace_cells(solids, i, x, y, to_x, to_y)
    if fraction < best:
        best, nx, ny = fraction, cell_x, cell_y
    boxes = solids.boxes
    for k in range(boxes.shape[1]):
        if boxes[i, k, HALF_X] < 0.0:
            continue
        middle_x, middle_y = boxes[i, k, MIDDLE_X], boxes[i, k, MIDDLE_Y]
        half_x, half_y = boxes[i, k, HALF_X] + HALF_WIDTH, boxes[i, k, HALF_Y] + HALF_WIDTH
        fraction, box_x, box_y = _trace_box(
            x - middle_x, y - middle_y, to_x - middle_x, to_y - middle_y, half_x, half_y
        )
        if fraction < best:
            best, nx, ny = fraction, box_x, box_y
    before, after = player.z - FEET - player.floor, to_z - FEET - player.floor
    if after < CLEARANCE and after < before:
        fraction = max((before - CLEARANCE) / (before - after), 0.0)
        if before >= BEHIND and fraction < best:
            best, nx, ny, nz = fraction, 0.0, 0.0, 1.0
    return best, nx, ny, nz


@kernel
def _trace_cells(solids, i, x, y, to_x, to_y):  # type: ignore[no-untyped-def]
    """Sweep a player's box through the grid of world i; return (fraction, normal x, normal y)."""
    cells, grid = solids.cells, solids.grid
    size = grid[i, SIZE]
    x, to_x = x - grid[i, ORIGIN_X], to_x - grid[i, ORIGIN_X]
    y, to_y = y - grid[i, ORIGIN_Y], to_y - grid[i, ORIGIN_Y]
    reach = HALF_WIDTH + WALL_THICKNESS + CLEARANCE
    best, nx, ny = NO_HIT, 0.0, 0.0
    # Rounding towards zero is rounding down here: what is below zero is cut off anyway.
    first_row = int(max((min(y, to_y) - reach) / size, 0.0))
    last_row = min(int((max(y, to_y) + reach) / size), cells.shape[1] - 1)
    first_column = int(max((min(x, to_x) - reach) / size, 0.0))
    last_column = min(int((max(x, to_x) + reach) / size), cells.shape[2] - 1)
    for row in range(first_row, last_row + 1):
        for column in range(first_column, last_column + 1):
            if not cells[i, row, column]:
                continue
            # Wall quads cover a cell's sides but not the corner between two of them.
            for thick_x in range(2):
                half_x = 0.5 * size + HALF_WIDTH + WALL_THICKNESS * thick_x
                half_y = 0.5 * size + HALF_WIDTH + WALL_THICKNESS * (1 - thick_x)
                middle_x, middle_y = (column + 0.5) * size, (row + 0.5) * size
                fraction, box_x, box_y = _trace_box(
                    x - middle_x, y - middle_y, to_x - middle_x, to_y - middle_y, half_x, half_y
                )
                if fraction < best:
                    best, nx, ny = fraction, box_x, box_y
    return best, nx, ny


@kernel
def _trace_box(x, y, to_x, to_y, half_x, half_y):  # type: ignore[no-untyped-def]
    """Let a point run into a box around the origin; return (fraction, normal x, normal y)."""
    enter, leave, nx, ny = -1.0, 1.0, 0.0, 0.0
    outside = False
    for side in range(4):
        sign = 1.0 if side % 2 == 0 else -1.0
        if side < 2:
            before, after = sign * x - half_x, sign * to_x - half_x
        else:
            before, after = sign * y - half_y, sign * to_y - half_y
        if before > 0.0 and (after >= CLEARANCE or after >= before):
            return NO_HIT, 0.0, 0.0
        outside = outside or before > 0.0
        if before <= 0.0 and after <= 0.0:
            continue
        if before > after:
            fraction = max((before - CLEARANCE) / (before - after), 0.0)
            if fraction > enter:
                enter = fraction
                nx, ny = (sign, 0.0) if side < 2 else (0.0, sign)
        else:
            leave = min(leave, (before + CLEARANCE) / (before - after))
    if outside and enter >= 0.0 and enter < leave:
        return enter, nx, ny
    return NO_HIT, 0.0, 0.0
