"""What a user chooses about the environments."""

from dataclasses import dataclass

BACKENDS = ("labsim",)
LEVELS = (
    "room_watermaze",
    "explore_goal_locations_small",
    "seekavoid_arena_01",
    "lasertag_three_opponents_small",
    "rooms_keys_doors_puzzle",
)
ALIASES = {"rooms_watermaze": "room_watermaze"}  # DeepMind Lab's own spelling


@dataclass
class EnvConfig:
    """The level to learn, the engine that runs it, and how many copies run at once."""

    level: str
    backend: str = "labsim"
    num_envs: int = 32

    def validate(self) -> None:
        """Raise ValueError, in one sentence, if a field is out of range."""
        canonical_level(self.level)
        if self.backend not in BACKENDS:
            raise ValueError(f"unknown backend '{self.backend}': allowed are {', '.join(BACKENDS)}")
        if self.num_envs < 1:
            raise ValueError(f"num_envs is {self.num_envs}, but at least 1 is needed")


def canonical_level(level: str) -> str:
    """Give a level's name in this project; raise ValueError if there is no such level."""
    name = ALIASES.get(level, level)
    if name not in LEVELS:
        raise ValueError(f"unknown level '{level}': allowed are {', '.join((*LEVELS, *ALIASES))}")
    return name
