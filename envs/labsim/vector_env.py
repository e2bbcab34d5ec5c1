"""A batch of labsim environments: Gymnasium's vector interface, and one without copies.

Episodes begin anew in the step in which they end (Gymnasium's SAME_STEP), so the observation a
step returns always is the one to act on next.
"""

import weakref
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from envs.actions import FIRE, IMPALA_ACTIONS, LOOK, MOVE, STRAFE
from envs.config import HEIGHT, WIDTH, canonical_level
from envs.frame_rate import FRAMES_PER_STEP, STEPS_PER_SECOND
from envs.labsim.env_arrays import EnvArrays, step_and_draw
from envs.labsim.level import Level
from envs.labsim.levels import LEVELS
from envs.labsim.reset_arguments import one_seed_each, put_in_place, read_options
from envs.labsim.state_check import check_state
from envs.labsim.thread_team import ThreadTeam
from envs.labsim.top_down import draw_top_down
from envs.labsim.world import short_angle
from envs.step_result import StepResult

RAW_ACTIONS = IMPALA_ACTIONS[:, (LOOK, STRAFE, MOVE, FIRE)]  # what the levels know of actions


class LabsimVectorEnv(gymnasium.vector.VectorEnv):
    """`num_envs` copies of a level, stepped by the calling thread and `num_threads - 1` others.

    Every environment has its own random stream, so what happens does not depend on the number of
    threads, nor on the other environments. Episodes are cut after `max_episode_steps` agent steps,
    or the level's own number if that is smaller. Copies (`copy.deepcopy`, `pickle`) go on exactly
    as the original would. Raises ValueError for an unknown level, if the level is not the one that
    is `registered` under the id with which Gymnasium made this, or if `num_envs`, `num_threads` or
    `max_episode_steps` is below 1.
    """

    single_observation_space: gymnasium.spaces.Box
    single_action_space: gymnasium.spaces.Discrete
    metadata = {  # noqa: RUF012 - as Gymnasium declares it
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": STEPS_PER_SECOND,
    }

    def __init__(
        self,
        level: str,
        num_envs: int = 1,
        *,
        num_threads: int = 1,
        stagger: bool = False,
        keep_final_obs: bool = True,
        render_mode: str | None = None,
        max_episode_steps: int | None = None,
        registered: str | None = None,
    ) -> None:
        if num_envs < 1 or num_threads < 1:
            raise ValueError(
                f"num_envs is {num_envs} and num_threads is {num_threads}: "
                "at least 1 of each is needed"
            )
        if max_episode_steps is not None and max_episode_steps < 1:
            raise ValueError(f"max_episode_steps is {max_episode_steps}: at least 1 is needed")
        level = canonical_level(level)
        if registered is not None and canonical_level(registered) != level:
            raise ValueError(
                f"labsim/{registered}-v0 is the level {registered}, not {level}: "
                f"make labsim/{level}-v0"
            )
        self._arguments = {
            "level": level, "num_envs": num_envs, "num_threads": num_threads, "stagger": stagger,
            "keep_final_obs": keep_final_obs, "render_mode": render_mode,
            "max_episode_steps": max_episode_steps,
        }  # fmt: skip
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"unknown render_mode '{render_mode}': allowed are None, rgb_array")
        self.level: Level = LEVELS[level](num_envs)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self._episode_steps = min(
            self.level.episode_steps, max_episode_steps or self.level.episode_steps
        )
        self.single_observation_space = gymnasium.spaces.Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        self.single_action_space = gymnasium.spaces.Discrete(len(IMPALA_ACTIONS))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._stagger = stagger
        self._arrays = EnvArrays.of(self.level)
        self._obs = np.zeros((num_envs, HEIGHT, WIDTH, 3), np.uint8)
        self._final_obs = np.zeros_like(self._obs) if keep_final_obs else None
        self._final_pose = np.zeros((num_envs, 5))
        self._begun = False
        self._team = ThreadTeam(self._arrays, min(num_threads, num_envs), self._obs.shape[1:])
        weakref.finalize(self, self._team.close)

    # The interface that every backend offers to the learner.

    def reset_into(self, seeds: Sequence[int], obs: NDArray[np.uint8]) -> None:
        """Begin an episode in every environment, environment i with seeds[i].

        obs: u8 [B, 72, 96, 3], contiguous, receives the first observations. Raises ValueError if it
        has another form, the number of seeds is wrong or a seed is not in 0 .. 2^64 - 1.
        """
        if len(seeds) != self.num_envs or not all(0 <= seed < 2**64 for seed in seeds):
            raise ValueError(
                f"got the seeds {list(seeds)}; needed are {self.num_envs} in 0 .. 2^64 - 1"
            )
        for i, seed in enumerate(seeds):
            self.level.seed(i, seed)
            length = self._episode_steps
            if self._stagger:
                length = int(np.random.default_rng(seed).integers(1, length + 1))
            self.level.begin(i, length)
        self._begun = True
        self.render_into(obs)

    def step_into(self, actions: NDArray[np.int64], obs: NDArray[np.uint8]) -> StepResult:
        """Advance every environment by one agent step of four frames.

        actions: i64 [B] in 0..8. obs: u8 [B, 72, 96, 3], contiguous, receives the observations
        after the step; where an episode ended, that is the first one of the next. Raises
        ValueError if it has another form, or before the first reset.
        """
        if not self._begun:
            raise ValueError("no episode has begun: call reset() before step()")
        arrays, out = self._arrays, self._arrays.out
        np.take(RAW_ACTIONS, actions, axis=0, out=arrays.actions)
        self._run(FRAMES_PER_STEP, obs)
        ended = out.terminated | out.truncated
        for i in np.flatnonzero(ended).tolist() if ended.any() else ():
            self._final_pose[i] = self._pose(slice(i, i + 1))[0]
            if self._final_obs is not None:
                self._final_obs[i] = obs[i]
            self.level.begin(i, self._episode_steps)
            self._draw(obs, i)
        return StepResult(
            out.reward.copy(),
            out.terminated.copy(),
            out.truncated.copy(),
            out.success_seconds.copy(),
            self._final_obs,
        )

    def render_into(self, obs: NDArray[np.uint8]) -> None:
        """Draw what every player sees now into obs, u8 [B, 72, 96, 3], contiguous."""
        self._run(0, obs)

    def get_state(self) -> dict[str, NDArray]:
        """Copy everything that a later `set_state` needs to go on exactly from here."""
        return {name: array.copy() for name, array in self.level.state().items()}

    def set_state(self, state: dict[str, NDArray]) -> None:
        """Go on from a state of `get_state`; raise ValueError if it belongs to other environments.

        Observations are not part of a state: `render_into` draws them again.
        """
        check_state(self.level, state)
        for name, array in self.level.state().items():
            array[...] = state[name]
        self._begun = True

    def __getstate__(self) -> dict[str, Any]:
        """What a copy needs: the arguments, the level's state and all that is neither."""
        made = ("level", "_arrays", "_team")
        own = {name: value for name, value in vars(self).items() if name not in made}
        return {"level_state": self.get_state(), "own": own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["own"]["_arguments"])  # type: ignore[misc]
        self.set_state(state["level_state"])
        vars(self).update(state["own"])

    def get_top_down(self, i: int) -> NDArray[np.uint8]:
        """Draw environment i from above with its player and target, u8 [144, 144, 3]."""
        return draw_top_down(self.level.scene, self.level.target(i), self._pose()[i], i)

    # Gymnasium's interface.

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begin an episode in every environment; environment i has the seed `seed + i`.

        Without a seed, each goes on with its own random stream. `options` places players and
        platforms, for all environments alike or (with a leading axis B) for each:
        "pose" (x, y, yaw in degrees), "velocity" (forward, left; units per engine second, as
        DeepMind Lab reports them; 0 if not given) and "target" (x, y).
        Options without a seed place within the running engine: only the episode's clock starts
        anew, targets stay where they are unless given, and a visit to a platform goes on if its
        target is not given and the player still touches it. Raises ValueError for unknown or
        malformed options and for poses inside walls.
        """
        places = read_options(options, self.num_envs)
        if seed is not None or not self._begun:
            self.reset_into(one_seed_each(seed, self.num_envs), self._obs)
            if isinstance(seed, int | np.integer):
                super().reset(seed=int(seed))  # sets np_random_seed
        elif not places:
            for i in range(self.num_envs):
                self.level.begin(i, self._episode_steps)
        for i in range(self.num_envs if places else 0):
            put_in_place(self.level, i, places, self._episode_steps)
        self.render_into(self._obs)
        return self._obs.copy(), self._info()

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray, NDArray, NDArray, dict[str, Any]]:
        """Advance all environments by one agent step; actions [B] in 0..8.

        Where a trial succeeded, the info has "success_seconds": nominal seconds from (re)spawn to
        success; as all of Gymnasium's, in "final_info" if the episode ended in the same step.
        """
        actions = np.asarray(actions)
        if (
            actions.shape != (self.num_envs,)
            or not np.issubdtype(actions.dtype, np.integer)
            or actions.min() < 0
            or actions.max() >= len(IMPALA_ACTIONS)
        ):
            raise ValueError(
                f"got the actions {actions}; needed are {self.num_envs} whole numbers in 0..8"
            )
        result = self.step_into(actions.astype(np.int64), self._obs)
        ended = result.terminated | result.truncated
        info = self._info() | _successes(result.success_seconds, ~ended)
        if ended.any():
            if result.final_obs is not None:
                info["final_obs"] = np.full(self.num_envs, None, object)
                for i in np.flatnonzero(ended):
                    info["final_obs"][i] = result.final_obs[i].copy()
                info["_final_obs"] = ended.copy()
            pose = np.where(ended[:, None], self._final_pose, 0.0)
            info["final_info"] = {"pose": pose, "_pose": ended.copy()}
            info["final_info"] |= _successes(result.success_seconds, ended)
            info["_final_info"] = ended.copy()
        return self._obs.copy(), result.reward, result.terminated, result.truncated, info

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Give each environment's latest observation, or None without a render mode."""
        return None if self.render_mode is None else tuple(self._obs.copy())

    def close_extras(self, **kwargs: Any) -> None:
        """End the worker threads."""
        self._team.close()

    def _run(self, num_frames: int, obs: NDArray[np.uint8]) -> None:
        """Advance all environments by some frames, or none; draw them into obs [B, 72, 96, 3]."""
        self._team.run(num_frames, obs)

    def _draw(self, obs: NDArray[np.uint8], i: int) -> None:
        """Draw environment i into obs[i], u8 [72, 96, 3]."""
        step_and_draw(self._arrays, 0, obs, i, i + 1)

    def _pose(self, which: slice = slice(None)) -> NDArray[np.float64]:
        """Poses [B, 5]: x, y, z of the origin, pitch, yaw in [-180, 180)."""
        players = self.level.players[which]
        yaw = short_angle.py_func(players["yaw"])
        yaw = np.where(yaw >= 180.0, yaw - 360.0, yaw)
        pitch = np.zeros(len(yaw))
        return np.column_stack([players["x"], players["y"], players["z"], pitch, yaw])

    def _info(self) -> dict[str, Any]:
        return {"pose": self._pose(), "_pose": np.ones(self.num_envs, np.bool_)}


def _successes(seconds: NDArray[np.float32], among: NDArray[np.bool_]) -> dict[str, NDArray]:
    """What infos say of trials that succeeded in some environments: seconds, among [B]."""
    succeeded = among & ~np.isnan(seconds)
    if not succeeded.any():
        return {}
    return {"success_seconds": np.where(succeeded, seconds, 0.0), "_success_seconds": succeeded}
