"""A player of lasertag_three_opponents_small who knows the maze and where the bots are."""

import math

from benchmarks.experts.steering import (
    LOOK_LEFT,
    LOOK_RIGHT,
    TURN_DEG,
    Cell,
    path,
    steer,
)
from envs.labsim.levels.lasertag_fighters import AGENT, NUM_FIGHTERS, ORB
from envs.labsim.levels.lasertag_three_opponents_small import LasertagThreeOpponentsSmall
from envs.labsim.levels.lasertag_weapons import ORB_SPEED, SPLASH_RADIUS, sees
from envs.labsim.text_maze import CELL

BACKWARD, STRAFE_LEFT, STRAFE_RIGHT, FIRE = 1, 2, 3, 8  # of ACTION_NAMES
TARGET_HALF_WIDTH = 15.0  # units by which a shot may pass a bot's middle
GADGET_WAY = 7  # cells: a gadget this near is fetched first
HEALTH_PER_STEP = 10.0  # points that one more agent step of shooting is worth


class Expert:
    """Shoots the visible bot that is tagged soonest; walks to the nearest bot or a gadget."""

    def __init__(self, level: LasertagThreeOpponentsSmall, i: int) -> None:
        self.level, self.i = level, i

    def act(self) -> int:
        """Choose the next of IMPALA's nine actions."""
        fighters = self.level.fighters[self.i]
        me = fighters[AGENT]
        if not me["alive"]:
            return FIRE
        bots = [fighters[k] for k in range(1, NUM_FIGHTERS) if fighters[k]["alive"]]
        cells = self.level.solids.cells[self.i]
        visible = [b for b in bots if sees(cells, me["x"], me["y"], b["x"], b["y"])]
        if visible:
            return self._fight(min(visible, key=self._effort))
        return self._walk([(float(b["x"]), float(b["y"])) for b in bots])

    def _to_left(self, x: float, y: float) -> tuple[float, float]:
        """How many degrees to the left a point lies, and how far away."""
        me = self.level.players[self.i]
        dx, dy = x - float(me["x"]), y - float(me["y"])
        bearing = math.degrees(math.atan2(dy, dx))
        return (bearing - float(me["yaw"]) + 180.0) % 360.0 - 180.0, math.hypot(dx, dy)

    def _effort(self, bot) -> float:  # type: ignore[no-untyped-def]
        """About how many agent steps it takes to tag a visible bot."""
        left, distance = self._to_left(float(bot["x"]), float(bot["y"]))
        return abs(left) / TURN_DEG + float(bot["health"]) / HEALTH_PER_STEP + distance / CELL

    def _fight(self, bot) -> int:  # type: ignore[no-untyped-def]
        """Turn to a visible bot, step aside for the last degrees, and shoot."""
        me = self.level.players[self.i]
        x, y = float(bot["x"]), float(bot["y"])
        left, distance = self._to_left(x, y)
        if me["gadget"] == ORB:
            if distance < SPLASH_RADIUS + TARGET_HALF_WIDTH:
                return BACKWARD  # out of the splash
            seconds = distance / ORB_SPEED
            left, distance = self._to_left(
                x + seconds * float(bot["vx"]), y + seconds * float(bot["vy"])
            )
        if abs(left) <= math.degrees(math.atan2(TARGET_HALF_WIDTH, distance)):
            return FIRE
        if abs(left) > 0.5 * TURN_DEG:
            return LOOK_LEFT if left > 0.0 else LOOK_RIGHT
        return STRAFE_LEFT if left > 0.0 else STRAFE_RIGHT

    def _walk(self, goals: list[tuple[float, float]]) -> int:
        """Go to the nearest of some points, or to a gadget that lies near."""
        me, items = self.level.players[self.i], self.level.items[self.i]
        x, y, yaw = (float(me[name]) for name in ("x", "y", "yaw"))
        ways = [self._way((x, y), goal) for goal in goals]
        gadget = items[0]
        if me["special_ammo"] == 0 and gadget["from_ms"] <= me["engine_ms"]:
            goal = float(gadget["x"]), float(gadget["y"])
            way = self._way((x, y), goal)
            if len(way) <= GADGET_WAY:
                ways, goals = [way], [goal]
        if not ways:
            return LOOK_LEFT
        way, goal = min(zip(ways, goals, strict=True), key=lambda pair: len(pair[0]))
        if len(way) > 1:
            goal = (way[1][1] + 0.5) * CELL, (way[1][0] + 0.5) * CELL
        return steer(x, y, yaw, *goal)

    def _way(self, start: tuple[float, float], goal: tuple[float, float]) -> list[Cell]:
        return path(~self.level.solids.cells[self.i], _cell(*start), _cell(*goal))


def _cell(x: float, y: float) -> Cell:
    return int(y // CELL), int(x // CELL)
