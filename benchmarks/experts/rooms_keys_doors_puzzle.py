"""A player of rooms_keys_doors_puzzle who knows the map and takes the shortest way to the goal."""

from collections import deque
from typing import NamedTuple

import numpy as np

from benchmarks.experts.steering import Cell, steer
from envs.labsim.levels.rooms_keys_doors_puzzle import RoomsKeysDoorsPuzzle
from envs.labsim.levels.rooms_keys_doors_puzzle_rules import ABSENT, CLOSED, EMPTY_HANDED
from envs.labsim.levels.rooms_keys_doors_puzzle_scene import CELL

ARRIVED = 38.0  # units from the middle of a cell that count as having been there


class Position(NamedTuple):
    """What decides which moves are possible."""

    cell: Cell
    held: int  # colour of the key carried
    keys: frozenset[Cell]  # cells of the keys that are left
    closed: frozenset[Cell]  # cells of the doors that are closed


class Expert:
    """Walks through the cells of a plan; makes a new one whenever a key or a door has changed."""

    def __init__(self, level: RoomsKeysDoorsPuzzle, i: int) -> None:
        self.level, self.i = level, i
        self.known: tuple[object, ...] = ()
        self.plan: list[Cell] = []

    def act(self) -> int:
        """Choose the next of IMPALA's nine actions."""
        player = self.level.players[self.i]
        x, y = float(player["x"]), float(player["y"])
        start = self._position((int(y // CELL), int(x // CELL)))
        goal_x, goal_y = self.level.target(self.i).tolist()
        known = (start.held, start.keys, start.closed, goal_x, goal_y)
        if known != self.known:
            self.known = known
            self.plan = self._solve(start, (int(goal_y // CELL), int(goal_x // CELL)))
        while len(self.plan) > 1 and np.hypot(*(self._middle() - (x, y))) < ARRIVED:
            self.plan.pop(0)
        return steer(x, y, float(player["yaw"]), *self._middle().tolist())

    def _middle(self) -> np.ndarray:
        """Middle (x, y) of the next cell of the plan."""
        return (np.array(self.plan[0][::-1]) + 0.5) * CELL

    def _position(self, cell: Cell) -> Position:
        doors = self.level.doors[self.i]
        held = int(self.level.games["held"][self.i])
        keys = frozenset(_colours(self.level.keys[self.i]))
        return Position(cell, held, keys, frozenset(_colours(doors[doors["opened_ms"] == CLOSED])))

    def _solve(self, start: Position, goal: Cell) -> list[Cell]:
        """The cells of a shortest way to the goal, the start's first; breadth-first search."""
        open_cells = ~self.level.solids.cells[self.i]
        colours = _colours(self.level.keys[self.i]) | _colours(self.level.doors[self.i])
        came_from: dict[Position, Position | None] = {start: None}
        queue = deque([start])
        while queue:
            position = queue.popleft()
            if position.cell == goal:
                way: list[Cell] = []
                step: Position | None = position
                while step is not None:
                    way.append(step.cell)
                    step = came_from[step]
                return way[::-1]
            row, column = position.cell
            beside = ((row, column + 1), (row + 1, column), (row, column - 1), (row - 1, column))
            for cell in beside:
                if open_cells[cell]:
                    after = _enter(position, cell, colours.get(cell, EMPTY_HANDED))
                    if after is not None and after not in came_from:
                        came_from[after] = position
                        queue.append(after)
        return [start.cell]  # out of reach: a key was wasted


def _colours(records: np.ndarray) -> dict[Cell, int]:
    """Colours of keys or doors by their cells."""
    return {
        (int(record["y"] // CELL), int(record["x"] // CELL)): int(record["colour"])
        for record in records[records["colour"] != ABSENT]
    }


def _enter(position: Position, cell: Cell, colour: int) -> Position | None:
    """What a step into a cell (with a key or door of a colour, if any) leads to; None: closed."""
    if cell in position.closed:
        if position.held != colour:
            return None
        return Position(cell, EMPTY_HANDED, position.keys, position.closed - {cell})
    if cell in position.keys:
        return Position(cell, colour, position.keys - {cell}, position.closed)
    return position._replace(cell=cell)
