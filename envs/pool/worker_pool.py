"""A batch of single environments in worker processes, in two groups that take turns."""

import logging
import os
import time
import weakref
from collections.abc import Callable, Sequence
from itertools import pairwise

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.pool.memory import SharedArrays, anonymous_file, reserve
from envs.pool.process import WorkerError
from envs.pool.worker import Job
from envs.pool.worker_group import START_TIMEOUT_S, Worker, WorkerGroup
from envs.step_result import StepResult

PATIENCE_S = 2.0  # for environments to close

log = logging.getLogger(__name__)


class WorkerPool:
    """`num_envs` environments, each made by `make_env` in a process of its own or of a few.

    A BatchedEnv in `groups`: environments first to last, in one or two groups that can be stepped
    one by one. What happens in an environment does not depend on groups and workers.

    Args:
        make_env: makes one environment with a Box of observations and Discrete actions; anything
            that cloudpickle takes.
        num_envs: how many.
        envs_per_worker: at most so many environments share a process.
        num_groups: 2, so that the network can act for one group while the other simulates, or 1.
        stagger: cut the first episode of each environment, and the first after a restart, at a
            length drawn from its seed, up to the longest that the environment knows of
            (`episode_steps` of the environment, or `spec.max_episode_steps`; a `RepeatAction`
            around it divides them).
        timeout_s: a worker that takes longer to reset or to step is replaced.

    Raises ValueError: an environment cannot be made, or has other spaces.
    """

    def __init__(
        self,
        make_env: Callable[[], gymnasium.Env],
        num_envs: int,
        *,
        envs_per_worker: int = 1,
        num_groups: int = 2,
        stagger: bool = False,
        timeout_s: float = 120.0,
    ) -> None:
        self.num_envs = num_envs
        lifeline, lifeline_end = os.pipe()
        memory = anonymous_file()
        workers: list[Worker] = []
        self._close = weakref.finalize(self, _end, workers, [lifeline_end, lifeline, memory])
        per_group = []
        for start, stop in pairwise(_bounds(num_envs, min(num_groups, num_envs))):
            count = -(-(stop - start) // envs_per_worker)
            jobs = [
                Job(make_env, start + a, start + b, num_envs, stagger)
                for a, b in pairwise(_bounds(stop - start, count))
            ]
            per_group.append([Worker(job, memory, lifeline) for job in jobs])
            workers += per_group[-1]
        try:
            interface, *others = [worker.process.result(START_TIMEOUT_S) for worker in workers]
        except WorkerError as error:
            self.close()
            raise ValueError(str(error)) from None
        if any(other != interface for other in others):
            self.close()
            raise ValueError("the environments differ in their observations or actions.")
        for note in interface.notes:
            log.warning(note)
        self.single_observation_space = interface.observations
        self.single_action_space = interface.actions
        try:
            reserve(memory, num_envs, interface.observations)
            arrays = SharedArrays.map(memory, num_envs, interface.observations)
        except (OSError, OverflowError, ValueError):
            self.close()
            raise ValueError(
                f"{num_envs} observations of shape {interface.observations.shape} and "
                f"{interface.observations.dtype} do not fit into memory."
            ) from None
        self.groups = [WorkerGroup(group, arrays, interface, timeout_s) for group in per_group]
        ends = np.cumsum([group.num_envs for group in self.groups]).tolist()
        self._columns = [slice(*pair) for pair in pairwise([0, *ends])]

    @property
    def worker_restarts(self) -> int:
        """How many workers were replaced since the run began."""
        return sum(group.worker_restarts for group in self.groups)

    @property
    def last_failure(self) -> str | None:
        """Which environments failed last, and why; None where all is well."""
        return next((group.last_failure for group in self.groups if group.last_failure), None)

    def reset_into(self, seeds: Sequence[int], obs: NDArray) -> None:
        """Begin an episode in every environment; write observations to obs [B, ...]."""
        for group, columns in zip(self.groups, self._columns, strict=True):
            group.send_reset(seeds[columns])
        for group, columns in zip(self.groups, self._columns, strict=True):
            group.receive(obs[columns])

    def step_into(self, actions: NDArray[np.int64], obs: NDArray) -> StepResult:
        """Apply actions [B]; write the observations that follow to obs [B, ...]."""
        for group, columns in zip(self.groups, self._columns, strict=True):
            group.send(actions[columns])
        steps = [g.receive(obs[c]) for g, c in zip(self.groups, self._columns, strict=True)]
        return StepResult(*(np.concatenate(arrays) for arrays in zip(*steps, strict=True)))

    def get_state(self) -> dict[str, NDArray]:
        """Return seeds and counts: running episodes cannot be saved."""
        states = [group.get_state() for group in self.groups]
        return {name: np.concatenate([state[name] for state in states]) for name in states[0]}

    def set_state(self, state: dict[str, NDArray]) -> None:
        """Begin anew, with new seeds; see `WorkerGroup.set_state`."""
        for group, columns in zip(self.groups, self._columns, strict=True):
            group.set_state({name: array[columns] for name, array in state.items()})

    def close(self) -> None:
        """End all processes."""
        self._close()


def _bounds(count: int, parts: int) -> list[int]:
    """Return the ends of `parts` ranges, as equal as can be, from 0 to `count`."""
    return np.linspace(0, count, parts + 1).astype(int).tolist()


def _end(workers: list[Worker], descriptors: list[int]) -> None:
    """End the processes, those that hang included, and free what they shared."""
    for worker in workers:
        worker.process.hang_up()
    deadline = time.monotonic() + PATIENCE_S
    for worker in workers:
        worker.process.kill(max(0.0, deadline - time.monotonic()))
    for descriptor in descriptors:
        os.close(descriptor)
