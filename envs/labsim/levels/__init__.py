"""The levels of labsim: files of rules and of looks for each."""

from collections.abc import Callable

from envs.labsim.level import Level
from envs.labsim.levels.explore_goal_locations_small import ExploreGoalLocationsSmall
from envs.labsim.levels.lasertag_three_opponents_small import LasertagThreeOpponentsSmall
from envs.labsim.levels.room_watermaze import RoomWatermaze
from envs.labsim.levels.rooms_keys_doors_puzzle import RoomsKeysDoorsPuzzle
from envs.labsim.levels.seekavoid_arena_01 import SeekavoidArena01

LEVELS: dict[str, Callable[[int], Level]] = {
    "room_watermaze": RoomWatermaze,
    "explore_goal_locations_small": ExploreGoalLocationsSmall,
    "seekavoid_arena_01": SeekavoidArena01,
    "lasertag_three_opponents_small": LasertagThreeOpponentsSmall,
    "rooms_keys_doors_puzzle": RoomsKeysDoorsPuzzle,
}
