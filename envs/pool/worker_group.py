"""Some environments of a pool, stepped together while the network acts for the others."""

import logging
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from envs.pool.memory import SharedArrays
from envs.pool.process import WorkerError, WorkerProcess
from envs.pool.worker import Interface, Job
from envs.step_result import StepResult
from episode_seeds import on_the_side_of

MAX_FAILURES = 10  # of one worker in a row; then the cause will not go away by itself
# Of a group within PER_STEPS agent steps, or with many workers 3 of each: a machine that stalls
# makes all of them fail at once.
MAX_FAILURES_IN_ALL = 20
PER_STEPS = 1_000_000
START_TIMEOUT_S = 120.0  # for a process to import what it needs and to make its environments

log = logging.getLogger(__name__)


class Worker:
    """A worker's place: a process that can be replaced, and how often it failed in a row."""

    def __init__(self, job: Job, memory: int, lifeline: int) -> None:
        self.job = job
        self._descriptors = memory, lifeline
        self.failures = 0
        self.works = False  # whether one of its processes has made a step
        self.process = self.start()

    def start(self) -> WorkerProcess:
        """Start a process; the last one must have ended."""
        self.process = WorkerProcess(self.job, *self._descriptors)
        return self.process


class WorkerGroup:
    """The environments of `workers`; a BatchedEnv whose step comes in two parts.

    `send` starts a step and returns, `receive` waits for it. A worker that dies, raises or takes
    longer than `timeout_s` is replaced: its environments begin anew, and the step in which that
    happened reports them as lost. That has its limits, and one that never made a step is not tried
    again: what is wrong with its environment or their settings would stay wrong.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        arrays: SharedArrays,
        interface: Interface,
        timeout_s: float,
    ) -> None:
        self.workers = workers
        first, last = workers[0].job.start, workers[-1].job.stop
        self.num_envs = last - first
        self.single_observation_space = interface.observations
        self.single_action_space = interface.actions
        self._first = first
        self._arrays = SharedArrays._make(array[first:last] for array in arrays)
        self._timeout_s = timeout_s
        self._seed = np.zeros(self.num_envs, np.int64)
        self._begun = np.zeros(self.num_envs, np.int64)  # how often each began with a seed
        # How often its worker was replaced, counted at each worker's first environment.
        self._restarts = np.zeros(self.num_envs, np.int64)
        self._begin_anew = False
        self._lost = np.zeros(self.num_envs, np.bool_)
        self.last_failure: str | None = None  # of any worker
        self._agent_steps = 0
        most = max(MAX_FAILURES_IN_ALL, 3 * len(workers))
        self._failed_at: deque[int] = deque(maxlen=most)  # agent steps at the last failures

    @property
    def worker_restarts(self) -> int:
        """How many workers were replaced since the run began."""
        return int(self._restarts.sum())

    def reset_into(self, seeds: Sequence[int], obs: NDArray) -> None:
        """Begin an episode in every environment; write observations to obs [B, ...]."""
        self.send_reset(seeds)
        self.receive(obs)

    def send_reset(self, seeds: Sequence[int]) -> None:
        """Start to begin an episode in every environment, i with seeds[i]; then `receive`."""
        self._seed[:] = seeds
        self._begun[:] = 0
        self._begin_anew = True
        self._send_all()

    def step_into(self, actions: NDArray[np.int64], obs: NDArray) -> StepResult:
        """Apply actions [B]; write the observations that follow to obs [B, ...]."""
        self.send(actions)
        return self.receive(obs)

    def send(self, actions: NDArray[np.int64]) -> None:
        """Start a step with actions [B] in all environments; call `receive` next."""
        self._arrays.action[:] = actions
        self._send_all()

    def _send_all(self) -> None:
        self._lost[:] = self._begin_anew
        for worker in self.workers:
            if self._begin_anew:
                self._send_seeds(worker)
            else:
                worker.process.call("step")
        self._begin_anew = False

    def receive(self, obs: NDArray) -> StepResult:
        """Wait for what was sent; write the observations to obs [B, ...], a copy of B rows.

        Raises WorkerError: a worker failed too often, or in a way that it would again.
        """
        self._agent_steps += self.num_envs
        stepping = not self._lost.all()
        for worker in self.workers:
            try:
                worker.process.result(self._timeout_s)
                worker.failures = 0
                worker.works |= stepping
            except WorkerError as error:
                self._replace(worker, error)
                self._lost[self._columns(worker)] = True
        arrays, lost = self._arrays, self._lost.copy()
        obs[...] = arrays.obs
        return StepResult(
            reward=np.where(lost, np.float32(0), arrays.reward),
            terminated=arrays.terminated & ~lost,
            truncated=arrays.truncated & ~lost,
            success_seconds=np.where(lost, np.float32(np.nan), arrays.success_seconds),
            final_obs=arrays.final_obs,
            lost=lost,
        )

    def _columns(self, worker: Worker) -> slice:
        """Where the worker's environments are in this group."""
        return slice(worker.job.start - self._first, worker.job.stop - self._first)

    def _send_seeds(self, worker: Worker) -> None:
        """Let the worker begin an episode in each environment."""
        columns = self._columns(worker)
        pairs = zip(self._seed[columns].tolist(), self._begun[columns].tolist(), strict=True)
        worker.process.call("reset", [_next_seed(seed, begun) for seed, begun in pairs])
        self._begun[columns] += 1

    def _replace(self, worker: Worker, error: WorkerError) -> None:
        """Put a new process in a failed one's place, with new episodes; try several times."""
        which = _named(worker.job.start, worker.job.stop)
        while True:
            self.last_failure = f"{which}: {error}"
            worker.process.kill()
            worker.failures += 1
            self._failed_at.append(self._agent_steps)
            one_too_many = self._one_too_many(worker, which, error)
            if one_too_many is not None:
                raise WorkerError(one_too_many) from error
            log.warning("starting %s anew: %s", which, error)
            self._restarts[self._columns(worker).start] += 1
            try:
                worker.start().result(START_TIMEOUT_S)
                self._send_seeds(worker)
                worker.process.result(self._timeout_s)
                return
            except WorkerError as another:
                error = another

    def _one_too_many(self, worker: Worker, which: str, error: WorkerError) -> str | None:
        """Say why the worker is not replaced after the failure just now; None: it is."""
        if error.final:
            return str(error)
        if not worker.works:
            return f"{which} failed at the start: {error}"
        if worker.failures == MAX_FAILURES:
            return f"{which} failed {MAX_FAILURES} times in a row, the last time: {error}"
        count, since = len(self._failed_at), self._agent_steps - self._failed_at[0]
        if count == self._failed_at.maxlen and since < PER_STEPS:
            all_of_us = _named(self._first, self._first + self.num_envs)
            return (
                f"{all_of_us} failed {count} times within {since:,} steps, the last time: {error}"
            )
        return None

    def get_state(self) -> dict[str, NDArray]:
        """Return seeds and counts: running episodes cannot be saved."""
        return {
            "seed": self._seed.copy(),
            "begun": self._begun.copy(),
            "worker_restarts": self._restarts.copy(),
        }

    def set_state(self, state: dict[str, NDArray]) -> None:
        """Begin anew, with seeds of which `state` knows that they are new.

        The next step takes no action: it begins the episodes, and reports all as lost.
        """
        self._seed[:] = state["seed"]
        self._begun[:] = state["begun"]
        self._restarts[:] = state["worker_restarts"]
        self._begin_anew = True
        log.warning(
            "starting new episodes in %s: running ones cannot be restored",
            _named(self._first, self._first + self.num_envs),
        )

    def close(self) -> None:
        """Nothing: the pool ends the processes."""


def _named(start: int, stop: int) -> str:
    """Name environments start..stop-1 in a message."""
    return f"environment {start}" if stop - start == 1 else f"environments {start} to {stop - 1}"


def _next_seed(seed: int, begun: int) -> int:
    """Return the seed of an environment that has begun so many times: at first its own.

    Later ones are training's if the first one is, else evaluation's.
    """
    if begun == 0:
        return seed
    drawn = int(np.random.SeedSequence([seed, begun]).generate_state(1)[0])
    return on_the_side_of(seed, drawn)
