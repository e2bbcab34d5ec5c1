"""Threads that step and draw parts of a arrays together: nothing lost, nothing left behind."""

import gc
import threading
import time
import weakref
from typing import NamedTuple

import numba
import numpy as np
import pytest

from envs.labsim import thread_team
from envs.labsim.env_arrays import EnvArrays, step_and_draw
from envs.labsim.level import advance, advances
from envs.labsim.levels import LEVELS
from envs.labsim.thread_team import ThreadTeam
from envs.labsim.vector_env import RAW_ACTIONS, LabsimVectorEnv
from envs.labsim.world import StepOut

LEVEL, NUM_ENVS, IMAGE = "seekavoid_arena_01", 7, (24, 32, 3)
TURN = (20, 0, 1, 0)  # raw actions: look, strafe, move, fire


def new_arrays() -> EnvArrays:
    """Environments with the seeds 0, 1, 2 and so on, in which all players turn as they walk."""
    level = LEVELS[LEVEL](NUM_ENVS)
    for i in range(NUM_ENVS):
        level.seed(i, i)
        level.begin(i)
    arrays = EnvArrays.of(level)
    arrays.actions[:] = TURN
    return arrays


def new_images() -> np.ndarray:
    return np.zeros((NUM_ENVS, *IMAGE), np.uint8)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("pause", [0.0, 0.01])  # within the threads' patience, and when they sleep
def test_every_environment_is_stepped_and_drawn_once_per_order(size, pause):
    arrays, expected = new_arrays(), new_arrays()
    images, expected_images = new_images(), new_images()
    team = ThreadTeam(arrays, size, IMAGE)
    for step in range(1, 8):
        team.run(4, images)
        step_and_draw(expected, 4, expected_images, 0, NUM_ENVS)
        assert (arrays.players["frame"] == 4 * step).all()  # `run` has waited for all of them
        assert (arrays.players == expected.players).all()
        assert (images == expected_images).all()
        assert (arrays.camera == expected.camera).all()
        assert (arrays.engine_ms == expected.engine_ms).all()
        for ours, theirs in zip(arrays.out, expected.out, strict=True):
            np.testing.assert_array_equal(ours, theirs)
        time.sleep(pause)
    team.close()


@pytest.mark.parametrize("size", [1, 3])
def test_an_order_without_frames_only_draws(size):
    arrays, images = new_arrays(), new_images()
    team = ThreadTeam(arrays, size, IMAGE)
    team.run(4, images)
    before, seen = arrays.players.copy(), images.copy()
    arrays.out.reward[:] = 3.0  # what is there now stays
    other = new_images()  # somewhere else in memory
    team.run(0, other)
    team.close()
    assert (arrays.players == before).all()
    assert (arrays.out.reward == 3.0).all()
    assert (other == seen).all()


@pytest.mark.parametrize("name", ["step_and_draw", "_carry_out_orders"])  # this thread; the others
def test_an_error_in_any_thread_reaches_the_caller_who_can_go_on(name, monkeypatch):
    arrays, images = new_arrays(), new_images()
    team = ThreadTeam(arrays, 3, IMAGE)

    def fail(*args):
        raise ZeroDivisionError(name)

    with monkeypatch.context() as patch:
        patch.setattr(thread_team, name, fail)
        with pytest.raises(ZeroDivisionError, match=name):
            team.run(4, images)
    frames = arrays.players["frame"].copy()
    team.run(4, images)
    team.close()
    assert (arrays.players["frame"] == frames + 4).all()


@pytest.mark.parametrize("size", [1, 2])
def test_images_of_another_form_are_refused(size):
    arrays, read_only = new_arrays(), new_images()
    read_only.flags.writeable = False
    team = ThreadTeam(arrays, size, IMAGE)
    for images, problem in (
        (np.repeat(new_images(), 2, axis=0)[::2], r"non-contiguous uint8 \(7, 24, 32, 3\)"),
        (np.broadcast_to(new_images()[:1], (NUM_ENVS, *IMAGE)), "non-contiguous uint8"),
        (read_only, r"read-only uint8 \(7, 24, 32, 3\)"),
        (np.repeat(new_images(), 2, axis=0), r"uint8 \(14, 24, 32, 3\)"),
        (new_images().astype(np.float32), r"float32 \(7, 24, 32, 3\)"),
    ):
        with pytest.raises(ValueError, match=f"obs is {problem}.*; needed is contiguous"):
            team.run(4, images)
    team.close()
    assert (arrays.players["frame"] == 0).all()


def test_an_interrupt_as_an_order_is_given_leaves_none_half_done(monkeypatch):
    arrays, images = new_arrays(), new_images()
    team = ThreadTeam(arrays, 2, IMAGE)
    time.sleep(0.01)  # the other thread sleeps

    def interrupt():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(team._wake, "notify_all", interrupt)
        with pytest.raises(KeyboardInterrupt):
            team.run(4, images)
    assert (arrays.players["frame"] == 0).all()
    team.run(4, images)
    team.close()
    assert (arrays.players["frame"] == 4).all()


def test_after_close_the_calling_thread_steps_all_alone():
    arrays = new_arrays()
    team = ThreadTeam(arrays, 3, IMAGE)
    team.close()
    team.run(4, new_images())
    assert (arrays.players["frame"] == 4).all()


@pytest.mark.parametrize("level", LEVELS)
def test_a_batch_follows_the_rules_of_its_level(level):
    alone, level = (LEVELS[level](3) for _ in range(2))
    for one in (alone, level):
        for i in range(3):
            one.seed(i, 10 + i)
            one.begin(i)
    arrays, out, images = EnvArrays.of(level), StepOut.allocate(3), np.zeros((3, *IMAGE), np.uint8)
    actions = np.random.default_rng(0).integers(9, size=(60, 3))
    for raw in RAW_ACTIONS[actions]:
        arrays.actions[:] = raw
        step_and_draw(arrays, 4, images, 0, 3)
        alone.step(raw, out, 0, 3)
        for ours, theirs in zip(arrays.out, out, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert (arrays.players["frame"] == 240).all()
    expected = alone.state()
    for name, array in level.state().items():
        np.testing.assert_array_equal(array, expected[name])


class Rules(NamedTuple):
    players: np.ndarray


class OtherRules(NamedTuple):
    players: np.ndarray


def level_that_adds(number, name):
    @numba.njit
    def kernel(rules, actions, out, start, stop, num_frames):
        rules.players[start:stop] += number * num_frames

    level = type(name, (), {})
    advances(level, kernel)
    return level


@numba.njit
def run(marker, rules, num_frames):
    advance(marker, rules, None, None, 0, 2, num_frames)


def test_levels_whose_rules_have_the_same_types_are_told_apart():
    ten, hundred = level_that_adds(10, "Ten"), level_that_adds(100, "Hundred")
    rules, others = Rules(np.zeros(3)), OtherRules(np.zeros(3))
    for _ in range(2):
        run(ten.marker, rules, 4)
        run(hundred.marker, others, 4)
    assert rules.players.tolist() == [80.0, 80.0, 0.0]
    assert others.players.tolist() == [800.0, 800.0, 0.0]
    hundred.kernel(rules, None, None, 2, 3, 1)
    assert rules.players.tolist() == [80.0, 80.0, 100.0]
    assert len({level.marker.dtype for level in LEVELS.values()}) == len(LEVELS)


def test_close_ends_the_threads():
    before = set(threading.enumerate())
    team = ThreadTeam(new_arrays(), 3, IMAGE)
    team.run(4, new_images())
    own = set(threading.enumerate()) - before
    assert len(own) == 2
    team.close()
    team.close()  # a second time does no harm
    assert not any(thread.is_alive() for thread in own)


@pytest.mark.parametrize("fails", [False, True])
def test_environments_that_nobody_uses_any_more_end_their_threads(fails, monkeypatch):
    before = set(threading.enumerate())
    envs = LabsimVectorEnv("seekavoid_arena_01", 3, num_threads=3)
    envs.reset(seed=0)
    if fails:
        time.sleep(0.01)  # the other threads sleep
        with monkeypatch.context() as patch:
            patch.setattr(thread_team, "_carry_out_orders", None)
            with pytest.raises(TypeError, match="not callable"):
                envs.step(np.zeros(3, np.int64))
    seen = weakref.ref(envs)
    del envs
    gc.collect()
    assert seen() is None
    assert set(threading.enumerate()) <= before  # other tests' threads may end meanwhile
