"""What a user chooses about the environments."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from envs.frame_rate import FRAMES_PER_STEP

# Agent steps of a level's episode: episodeLengthSeconds of its script in DeepMind Lab
# (game_scripts/levels), at 15 agent steps a second. Known without loading an engine.
LEVEL_STEPS = {
    "room_watermaze": 1800,
    "explore_goal_locations_small": 1350,
    "seekavoid_arena_01": 300,
    "lasertag_three_opponents_small": 3600,
    "rooms_keys_doors_puzzle": 900,
}
LEVELS = tuple(LEVEL_STEPS)
HEIGHT, WIDTH = 72, 96  # of the picture, in pixels (Espeholt et al. 2018, table D.2)
ALIASES = {"rooms_watermaze": "room_watermaze"}  # DeepMind Lab's own spelling

# The settings that not every backend has, and the backends that have them.
OWN_SETTINGS = {
    "labsim": (),
    "dmlab": ("hud", "renderer", "mixer_seed", "level_cache", "lab_settings", "worker_timeout_s"),
    "miniworld": ("worker_timeout_s",),
    "gymnasium": ("id", "kwargs", "wrappers", "worker_timeout_s"),
}
MAX_ENVS = 100_000
WORKER_TIMEOUT_S = 120.0  # DeepMind Lab compiles a maze for up to 15 s, and often all at once
MIN_TIMEOUT_S, MAX_TIMEOUT_S = 0.1, 1e6
MAX_FRAMES, MAX_PIXELS = 1000, 10_000  # of wrappers


@dataclass
class WrapperConfig:
    """What is done to a general environment's observations, in this order."""

    extra: list[str] | None = None  # wrapper classes put around it first, as module.Class
    obs_key: str | None = None  # the entry to take where observations are a Dict
    channels_first: bool | None = None  # images are [C, H, W]; null: as their shape looks
    frame_skip: int = 1  # frames that repeat an action; of images the maximum of the last two
    resize: list[int] | None = None  # [height, width] in pixels
    greyscale: bool = False
    frame_stack: int = 1  # observations side by side: an image's channels, a vector's numbers

    def validate(self) -> None:
        """Raise ValueError, in one sentence, if a field is out of range."""
        for name in ("frame_skip", "frame_stack"):
            if not 1 <= getattr(self, name) <= MAX_FRAMES:
                raise ValueError(
                    f"env.wrappers.{name} is {getattr(self, name)}; "
                    f"it must lie between 1 and {MAX_FRAMES}."
                )
        if self.resize is not None and not (
            len(self.resize) == 2 and min(self.resize) >= 1 and max(self.resize) <= MAX_PIXELS
        ):
            raise ValueError(
                f"env.wrappers.resize is {self.resize}; write [height,width] in pixels, "
                f"each between 1 and {MAX_PIXELS}."
            )


@dataclass
class EnvConfig:
    """The level or environment to learn, what runs it, and how many copies run at once.

    null stands for the backend's own default, and is all that other backends accept.
    """

    level: str = ""  # one of LEVELS; with backend=gymnasium it is made of `id`
    backend: str = "labsim"
    num_envs: int = 32
    worker_timeout_s: float | None = None  # a worker process that takes longer is replaced; 120
    # backend=gymnasium
    id: str | None = None  # as gymnasium.make takes it; module:id imports what registers it
    kwargs: dict[str, Any] | None = None  # for the environment's constructor
    wrappers: WrapperConfig | None = None
    # backend=dmlab
    hud: Literal["none", "full"] | None = None  # null is none; full: the paper's picture
    renderer: Literal["software", "hardware"] | None = None  # null is software
    mixer_seed: int | None = None  # mixed into every seed: other mazes from the same seeds; 0
    level_cache: str | None = None  # folder of compiled maps, for all workers and runs; none
    lab_settings: dict[str, Any] | None = None  # level settings, passed through

    @property
    def in_workers(self) -> bool:
        """Whether environments run in worker processes, not in the learner's own."""
        return self.backend != "labsim"

    @property
    def worker_patience_s(self) -> float:
        """How long a step may take where a worker process hangs; 0 without such processes."""
        return (self.worker_timeout_s or WORKER_TIMEOUT_S) if self.in_workers else 0.0

    def validate(self) -> None:
        """Raise ValueError, in one sentence, if a field is out of range."""
        if self.backend not in OWN_SETTINGS:
            allowed = ", ".join(OWN_SETTINGS)
            raise ValueError(f"unknown backend '{self.backend}': allowed are {allowed}")
        if not 1 <= self.num_envs <= MAX_ENVS:
            raise ValueError(
                f"env.num_envs is {self.num_envs}; it must lie between 1 and {MAX_ENVS:,}."
            )
        timeout = self.worker_timeout_s
        if timeout is not None and not MIN_TIMEOUT_S <= timeout <= MAX_TIMEOUT_S:
            raise ValueError(
                f"env.worker_timeout_s is {timeout}; it must lie between {MIN_TIMEOUT_S} and "
                f"{MAX_TIMEOUT_S:,.0f} s."
            )
        for name in sorted({name for names in OWN_SETTINGS.values() for name in names}):
            if getattr(self, name) and name not in OWN_SETTINGS[self.backend]:
                having = " or ".join(b for b, names in OWN_SETTINGS.items() if name in names)
                key = "env" if having == "gymnasium" else "env.backend"  # it has no level
                raise ValueError(f"env.{name} needs {key}={having}")
        require_home("env.level_cache", self.level_cache)
        if self.wrappers is not None:
            self.wrappers.validate()
        if self.backend != "gymnasium":
            canonical_level(self.level)
        elif not self.id:
            raise ValueError("env.id has no value; give env.id=CartPole-v1, say")
        elif self.level not in ("", self.canonical().level):
            raise ValueError(
                f"env.level is {self.level!r}, but env.backend=gymnasium has no levels; "
                "env.id names the environment."
            )

    def canonical(self) -> "EnvConfig":
        """The same with one spelling of the level's name, which also names the run's folder."""
        if self.backend != "gymnasium":
            return replace(self, level=canonical_level(self.level))
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", str(self.id).rsplit(":", 1)[-1])
        return replace(self, level=name.lstrip("."))  # ".." would be another folder


def require_home(name: str, folder: str | None) -> None:
    """Raise ValueError if the folder that setting `name` gives is in a home that is not there."""
    try:
        Path(folder or "").expanduser()
    except RuntimeError:
        raise ValueError(f"{name} is {folder!r}, but there is no such home folder.") from None


def canonical_level(level: str) -> str:
    """Give a level's name in this project; raise ValueError if there is no such level."""
    name = ALIASES.get(level, level)
    if name not in LEVELS:
        raise ValueError(f"unknown level '{level}': allowed are {', '.join((*LEVELS, *ALIASES))}")
    return name


def frames_per_step(config: EnvConfig) -> int:
    """Return how many environment frames an agent step is (the action repeat)."""
    if config.backend != "gymnasium":
        return FRAMES_PER_STEP
    return 1 if config.wrappers is None else config.wrappers.frame_skip
