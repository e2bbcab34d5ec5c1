"""Small single environments for the worker pool; workers import this module."""

import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np


class Walk(gymnasium.Env):
    """Random pictures, rewards and ends from the environment's own generator; an action counts."""

    episode_steps = 23

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (5, 7, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(3, start=2)

    def _look(self) -> np.ndarray:
        return self.np_random.integers(0, 256, (5, 7, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._look(), {}

    def step(self, action):
        assert action in self.action_space
        draw = self.np_random.random()
        info = {"success_seconds": draw} if draw > 0.8 else {}
        return self._look(), 10 * draw + int(action), draw < 0.1, 0.1 < draw < 0.2, info


class Clock(Walk):
    """Shows how many steps its episode has; never ends by itself. Action 0 kills the process."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gymnasium.spaces.Box(-1, 1e6, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(3)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.array([0, self.np_random.random()], np.float32), {}

    def step(self, action):
        if action == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.steps += 1
        return np.array([self.steps, 0], np.float32), 1.0, False, False, {}


class SucceedsAtItsEnd(Clock):
    """Its episodes have three steps, of which the last succeeds."""

    def step(self, action):
        obs, reward, *_ = super().step(action)
        ends = self.steps == 3
        return obs, reward, ends, False, {"success_seconds": 0.5} if ends else {}


class Failing(Walk):
    """Cannot be stepped with the first action."""

    def step(self, action):
        if action == self.action_space.start:
            raise KeyError("the map\nis gone")
        return super().step(action)


class Unready(Walk):
    """Cannot begin an episode."""

    def reset(self, *, seed=None, options=None):
        raise RuntimeError("no episode")


class Aborts(Clock):
    """Says something after each step; action 0 ends the process with `words`."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    def step(self, action):
        if action == 0:
            os.write(2, self.words.encode())
            os.abort()
        os.write(2, b"a step\n")
        return super().step(action)


class Unmade(Walk):
    """Cannot be made."""

    def __init__(self) -> None:
        raise ValueError("install the module that nobody has")


class Continuous(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = gymnasium.spaces.Box(-1, 1, (2,))


class LeavesNote(Walk):
    """Writes a file when it is closed; `folder` is where."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def close(self) -> None:
        (Path(self.folder) / str(os.getpid())).touch()


class Odd(gymnasium.Env):
    """Pictures [5, 7, 3]; from step 3 of each episode on it returns what `fault` says.

    `at_reset`: instead, when an episode begins.
    """

    FAULTS: ClassVar[dict[str, dict[str, Any]]] = {
        "obs": {
            "shape": np.zeros((5, 7, 1), np.uint8),
            "scalar": 0,
            "none": None,
            "floats": np.full((5, 7, 3), 0.5),
            "too large": np.full((5, 7, 3), 256),
            "ragged": [[1, 2], [3]],
        },
        "reward": {
            "text": "much",
            "two": np.ones(2),
            "nan": np.nan,
            "inf": np.float32(np.inf),
            "huge": 1e39,
        },
        "terminated": {"word": "no"},
        "info": {"list": []},
    }

    def __init__(self, fault: str = "none", at_reset: bool = False) -> None:
        self.observation_space = gymnasium.spaces.Box(0, 255, (5, 7, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(3)
        self.fault, self.at_reset = fault, at_reset

    def _returned(self, now: bool, **values):
        part, _, kind = self.fault.partition(":")
        if now and part in values:
            values[part] = self.FAULTS[part][kind]
        return tuple(values.values())

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        picture = np.ones((5, 7, 3), np.uint8)
        if self.at_reset and self.fault == "old":
            return picture
        return self._returned(self.at_reset, obs=picture, info={})

    def step(self, action):
        self.steps += 1
        now = self.steps == 3 and not self.at_reset
        if now and self.fault == "old":
            return np.ones((5, 7, 3), np.uint8), 1.0, False, {}
        picture = np.ones((5, 7, 3), np.uint8)
        return self._returned(
            now, obs=picture, reward=1.0, terminated=False, truncated=False, info={}
        )


class OddLength(Walk):
    """Says that its episodes have `episode_steps`."""

    def __init__(self, episode_steps) -> None:
        super().__init__()
        self.episode_steps = episode_steps


class NowAndThen(Clock):
    """Fails in every 4th step of an episode."""

    def step(self, action):
        if self.steps == 3:
            raise RuntimeError("out of breath")
        return super().step(action)


class Empty(Walk):
    """Shows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gymnasium.spaces.Box(0, 1, (0,), np.float32)


class NoReset(Walk):
    """Cannot begin."""

    def reset(self, *, seed=None, options=None):
        raise RuntimeError("no map")


class Sleeping(Walk):
    """Does not come back from its reset."""

    def reset(self, *, seed=None, options=None):
        time.sleep(100)


def wait_until(true, seconds: float = 30.0) -> bool:
    """Whether `true()` holds before the time is over."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def running(pid: int) -> bool:
    """Whether a process is there and is not just waiting to be forgotten by its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Brittle(Walk):
    """Works for a while, and then in no process any more: a file remembers."""

    def step(self, action):
        broken = Path("broken")
        self.steps = getattr(self, "steps", 0) + 1
        if broken.exists() or self.steps > 20:
            broken.touch()
            raise RuntimeError("out of glass")
        return super().step(action)


gymnasium.register("Brittle-v0", entry_point="tests.envs.pool_envs:Brittle")


class NeverEnds(Clock):
    """CartPole's observations; no episode lives to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(4, np.float32), {}

    def step(self, action):
        self.steps += 1
        if self.steps == 3:
            raise RuntimeError("out of breath")
        return np.zeros(4, np.float32), 1.0, False, False, {}


gymnasium.register("NeverEnds-v0", entry_point="tests.envs.pool_envs:NeverEnds")
for _name, _entry, _arguments in (
    ("NoReset", "NoReset", {}),
    ("Raises", "NowAndThen", {}),
    ("Nan", "Odd", {"fault": "reward:nan"}),
    ("OldReset", "Odd", {"fault": "old", "at_reset": True}),
    ("Floats", "Odd", {"fault": "obs:floats"}),
    ("Empty", "Empty", {}),
):
    gymnasium.register(
        f"{_name}-v0", f"tests.envs.pool_envs:{_entry}", max_episode_steps=11, kwargs=_arguments
    )
