"""The far side of a worker process: it steps its environments and writes what they give.

It is a fresh interpreter, which imports Gymnasium and what its environments need, not the script
that started it.
"""

import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import gymnasium
import numpy as np

from envs.pool.memory import StepArrays

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


class Environments:
    """The environments of one worker."""

    def __init__(self, job: Job, descriptor: int) -> None:
        self._job = job
        self._descriptor = descriptor
        self._envs = [job.make_env() for _ in range(job.start, job.stop)]
        self._steps = [0] * len(self._envs)
        self._cuts = [0] * len(self._envs)  # steps until the first episode is cut; 0: never
        self._arrays: StepArrays | None = None

    def spaces(self) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Discrete]:
        """Return the spaces of one environment; actions count from 0. Raises ValueError."""
        observations, actions = self._envs[0].observation_space, self._envs[0].action_space
        if not isinstance(observations, gymnasium.spaces.Box):
            raise ValueError(f"observations must be arrays (a Box), but are {observations}.")
        if not isinstance(actions, gymnasium.spaces.Discrete):
            raise ValueError(f"actions must be discrete, but are {actions}.")
        self._first_action = int(actions.start)
        return observations, gymnasium.spaces.Discrete(int(actions.n))

    def reset(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every environment, each with its seed."""
        if self._arrays is None:  # by now the file has its size
            space = self.spaces()[0]
            self._arrays = StepArrays.map(self._descriptor, self._job.num_envs, space)
        for k, (env, seed) in enumerate(zip(self._envs, seeds, strict=True)):
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
            obs, reward, terminated, truncated, info = env.step(
                int(arrays.action[i] + first_action)
            )
            self._steps[k] += 1
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

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()


def _episode_steps(env: gymnasium.Env) -> int:
    """Return how many agent steps an episode can last."""
    known = getattr(env.unwrapped, "episode_steps", None)
    if known is None and env.spec is not None:
        known = env.spec.max_episode_steps
    return UNKNOWN_EPISODE_STEPS if known is None else int(known)


def main() -> None:
    """Serve the process that started this one until it closes its end, or ends."""
    connection_descriptor, lifeline, memory = map(int, sys.argv[1:])
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    connection = Connection(connection_descriptor)
    environments = None
    try:
        try:
            environments = Environments(cloudpickle.loads(connection.recv_bytes()), memory)
            connection.send((environments.spaces(), None))
        except Exception as error:
            # A ValueError says in one sentence what the user should change.
            cause = str(error) if isinstance(error, ValueError) else _describe(error)
            connection.send((None, cause))
        while (call := connection.recv()) is not None:
            method, arguments = call
            reply: tuple[Any, str | None]
            try:
                reply = getattr(environments, method)(*arguments), None
            except Exception as error:
                reply = None, _describe(error)
            connection.send(reply)
    except (EOFError, OSError):  # the other end is closed
        pass
    if environments is not None:
        environments.close()


def _describe(error: Exception) -> str:
    """Return, in one line, what was raised and where."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text} ({Path(where.filename).name}:{where.lineno})"


def _end_with_parent(lifeline: int) -> None:
    """End this process, whatever it is at, when the other end of a pipe is closed."""
    os.read(lifeline, 1)
    os._exit(1)
