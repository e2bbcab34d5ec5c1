"""The levels of labsim: one file of rules and one of looks each."""

from envs.labsim.levels.room_watermaze import RoomWatermaze

LEVELS = {"room_watermaze": RoomWatermaze}
