"""When trials begin and succeed inside an episode, as far as DeepMind Lab lets one see it."""

import math

from envs.frame_rate import FRAMES_PER_SECOND

# The reward by which a trial is known to have succeeded, from the levels' scripts at b1db91a:
# rooms/navigate_watermaze_factory.lua pays 1 five times a visit, of which the first counts;
# explore/factory.lua 10 for the goal; rooms/keys_doors_puzzle_factory.lua 50 for the goal.
SUCCESS_REWARD = {
    "room_watermaze": 1.0,
    "explore_goal_locations_small": 10.0,
    "rooms_keys_doors_puzzle": 50.0,
}


class TrialClock:
    """Nominal seconds from the start of each trial of an episode to its success.

    A trial begins with the episode, and whenever the level loads its map again: DeepMind Lab's
    observation MAP_FRAME_NUMBER counts frames since then. The frame that loads the map is lost
    for the player and not counted.
    """

    def __init__(self, level: str) -> None:
        self._success_reward = SUCCESS_REWARD.get(level, math.inf)
        self.begin(0)

    def begin(self, map_frame: int) -> None:
        """Begin an episode; `map_frame` is the first MAP_FRAME_NUMBER."""
        self._loaded = -map_frame  # how many frames of the episode had passed
        self._start = 0
        self._succeeded = False

    def tick(self, frame: int, reward: float, map_frame: int | None) -> float | None:
        """Return the seconds of a trial that succeeded in this agent step, if one did.

        `frame` counts the episode's frames, `map_frame` those since the map was loaded, both after
        the step; None where the episode has ended. A success is dated to the frame before the map
        is loaded again if that happens in the same step, else to the step's last frame.
        """
        loaded = self._loaded if map_frame is None else frame - map_frame
        reloaded = loaded > self._loaded
        seconds = None
        if reward >= self._success_reward and not self._succeeded:
            seconds = ((loaded if reloaded else frame) - self._start) / FRAMES_PER_SECOND
            self._succeeded = True
        if reloaded:
            self._loaded, self._start, self._succeeded = loaded, loaded + 1, False
        return seconds
