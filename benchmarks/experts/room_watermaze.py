"""A player of room_watermaze who knows where the hidden platform is and walks straight to it."""

from benchmarks.experts.steering import LOOK_LEFT, steer
from envs.labsim.levels.room_watermaze import RoomWatermaze
from envs.labsim.levels.room_watermaze_platform import UNTOUCHED


class Expert:
    """Walks to the platform; looks around while it holds him."""

    def __init__(self, level: RoomWatermaze, i: int) -> None:
        self.level, self.i = level, i

    def act(self) -> int:
        """Choose the next of IMPALA's nine actions."""
        player, platform = self.level.players[self.i], self.level.platforms[self.i]
        if platform["touched_ms"] != UNTOUCHED:
            return LOOK_LEFT
        x, y, yaw = (float(player[name]) for name in ("x", "y", "yaw"))
        return steer(x, y, yaw, float(platform["x"]), float(platform["y"]))
