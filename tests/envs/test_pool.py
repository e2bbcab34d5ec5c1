"""The pool of worker processes: Gymnasium's own vector environment is the truth; failures."""

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

from envs.pool import WorkerError, WorkerPool, worker_group
from tests.envs.pool_envs import (
    Aborts,
    Clock,
    Continuous,
    Failing,
    LeavesNote,
    NoReset,
    NowAndThen,
    Odd,
    OddLength,
    Sleeping,
    Unmade,
    Unready,
    Walk,
    running,
    wait_until,
)

pytestmark = pytest.mark.slow  # starts processes

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def pool_of():
    """Make pools that are closed in the end."""
    pools = []

    def make(make_env, num_envs, **settings):
        pools.append(WorkerPool(make_env, num_envs, **settings))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


def begun(pool, seed=0):
    """The pool's buffer of observations after a reset."""
    space = pool.single_observation_space
    obs = np.zeros((pool.num_envs, *space.shape), space.dtype)
    pool.reset_into(list(range(seed, seed + pool.num_envs)), obs)
    return obs


def workers(pool):
    return [worker for group in pool.groups for worker in group.workers]


def pids(pool):
    return [worker.process.pid for worker in workers(pool)]


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


def test_killed_and_stopped_workers_are_replaced(pool_of, caplog):
    """Five times in a row; the other environments notice nothing."""
    pool = pool_of(Clock, 5, envs_per_worker=1, timeout_s=2.0)
    obs = begun(pool)
    pool.step_into(np.ones(5, int), obs)
    for blow, number in enumerate([signal.SIGKILL, signal.SIGSTOP] * 2 + [signal.SIGKILL], 1):
        os.kill(pids(pool)[3], number)
        with caplog.at_level(logging.WARNING):
            caplog.clear()
            result = pool.step_into(np.ones(5, int), obs)
        np.testing.assert_array_equal(result.lost, [False] * 3 + [True, False])
        assert result.reward[3] == 0
        assert not (result.terminated | result.truncated).any()
        np.testing.assert_array_equal(obs[:, 0], [2 * blow] * 3 + [0, 2 * blow])
        (record,) = caplog.records
        stopped = "gave no answer within 2 s"
        why = stopped if number == signal.SIGSTOP else "ended unexpectedly (signal 9)"
        assert record.getMessage() == f"starting environment 3 anew: the process {why}"
        assert pool.worker_restarts == blow
        assert not pool.step_into(np.ones(5, int), obs).lost.any()
        assert obs[3, 0] == 1
        assert workers(pool)[3].failures == 0, "only failures in a row count"


def test_worker_that_dies_takes_its_environments_along(pool_of):
    pool = pool_of(Clock, 5, num_groups=1, envs_per_worker=3)
    obs = begun(pool)
    first = obs[:, 1].copy()
    pool.step_into(np.ones(5, int), obs)
    result = pool.step_into(np.array([1, 1, 1, 0, 1]), obs)
    lost = result.lost.tolist()
    assert lost[3]
    assert sum(lost) in (2, 3)
    assert (obs[result.lost, 0] == 0).all()
    assert (obs[result.lost, 1] != first[result.lost]).all(), "another seed than at first"
    assert pool.worker_restarts == 1


def test_ten_failures_in_a_row_end_it(pool_of, caplog):
    pool = pool_of(Failing, 1)
    obs = begun(pool)
    pool.step_into(np.ones(1, int), obs)
    for _ in range(9):
        assert pool.step_into(np.zeros(1, int), obs).lost.all()
    with pytest.raises(WorkerError) as error:
        pool.step_into(np.zeros(1, int), obs)
    text = str(error.value)
    assert text.startswith("environment 0 failed 10 times in a row, the last time: KeyError: ")
    assert "the map" in text
    assert "(pool_envs.py:" in text
    assert "\n" not in text
    assert pool.worker_restarts == 9
    assert pool.last_failure.removeprefix("environment 0: ") in text


def test_failure_before_the_first_step_ends_it_at_once(pool_of, caplog):
    pool = pool_of(Failing, 3)
    obs = begun(pool)
    with pytest.raises(WorkerError, match=r"^environment 0 failed at the start: KeyError"):
        pool.step_into(np.zeros(3, int), obs)
    with pytest.raises(WorkerError, match=r"^environment 0 failed at the start: "):
        begun(pool_of(Unready, 3))
    assert caplog.records == []


def test_last_words_of_a_process_are_passed_on(pool_of, capfd):
    pool = pool_of(
        partial(Aborts, "first\nthe  floor\tis gone\nstack traceback:\n\tfloor.lua\n"), 1
    )
    obs = begun(pool)
    pool.step_into(np.ones(1, int), obs)
    pool.step_into(np.zeros(1, int), obs)
    why = "the process ended unexpectedly (signal 6; it said: the floor is gone)"
    assert pool.last_failure == f"environment 0: {why}"
    assert "first\nthe  floor\tis gone\nstack" in capfd.readouterr().err, "as it was said"
    pool.step_into(np.ones(1, int), obs)
    assert wait_until(lambda: workers(pool)[0].process._words._read > 0)
    os.kill(pids(pool)[0], signal.SIGKILL)
    pool.step_into(np.ones(1, int), obs)
    assert pool.last_failure.endswith("(signal 9)"), "nothing of what was said before"


@pytest.mark.parametrize(
    ("make_env", "words"),
    [
        (NoReset, "environment 0 failed at the start: RuntimeError: no map (pool_envs.py:"),
        (Sleeping, "environment 0 failed at the start: the process gave no answer within 0.5 s"),
        (partial(Odd, "obs:none", True), "environment 0 (Odd), step 0: reset returned None as obs"),
        (partial(OddLength, -5), "step 0: episode_steps is -5; it must be a whole number"),
        (partial(OddLength, "many"), "step 0: episode_steps is 'many'; it must be a whole number"),
    ],
)
def test_a_first_reset_that_fails_is_not_tried_again(make_env, words, pool_of):
    pool = pool_of(make_env, 1, stagger=True, timeout_s=0.5)
    with pytest.raises(WorkerError) as error:
        begun(pool)
    assert words in str(error.value)
    assert pool.worker_restarts == 0


def test_an_environment_that_contradicts_its_space_is_not_tried_again(pool_of):
    pool = pool_of(partial(Odd, "obs:floats"), 2, num_groups=1, envs_per_worker=2)
    obs = begun(pool)
    for _ in range(2):
        pool.step_into(np.ones(2, int), obs)
    with pytest.raises(WorkerError, match=r"^environment 0 \(Odd\), step 3: step returned an obs"):
        pool.step_into(np.ones(2, int), obs)
    assert (obs == 1).all()


def test_rewards_that_are_not_finite_are_failures_that_are_named(pool_of, caplog):
    pool = pool_of(partial(Odd, "reward:nan"), 1)
    obs = begun(pool)
    for step in range(1, 4):
        result = pool.step_into(np.ones(1, int), obs)
        assert result.lost[0] == (step == 3)
    assert np.isfinite(result.reward).all()
    assert "environment 0 (Odd), step 3: the reward that step returned is nan." in caplog.text


def test_failures_with_steps_in_between_are_bounded_too(pool_of, monkeypatch):
    monkeypatch.setattr(worker_group, "MAX_FAILURES_IN_ALL", 3)
    pool = pool_of(NowAndThen, 1)
    obs = begun(pool)
    for _ in range(3 * 4 - 1):
        pool.step_into(np.ones(1, int), obs)
    with pytest.raises(WorkerError) as error:
        pool.step_into(np.ones(1, int), obs)
    assert str(error.value).startswith("environment 0 failed 3 times within 8 steps, the last time")
    assert "out of breath" in str(error.value)


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
