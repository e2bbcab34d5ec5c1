"""The pool of worker processes: Gymnasium's own vector environment is the truth; how it ends."""

import logging
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from tests.envs.pool_envs import (
    Clock,
    Continuous,
    LeavesNote,
    SucceedsAtItsEnd,
    Unmade,
    Walk,
    running,
    wait_until,
)
from tests.envs.pools import begun, pids

pytestmark = pytest.mark.slow  # starts processes

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("groups", "per_worker", "processes"), [(2, 1, 5), (2, 2, 3), (1, 5, 1), (1, 3, 2)]
)
def test_equals_gymnasiums_vector_env(groups, per_worker, processes, pool_of):
    pool = pool_of(Walk, 5, num_groups=groups, envs_per_worker=per_worker)
    assert len(set(pids(pool))) == processes
    assert len(pool.groups) == groups
    obs = begun(pool, seed=40)
    truth = AsyncVectorEnv([Walk] * 5, autoreset_mode=AutoresetMode.SAME_STEP)
    expected, _ = truth.reset(seed=list(range(40, 45)))
    np.testing.assert_array_equal(obs, expected)
    ends = 0
    for action in np.random.default_rng(1).integers(0, 3, (60, 5)):
        result = pool.step_into(action, obs)
        expected, reward, terminated, truncated, info = truth.step(action + 2)
        np.testing.assert_array_equal(obs, expected)
        np.testing.assert_allclose(result.reward, reward, rtol=1e-6)
        np.testing.assert_array_equal(result.terminated, terminated)
        np.testing.assert_array_equal(result.truncated, truncated)
        for i in np.flatnonzero(terminated | truncated):
            np.testing.assert_array_equal(result.final_obs[i], info["final_obs"][i])
            ends += 1
        going_on = ~(terminated | truncated)
        told = info.get("success_seconds", np.zeros(5))
        success = np.where(info.get("_success_seconds", False), told, np.nan)
        np.testing.assert_allclose(result.success_seconds[going_on], success[going_on], rtol=1e-6)
        assert not result.lost.any()
    assert ends > 20
    truth.close()


def test_a_success_in_an_episodes_last_step_counts(pool_of):
    pool = pool_of(SucceedsAtItsEnd, 2)
    obs = begun(pool)
    for step in range(1, 8):
        result = pool.step_into(np.ones(2, int), obs)
        assert result.terminated.tolist() == [step % 3 == 0] * 2
        expected = 0.5 if step % 3 == 0 else np.nan
        np.testing.assert_array_equal(result.success_seconds, np.float32([expected] * 2))


def test_first_episodes_are_staggered_by_the_seed(pool_of):
    pool = pool_of(Clock, 7, stagger=True, envs_per_worker=4)
    obs = begun(pool)
    lengths = np.zeros(7, int)
    for step in range(1, 60):
        result = pool.step_into(np.ones(7, int), obs)
        assert not result.terminated.any()
        assert (lengths[result.truncated] == 0).all(), "only the first episode is cut"
        lengths[result.truncated] = step
        assert (obs[result.truncated, 0] == 0).all()
        assert (result.final_obs[result.truncated, 0] == step).all()
    assert lengths.min() >= 1
    assert lengths.max() <= Clock.episode_steps
    assert len(set(lengths.tolist())) > 3
    expected = [np.random.default_rng(seed).integers(1, 24) for seed in range(7)]
    np.testing.assert_array_equal(lengths, expected)


def test_what_cannot_be_made_is_refused_in_one_sentence(pool_of):
    with pytest.raises(ValueError, match=r"^install the module that nobody has$"):
        pool_of(Unmade, 3)
    with pytest.raises(ValueError, match=r"actions must be discrete, but are Box"):
        pool_of(Continuous, 1)


def test_state_begins_new_episodes_with_new_seeds_and_says_so(pool_of, caplog):
    pool = pool_of(Walk, 3)
    first = begun(pool, seed=2**30)
    obs = first.copy()
    for _ in range(4):
        pool.step_into(np.ones(3, int), obs)
    state = pool.get_state()
    followed = []
    for _ in range(2):
        other = pool_of(Walk, 3, envs_per_worker=2, num_groups=1)
        with caplog.at_level(logging.WARNING):
            other.set_state(state)
        assert "starting new episodes in environments 0 to 2: " in caplog.text
        seen = np.zeros_like(obs)
        result = other.step_into(np.ones(3, int), seen)
        assert result.lost.all()
        assert not result.reward.any()
        assert (seen != first).any(axis=(1, 2, 3)).all()
        followed.append(seen.copy())
        assert not other.step_into(np.ones(3, int), seen).lost.any()
        assert other.worker_restarts == 0
        assert (other.get_state()["begun"] == 2).all()
    np.testing.assert_array_equal(*followed)


def test_close_ends_processes_and_lets_environments_close(tmp_path, pool_of):
    pool = pool_of(partial(LeavesNote, str(tmp_path)), 3, envs_per_worker=1)
    begun(pool)
    processes = pids(pool)
    pool.close()
    assert not any(map(running, processes))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(map(str, processes))
    pool.close()  # once more does no harm


def test_close_ends_a_stopped_worker(pool_of):
    pool = pool_of(Walk, 2)
    processes = pids(pool)
    os.kill(processes[0], signal.SIGSTOP)
    pool.close()
    assert not any(map(running, processes))


OWNER = """
import sys, time
import numpy as np
from envs.pool import WorkerPool
from tests.envs.pool_envs import Walk
pool = WorkerPool(Walk, 3)
pool.reset_into([0, 1, 2], np.zeros((3, 5, 7, 3), np.uint8))
print(*[worker.process.pid for group in pool.groups for worker in group.workers], flush=True)
if sys.argv[1] == "raise":
    input()
    raise RuntimeError
time.sleep(60)
"""


def shared_files(pids):
    """What processes map or hold open in /dev/shm, where Linux has it."""
    maps = [line for pid in pids for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    held = [os.path.realpath(fd) for pid in pids for fd in Path(f"/proc/{pid}/fd").iterdir()]
    return {Path(name.split(maxsplit=5)[-1]) for name in maps + held if "/dev/shm/" in name}


@pytest.mark.parametrize("ending", ["raise", "SIGKILL", "SIGINT"])
def test_nothing_outlives_the_process_that_made_the_pool(ending):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, ending],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    ) as owner:  # fmt: skip
        processes = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(processes) == 3
        shared = shared_files([owner.pid, *processes]) if sys.platform == "linux" else set()
        if ending == "raise":
            print(file=owner.stdin, flush=True)
        else:
            owner.send_signal(getattr(signal, ending))
        owner.wait(30)
    assert wait_until(lambda: not any(map(running, processes)))
    assert not any(path.exists() for path in shared)
