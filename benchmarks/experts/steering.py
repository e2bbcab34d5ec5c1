"""How scripted players walk: shortest ways through cells, and IMPALA's nine actions to go there."""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

FORWARD, LOOK_LEFT, LOOK_RIGHT, FORWARD_LEFT, FORWARD_RIGHT = 0, 4, 5, 6, 7  # of ACTION_NAMES
TURN_DEG = 8.448  # by one agent step of looking left or right
WALK_DEG = 40.0  # a player whose target is further to the side than this turns on the spot

Cell = tuple[int, int]  # row and column


def steer(x: float, y: float, yaw: float, target_x: float, target_y: float) -> int:
    """The action that brings a player at (x, y) with a yaw in degrees nearer to a target."""
    bearing = math.degrees(math.atan2(target_y - y, target_x - x))
    left = (bearing - yaw + 180.0) % 360.0 - 180.0  # degrees that the target lies to the left
    if abs(left) <= 0.5 * TURN_DEG:
        return FORWARD
    if abs(left) <= WALK_DEG:
        return FORWARD_LEFT if left > 0.0 else FORWARD_RIGHT
    return LOOK_LEFT if left > 0.0 else LOOK_RIGHT


def path(open_cells: NDArray[np.bool_], start: Cell, goal: Cell) -> list[Cell]:
    """A shortest way through open cells that share a side, [start, .., goal]; [] if there is none.

    open_cells: [rows, columns]. The start counts as open, the goal does not.
    """
    rows, columns = open_cells.shape
    came_from: dict[Cell, Cell] = {start: start}
    queue = deque([start])
    while queue and goal not in came_from:
        row, column = cell = queue.popleft()
        for beside in ((row, column + 1), (row + 1, column), (row, column - 1), (row - 1, column)):
            inside = 0 <= beside[0] < rows and 0 <= beside[1] < columns
            if inside and beside not in came_from and open_cells[beside]:
                came_from[beside] = cell
                queue.append(beside)
    if goal not in came_from:
        return []
    way = [goal]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]
