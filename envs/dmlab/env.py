"""One level of the real DeepMind Lab behind Gymnasium's interface for single environments.

Facts about DeepMind Lab are from github.com/google-deepmind/lab, commit b1db91a:
docs/users/python_api.md, python/dmlab_module.c and engine/code/deepmind/dmlab_connect.c.
"""

import weakref
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.actions import IMPALA_ACTIONS
from envs.config import HEIGHT, LEVEL_STEPS, WIDTH, canonical_level
from envs.dmlab.level_cache import LevelCache
from envs.dmlab.loading import load_lab
from envs.dmlab.settings import Setting, lab_config
from envs.dmlab.temp_folder import TempFolder
from envs.dmlab.trials import TrialClock
from envs.frame_rate import FRAMES_PER_STEP
from episode_seeds import FIRST_EVALUATION_SEED, on_the_side_of

PICTURE = "RGB_INTERLEAVED"
MAP_FRAME = "MAP_FRAME_NUMBER"
RENDERERS = ("software", "hardware")

SCRIPTS = {  # DeepMind Lab's names of the levels
    "room_watermaze": "contributed/dmlab30/rooms_watermaze",
    "explore_goal_locations_small": "contributed/dmlab30/explore_goal_locations_small",
    "seekavoid_arena_01": "seekavoid_arena_01",
    "lasertag_three_opponents_small": "contributed/dmlab30/lasertag_three_opponents_small",
    "rooms_keys_doors_puzzle": "contributed/dmlab30/rooms_keys_doors_puzzle",
}
ENDS_EARLY = "rooms_keys_doors_puzzle"  # 0.2 s after the goal; all others end by their clocks alone

# The names of the seven numbers of an action, in the order of envs.actions.
RAW_ACTIONS = (
    "LOOK_LEFT_RIGHT_PIXELS_PER_FRAME",
    "LOOK_DOWN_UP_PIXELS_PER_FRAME",
    "STRAFE_LEFT_RIGHT",
    "MOVE_BACK_FORWARD",
    "FIRE",
    "JUMP",
    "CROUCH",
)

MAX_SEED = 2**31 - 1  # DeepMind Lab's seeds are non-negative C ints


class DMLabEnv(gymnasium.Env):
    """DeepMind Lab with IMPALA's nine actions and picture, u8 [72, 96, 3].

    hud: "none" leaves of the overlay the crosshair and what is part of a game; "full" is
    DeepMind Lab's own picture. renderer: "software" (OSMesa) or "hardware" (EGL or GLX, as it was
    built). mixer_seed: different ones give disjoint sets of seeds.
    level_cache: a directory for compiled maps, see LevelCache. settings: further settings of
    DeepMind Lab or of the level's script.

    Where a trial succeeded in a step, its info has "success_seconds": nominal seconds from the
    trial's start (see TrialClock).

    A process can hold one open DMLabEnv only: two DeepMind Labs in one process have crashed for
    others (upstream's issue 134).
    Raises ValueError, in one sentence, for unknown names, for settings that DeepMind Lab rejects,
    without the module, and for a second environment.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it
    observation_space: gymnasium.spaces.Box
    action_space: gymnasium.spaces.Discrete

    _open: "weakref.ref[DMLabEnv] | None" = None  # of this process

    def __init__(
        self,
        level: str,
        *,
        hud: str = "none",
        renderer: str = "software",
        mixer_seed: int = 0,
        level_cache: Path | None = None,
        settings: Mapping[str, Setting] | None = None,
    ) -> None:
        self.level = canonical_level(level)
        if renderer not in RENDERERS:
            raise ValueError(f"unknown renderer '{renderer}': allowed are {', '.join(RENDERERS)}")
        if DMLabEnv._open is not None and DMLabEnv._open() is not None:
            raise ValueError(
                "there is an open DMLabEnv in this process, and a second can crash it: "
                "close it, or use one process for each"
            )
        self.episode_steps = LEVEL_STEPS[self.level]
        config = lab_config(hud, mixer_seed, settings or {})
        cache = None if level_cache is None else LevelCache(level_cache)
        self.observation_space = gymnasium.spaces.Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(IMPALA_ACTIONS))
        self._raw_actions = IMPALA_ACTIONS.astype(np.intc)  # [9, 7]
        self._trials = TrialClock(self.level)
        self._given_seed = 0  # the last one; seeds drawn afterwards are on its side of 2^30
        self._running = False
        self._obs = np.zeros(self.observation_space.shape, np.uint8)
        lab = load_lab()
        self._temp_folder = TempFolder()
        try:
            self._lab = _start(
                lab, SCRIPTS[self.level], config, renderer, cache, self._temp_folder.path
            )
        except ValueError:
            self._temp_folder.close()
            raise
        DMLabEnv._open = weakref.ref(self)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin an episode: that of `seed`, or one that the last given seed decides.

        Equal seeds are equal mazes, objects and places; where players end up after many steps can
        differ, because DeepMind Lab's clock depends on what ran before. Raises ValueError for a
        seed outside 0 .. 2^31 - 1, and for options, of which there are none.
        """
        if options:
            raise ValueError(f"DeepMind Lab has no reset options, but got {', '.join(options)}")
        if seed is not None and not 0 <= seed <= MAX_SEED:
            raise ValueError(f"got the seed {seed}; DeepMind Lab needs one in 0 .. 2^31 - 1")
        super().reset(seed=seed)
        if seed is not None:
            self._given_seed = seed
        else:
            drawn = int(self.np_random.integers(FIRST_EVALUATION_SEED))
            seed = on_the_side_of(self._given_seed, drawn)
        self._running = False  # until DeepMind Lab has begun
        self._lab.reset(seed=int(seed))
        self._running = True
        self._trials.begin(self._observe())
        return self._obs.copy(), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Take one agent step of four frames with action 0..8.

        The last observation of an episode is the one before its last step: DeepMind Lab shows
        none of the end. Raises ValueError for an unknown action or an episode that has ended.
        """
        if not self._running:
            raise ValueError("the episode has ended: call reset() before step()")
        if not 0 <= action < len(self._raw_actions):
            raise ValueError(f"got the action {action}; needed is a whole number in 0..8")
        reward = self._lab.step(self._raw_actions[action], num_steps=FRAMES_PER_STEP)
        self._running = self._lab.is_running()
        frame = self._lab.num_steps()
        map_frame = self._observe() if self._running else None
        success = self._trials.tick(frame, reward, map_frame)
        info = {} if success is None else {"success_seconds": success}
        whole = frame >= self.episode_steps * FRAMES_PER_STEP
        terminated = not self._running and self.level == ENDS_EARLY and not whole
        truncated = not self._running and not terminated
        return self._obs.copy(), reward, terminated, truncated, info

    def close(self) -> None:
        """Free DeepMind Lab; this process can then open another."""
        self._running = False
        if self._lab.close():
            DMLabEnv._open = None
        self._temp_folder.close()

    def _observe(self) -> int:
        """Take the picture; return how many frames ago the map was loaded."""
        observations = self._lab.observations()
        self._obs = observations[PICTURE]
        return int(observations[MAP_FRAME][0])


def _start(
    module: ModuleType,
    script: str,
    config: dict[str, str],
    renderer: str,
    level_cache: LevelCache | None,
    temp_folder: str,
) -> Any:
    """Make a Lab, and check that it takes our actions: some levels' settings add more."""
    try:
        lab = module.Lab(
            level=script,
            observations=[PICTURE, MAP_FRAME],
            config=config,
            renderer=renderer,
            level_cache=level_cache,
            temp_folder=temp_folder,
        )
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"DeepMind Lab does not start: {' '.join(str(error).split())}") from error
    actions = tuple(spec["name"] for spec in lab.action_spec())
    if actions != RAW_ACTIONS:
        lab.close()
        raise ValueError(
            f"DeepMind Lab has the actions {', '.join(actions)}, which are not IMPALA's"
        )
    return lab
