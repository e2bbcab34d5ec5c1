"""Workers and environments of the pool that fail: replaced, or named in one sentence."""

import logging
import os
import signal
from functools import partial

import numpy as np
import pytest

from envs.pool import WorkerError, worker_group
from tests.envs.pool_envs import (
    Aborts,
    Clock,
    Failing,
    NoReset,
    NowAndThen,
    Odd,
    OddLength,
    Sleeping,
    Unready,
    wait_until,
)
from tests.envs.pools import begun, pids, workers

pytestmark = pytest.mark.slow  # starts processes


@pytest.mark.parametrize(("seed", "low"), [(2**30, 2**30), (2**31 - 1, 2**30), (0, 0), (7, 0)])
def test_seeds_after_a_failure_stay_training_s_or_evaluations(seed, low):
    drawn = [worker_group._next_seed(seed, begun) for begun in range(1, 60)]
    assert min(drawn) >= low
    assert max(drawn) < low + 2**30
    assert len(set(drawn)) == 59


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
