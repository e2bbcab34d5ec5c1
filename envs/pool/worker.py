"""The far side of a worker process: it steps its environments and writes what they give.

It is a fresh interpreter, which imports Gymnasium and what its environments need, not the script
that started it.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import cloudpickle
import gymnasium
import numpy as np
from gymnasium.wrappers import RepeatAction

from envs.pool.checks import CheckedEnv, MismatchError, NotFiniteError, describe
from envs.pool.memory import SharedArrays

# An episode's longest cut at the start where neither the environment nor its specification tells
# how long episodes can be, in agent steps.
UNKNOWN_EPISODE_STEPS = 1000


class Job(NamedTuple):
    """What a worker does: environments start..stop-1 of `num_envs`, which `make_env` makes."""

    make_env: Callable[[], gymnasium.Env]
    start: int
    stop: int
    num_envs: int
    stagger: bool


class Interface(NamedTuple):
    """What the environments of a worker take and give, the same for all of them."""

    observations: gymnasium.spaces.Box
    actions: gymnasium.spaces.Discrete  # counted from 0
    notes: tuple[str, ...]  # what a user should know: the attribute `note` of their wrappers


class Environments:
    """The environments of one worker."""

    def __init__(self, job: Job, descriptor: int) -> None:
        self._job = job
        self._descriptor = descriptor
        self._envs = [CheckedEnv(job.make_env()) for _ in range(job.start, job.stop)]
        self._steps = [0] * len(self._envs)
        self._cuts = [0] * len(self._envs)  # steps until the first episode is cut; 0: never
        self._arrays: SharedArrays | None = None

    def interface(self) -> Interface:
        """Return what the learner must know of the environments. Raises ValueError."""
        observations, actions = self._envs[0].observation_space, self._envs[0].action_space
        if not isinstance(observations, gymnasium.spaces.Box):
            raise ValueError(f"observations must be arrays (a Box), but are {observations}.")
        if 0 in observations.shape:
            raise ValueError(f"observations of shape {observations.shape} are empty.")
        if not isinstance(actions, gymnasium.spaces.Discrete):
            raise ValueError(f"actions must be discrete, but are {actions}.")
        return Interface(
            observations, gymnasium.spaces.Discrete(int(actions.n)), _notes(self._envs[0])
        )

    def reset(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every environment, each with its seed."""
        if self._arrays is None:  # by now the file has its size
            space = self.interface().observations
            self._arrays = SharedArrays.map(self._descriptor, self._job.num_envs, space)
        for k, (env, seed) in enumerate(zip(self._envs, seeds, strict=True)):
            with self._naming(k):
                self._arrays.obs[self._job.start + k] = env.reset(seed=seed)[0]
                self._steps[k], self._cuts[k] = 0, 0
                if self._job.stagger:
                    longest = _episode_steps(env)
                    self._cuts[k] = int(np.random.default_rng(seed).integers(1, longest + 1))

    def step(self) -> None:
        """Apply the actions in the shared memory; episodes that end begin anew."""
        arrays = self._arrays
        assert arrays is not None
        for k, env in enumerate(self._envs):
            i = self._job.start + k
            first_action = env.action_space.start  # type: ignore[attr-defined]  # Discrete
            self._steps[k] += 1
            with self._naming(k):
                obs, reward, terminated, truncated, info = env.step(
                    int(arrays.action[i] + first_action)
                )
                truncated = truncated or self._steps[k] == self._cuts[k]
                if terminated or truncated:
                    self._cuts[k] = 0
                    arrays.final_obs[i] = obs
                    obs, _ = env.reset()
            arrays.obs[i] = obs
            arrays.reward[i] = reward
            arrays.terminated[i] = terminated
            arrays.truncated[i] = truncated
            arrays.success_seconds[i] = info.get("success_seconds", np.nan)

    @contextmanager
    def _naming(self, k: int) -> Iterator[None]:
        """Let what the checks found name the environment and its step."""
        try:
            yield
        except (MismatchError, NotFiniteError) as error:
            env = self._envs[k]
            name = type(env.unwrapped).__name__ if env.spec is None else env.spec.id
            where = f"environment {self._job.start + k} ({name}), step {self._steps[k]}"
            raise type(error)(f"{where}: {error}") from error

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()


def _episode_steps(env: gymnasium.Env) -> int:
    """Return how many agent steps an episode can last. Raises MismatchError.

    The environment knows how many it has itself, of which a RepeatAction makes several a step.
    """
    known = getattr(env.unwrapped, "episode_steps", None)
    if known is None and env.spec is not None:
        known = env.spec.max_episode_steps
    if known is None:
        return UNKNOWN_EPISODE_STEPS
    if not isinstance(known, int | np.integer) or not 1 <= known < 2**62:
        raise MismatchError(f"episode_steps is {known!r}; it must be a whole number, at least 1.")
    repeats = 1
    while isinstance(env, gymnasium.Wrapper):
        repeats *= env.num_repeats if isinstance(env, RepeatAction) else 1
        env = env.env
    return -(-int(known) // repeats)


def _notes(env: gymnasium.Env) -> tuple[str, ...]:
    notes = []
    while isinstance(env, gymnasium.Wrapper):
        notes += [vars(env)["note"]] if "note" in vars(env) else []
        env = env.env
    return tuple(notes)


def main() -> None:
    """Serve the process that started this one until it closes its end, or ends."""
    connection_descriptor, lifeline, memory = map(int, sys.argv[1:])
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    connection = Connection(connection_descriptor)
    environments = None
    try:
        try:
            environments = Environments(cloudpickle.loads(connection.recv_bytes()), memory)
            connection.send((environments.interface(), None, False))
        except Exception as error:
            # A ValueError says in one sentence what the user should change.
            cause = str(error) if isinstance(error, ValueError) else describe(error)
            connection.send((None, cause, False))
        while (call := connection.recv()) is not None:
            method, arguments = call
            reply: tuple[Any, str | None, bool]
            try:
                reply = getattr(environments, method)(*arguments), None, False
            except (MismatchError, NotFiniteError) as error:
                reply = None, str(error), isinstance(error, MismatchError)
            except Exception as error:
                reply = None, describe(error), False
            connection.send(reply)
    except (EOFError, OSError):  # the other end is closed
        pass
    if environments is not None:
        environments.close()


def _end_with_parent(lifeline: int) -> None:
    """End this process, whatever it is at, when the other end of a pipe is closed."""
    os.read(lifeline, 1)
    os._exit(1)
