"""A player of explore_goal_locations_small who knows the maze and takes the shortest way."""

from benchmarks.experts.steering import Cell, path, steer
from envs.labsim.levels.explore_goal_locations_small import ExploreGoalLocationsSmall
from envs.labsim.text_maze import CELL


class Expert:
    """Walks from cell to cell of the shortest way to the goal."""

    def __init__(self, level: ExploreGoalLocationsSmall, i: int) -> None:
        self.level, self.i = level, i
        self.ends: tuple[Cell, Cell] | None = None
        self.way: list[Cell] = []

    def act(self) -> int:
        """Choose the next of IMPALA's nine actions."""
        player = self.level.players[self.i]
        x, y, yaw = (float(player[name]) for name in ("x", "y", "yaw"))
        goal_x, goal_y = self.level.target(self.i).tolist()
        ends = _cell(x, y), _cell(goal_x, goal_y)
        if ends != self.ends:
            self.ends = ends
            self.way = path(~self.level.solids.cells[self.i], *ends)
        if len(self.way) > 2:
            row, column = self.way[1]
            goal_x, goal_y = (column + 0.5) * CELL, (row + 0.5) * CELL
        return steer(x, y, yaw, goal_x, goal_y)


def _cell(x: float, y: float) -> Cell:
    return int(y // CELL), int(x // CELL)
