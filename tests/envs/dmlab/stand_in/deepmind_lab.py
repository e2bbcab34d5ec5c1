"""A stand-in for DeepMind Lab's module with its interface and its strictness, but no game.

What it accepts, and with what it answers the rest, is from github.com/google-deepmind/lab, commit
b1db91a: python/dmlab_module.c (arguments, status, errors), engine/code/deepmind/dmlab_connect.c
(settings, command line, frames), deepmind/level_generation/compile_map.cc (level cache) and
game_scripts (which settings a level knows). Where the real module's behaviour is undefined, or the
process would end, an AssertionError is raised: no caller may count on it. Only an error in a
level's script ends the process here as well, with the same words (deepmind/engine/context.cc,
deepmind/support/logging.h).

What happens in an episode is `Lab.plan`. A picture shows seed and frame as its grey level.
"""

import hashlib
import os
import random
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

DMLAB30 = "contributed/dmlab30/"
# Nominal seconds of an episode, from the scripts.
SECONDS = {
    DMLAB30 + "rooms_watermaze": 120,
    DMLAB30 + "explore_goal_locations_small": 90,
    "seekavoid_arena_01": 20,
    DMLAB30 + "lasertag_three_opponents_small": 240,
    DMLAB30 + "rooms_keys_doors_puzzle": 60,
}
COMPILED = {  # levels whose maps are made, not shipped: whether bots need to know their ways
    DMLAB30 + "explore_goal_locations_small": "noaas",
    DMLAB30 + "lasertag_three_opponents_small": "aas",
    DMLAB30 + "rooms_keys_doors_puzzle": "noaas",
}
PUZZLE = DMLAB30 + "rooms_keys_doors_puzzle"
IGNORED = {"episodeLengthSeconds", "allowHoldOutLevels", "players", "playerId", "randomSeed"}
# Settings that a level's own script knows (a few of them); seekavoid_arena_01 reads none.
SCRIPT_SETTINGS = {
    DMLAB30 + "rooms_watermaze": {"spawnRadius", "logLevel"},
    DMLAB30 + "explore_goal_locations_small": {"decalFrequency", "roomCount", "logLevel"},
    DMLAB30 + "lasertag_three_opponents_small": {"botCount", "logLevel"},
    PUZZLE: set(),
}
BOOLEANS = {"logToStdErr", "use_pbos", "hasAltCameras", "localLevelCache", "globalLevelCache"}
ACTIONS = (
    ("LOOK_LEFT_RIGHT_PIXELS_PER_FRAME", -512, 512),
    ("LOOK_DOWN_UP_PIXELS_PER_FRAME", -512, 512),
    ("STRAFE_LEFT_RIGHT", -1, 1),
    ("MOVE_BACK_FORWARD", -1, 1),
    ("FIRE", 0, 1),
    ("JUMP", 0, 1),
    ("CROUCH", 0, 1),
)
KEY_COLOUR, HUD_COLOUR = (0, 0, 255), (255, 176, 0)
CLOSED, UNINITIALIZED, RUNNING, ENDED = "closed", "uninitialized", "running", "ended"
MISSING: Any = object()  # an optional argument that was not given; None is of the wrong type


@dataclass(frozen=True)
class Plan:
    """What happens in every episode, by frame (1 is the first)."""

    rewards: dict[int, float] = field(default_factory=dict)
    loads: frozenset[int] = frozenset()  # frames that begin by loading the map again
    end: int | None = None  # the last frame, if that comes before the clock's
    key_held: bool = False  # rooms_keys_doors_puzzle shows a square
    raw_actions: NDArray[np.int32] | None = None  # [N, 7] that must come, one each step


class Lab:
    """See docs/users/python_api.md."""

    plan: ClassVar[Plan] = Plan()
    seeds: ClassVar[list[int]] = []  # with which episodes began
    compiled: ClassVar[int] = 0  # maps that no level cache had
    _open: ClassVar[int] = 0

    def __init__(
        self,
        level: str,
        observations: list[str],
        config: dict[str, str] = MISSING,
        renderer: str = MISSING,
        level_cache: Any = None,
        temp_folder: str = MISSING,
    ) -> None:
        self._status = CLOSED
        _must_be(level, str)
        _must_be(observations, list)
        _must_be(config, dict)
        _must_be(renderer, str)
        _must_be(temp_folder, str)
        if renderer not in (MISSING, "", "software", "hardware"):
            raise RuntimeError(
                f'Failed to set renderer must be "hardware" or "software" actual "{renderer}"!'
            )
        assert Lab._open == 0, "a second Lab in one process makes it crash"
        self._level, self._cache = level, level_cache
        self._width, self._height, self._mixer_seed = 320, 240, 0
        self._command_line = ""
        self._script: dict[str, str] = {}
        for key, value in ({} if config is MISSING else config).items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise TypeError("bad argument type for built-in operation")
            problem = self._set(key, value)
            if problem:
                raise RuntimeError(f"Failed to apply setting '{key} = {value}' - \"{problem}\"")
        self._init_script()
        known = [spec["name"] for spec in self._specs()]
        for name in observations:
            if not isinstance(name, str):
                raise TypeError("bad argument type for built-in operation")
            if name not in known:
                raise ValueError(f"Unknown observation '{name}'.")
        self._observed = list(observations)
        self._variables = {"cg_draw2D": "1", "cg_drawScriptRectanglesAlways": "0"}
        self._variables |= dict(re.findall(r"\+set (\S+) (\S+)", self._command_line))
        self._owns_folder = temp_folder is MISSING
        if self._owns_folder:
            temp_folder = tempfile.mkdtemp(prefix="dmlab_temp_folder_")
        self._folder = Path(temp_folder)
        (self._folder / "baselab").mkdir()
        self._steps = self._frame = self._loaded = 0
        self._status = UNINITIALIZED
        Lab._open += 1

    def __del__(self) -> None:
        self.close()

    def reset(self, episode: int = -1, seed: int | None = None) -> bool:
        """Begin an episode."""
        self._must_be_open()
        _must_be(episode, int)
        if seed is not None and not isinstance(seed, int):
            raise ValueError(f"'seed' must be int or None, was '{type(seed).__name__}'.")
        if seed is None:
            seed = random.randrange(2**31)
        assert 0 <= seed < 2**31, f"seed {seed} does not fit a non-negative C int"
        self._seed = seed
        Lab.seeds.append(seed)
        if self._level in COMPILED:
            self._make_map()
        self._steps = self._frame = self._loaded = self._agent_steps = 0
        self._status = RUNNING
        return True

    def num_steps(self) -> int:
        """Count the frames that were asked for since reset."""
        return self._steps

    def is_running(self) -> bool:
        """Say whether `step` and `observations` may be called."""
        return self._status == RUNNING

    def step(self, action: NDArray[np.intc], num_steps: int = 1) -> float:
        """Advance by frames; return the sum of their rewards."""
        _must_be(action, np.ndarray)
        _must_be(num_steps, int)
        if not self.is_running():
            raise RuntimeError("Environment in wrong status to advance.")
        if action.shape != (len(ACTIONS),):
            raise ValueError(f"action must have shape ({len(ACTIONS)})")
        if action.dtype != np.intc:
            raise ValueError("action must have dtype np.intc")
        assert action.flags.c_contiguous, "the module reads the memory behind the array in order"
        for number, (name, low, high) in zip(action.tolist(), ACTIONS, strict=True):
            assert low <= number <= high, f"{name} is {number}"
        if self.plan.raw_actions is not None:
            wanted = self.plan.raw_actions[self._agent_steps].tolist()
            assert action.tolist() == wanted, f"step {self._agent_steps}: {action} is not {wanted}"
        if isinstance(self._seconds, str):
            self._abort("attempt to perform arithmetic on upvalue 'episodeLength' (a string value)")
        self._agent_steps += 1
        self._steps += num_steps
        reward = 0.0
        for _ in range(num_steps):
            if not self.is_running():
                break
            self._frame += 1
            if self._frame in self.plan.loads:
                self._loaded = self._frame - 1
            reward += self.plan.rewards.get(self._frame, 0.0)
            if self._frame in (self.plan.end, int(60 * self._seconds)):
                self._status = ENDED
        return reward

    def observations(self) -> dict[str, NDArray]:
        """Return new arrays."""
        if not self.is_running():
            raise RuntimeError("Environment in wrong status for call to observations()")
        shapes = {spec["name"]: spec["shape"] for spec in self._specs()}
        values: dict[str, NDArray] = {
            "RGB_INTERLEAVED": self._picture(),
            "MAP_FRAME_NUMBER": np.array([float(self._frame - self._loaded)]),
        }
        return {name: values.get(name, np.zeros(shapes[name])) for name in self._observed}

    def events(self) -> list[tuple[str, list[Any]]]:
        """Return what happened since the last step: nothing that an agent needs."""
        if self._status not in (RUNNING, ENDED):
            raise RuntimeError("Environment in wrong status for call to events()")
        return []

    def observation_spec(self) -> list[dict[str, Any]]:
        """Say what may be observed."""
        self._must_be_open()
        return self._specs()

    def action_spec(self) -> list[dict[str, Any]]:
        """Say what the numbers of an action are."""
        self._must_be_open()
        return [{"min": low, "max": high, "name": name} for name, low, high in ACTIONS]

    def fps(self) -> int:
        """Return the frames of a nominal second."""
        self._must_be_open()
        return 60

    def close(self) -> bool:
        """Free everything; say whether there was anything to free."""
        if self._status == CLOSED:
            return False
        self._status = CLOSED
        if self._owns_folder:
            shutil.rmtree(self._folder)
        Lab._open -= 1
        return True

    def _must_be_open(self) -> None:
        assert self._status != CLOSED, "only is_running() may be called on a closed Lab"

    def _set(self, key: str, value: str) -> str | None:
        """Take a setting of the engine's, or keep one for the script; say what is wrong with it."""
        if key in ("width", "height", "mixerSeed"):
            if not re.fullmatch(r"[+-]?\d+", value):
                return f"Invalid int setting {value}"
            number = int(value)
            if key == "mixerSeed":
                self._mixer_seed = number
                return None if 0 <= number < 2**32 else "Invalid mixerSeed value"
            if number < 4 or number % 4:
                return f"'{key}' must be a positive multiple of 4. Actual {number}"
            setattr(self, f"_{key}", number)
        elif key in BOOLEANS | {"minimalUI", "reducedUI"}:
            if value not in ("true", "false"):
                return f'Invalid boolean arg must be either "true" or "false"; actual "{value}"'
            if key == "minimalUI":
                self._command_line += f" +set cg_draw2D {0 if value == 'true' else 1}"
        elif key == "appendCommand":
            self._command_line += f" {value}"
        elif key == "fps":
            assert value == "60", "no other frame rate is played here"
        else:
            self._script[key] = value
        return None

    def _init_script(self) -> None:
        """Let the level's script read its settings."""
        problem = None
        if self._level not in SECONDS:
            problem = f"cannot open game_scripts/levels/{self._level}.lua"
        known = SCRIPT_SETTINGS.get(self._level)
        for key, value in self._script.items():
            if known is not None and key not in known | IGNORED:
                problem = f'Invalid setting: "{key}" = "{value}"'
        if problem:
            raise RuntimeError(f'Failed to init environment - "[string]:1:\n{problem}"')
        self._seconds: float | str = SECONDS[self._level]
        if known is not None and self._level != PUZZLE:
            self._seconds = _from_lua(self._script.get("episodeLengthSeconds", self._seconds))

    def _abort(self, message: str) -> None:
        """End the process, as a failed CHECK does, after the engine's own chatter."""
        check = "[deepmind/engine/context.cc:1] Check failed: result.ok()[hasEpisodeFinished] - "
        where = "baselab/game_scripts/decorators/timeout.lua:68"
        trace = f"stack traceback:\n\t{where}: in function 'hasEpisodeFinished'\n"
        os.write(2, f"Sound memory manager started\n{check}{where}: {message}\n{trace}".encode())
        os.abort()

    def _specs(self) -> list[dict[str, Any]]:
        size = (self._height, self._width)
        specs: list[dict[str, Any]] = []
        for channels, name in ((3, "RGB"), (4, "RGBD"), (3, "BGR"), (4, "BGRD")):
            shape = (*size, channels)
            specs.append({"name": f"{name}_INTERLEAVED", "shape": shape, "dtype": np.uint8})
        specs.append({"name": "MAP_FRAME_NUMBER", "shape": (1,), "dtype": np.float64})
        specs.append({"name": "DEBUG.POS.TRANS", "shape": (3,), "dtype": np.float64})
        specs.append({"name": "INSTR", "shape": (), "dtype": str})
        return specs

    def _picture(self) -> NDArray[np.uint8]:
        grey = (self._seed + self._frame) % 251
        picture = np.full((self._height, self._width, 3), grey, np.uint8)
        overlay = self._variables["cg_draw2D"] == "1"
        if overlay:
            picture[-8:] = HUD_COLOUR
        rectangles = overlay or self._variables["cg_drawScriptRectanglesAlways"] == "1"
        if self._level == PUZZLE and self.plan.key_held and rectangles:
            picture[2:9, 2:9] = KEY_COLOUR
        return picture

    def _make_map(self) -> None:
        """Fetch the map from the level cache, or compile it; the engine then reads it."""
        source = f"{self._level} {self._seed} {self._mixer_seed}".encode()
        digest = hashlib.md5(source).hexdigest()
        key = f"maze_{COMPILED[self._level]}_{digest}"
        pk3 = self._folder / "maze.pk3"
        content = digest.encode() * 997
        if self._cache is None or not self._cache.fetch(key, str(pk3)):
            Lab.compiled += 1
            pk3.write_bytes(content)
            if self._cache is not None:
                self._cache.write(key, str(pk3))
        assert pk3.read_bytes() == content, "the engine ends the process for a broken map"


def _from_lua(value: float | str) -> float | str:
    """Read a setting as helpers.fromString does: a number where it is one, else the text."""
    try:
        return float(value)
    except ValueError:
        return value


def _must_be(argument: Any, kind: type) -> None:
    if argument is not MISSING and not isinstance(argument, kind):
        raise TypeError(f"argument must be {kind.__name__}, not {type(argument).__name__}")
