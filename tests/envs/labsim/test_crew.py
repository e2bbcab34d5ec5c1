"""Threads that step and draw parts of a batch together: nothing lost, nothing left behind."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

from envs.labsim import crew as crew_module
from envs.labsim.batch import Batch, step_and_draw
from envs.labsim.crew import Crew
from envs.labsim.levels import LEVELS
from envs.labsim.vector_env import LabsimVectorEnv

LEVEL, NUM_ENVS, IMAGE = "seekavoid_arena_01", 7, (24, 32, 3)
TURN = (20, 0, 1, 0)  # raw actions: look, strafe, move, fire


def new_batch() -> Batch:
    """Environments with the seeds 0, 1, 2 and so on, in which all players turn as they walk."""
    level = LEVELS[LEVEL](NUM_ENVS)
    for i in range(NUM_ENVS):
        level.seed(i, i)
        level.begin(i)
    batch = Batch.of(level)
    batch.actions[:] = TURN
    return batch


def new_images() -> np.ndarray:
    return np.zeros((NUM_ENVS, *IMAGE), np.uint8)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("pause", [0.0, 0.01])  # within the threads' patience, and when they sleep
def test_every_environment_is_stepped_and_drawn_once_per_order(size, pause):
    batch, expected = new_batch(), new_batch()
    images, expected_images = new_images(), new_images()
    crew = Crew(batch, size, IMAGE)
    for step in range(1, 8):
        crew.run(4, images)
        step_and_draw(expected, 4, expected_images, 0, NUM_ENVS)
        assert (batch.players["frame"] == 4 * step).all()  # `run` has waited for all of them
        assert (batch.players == expected.players).all()
        assert (images == expected_images).all()
        time.sleep(pause)
    crew.close()


@pytest.mark.parametrize("size", [1, 3])
def test_an_order_without_frames_only_draws(size):
    batch, images = new_batch(), new_images()
    crew = Crew(batch, size, IMAGE)
    crew.run(4, images)
    before, seen = batch.players.copy(), images.copy()
    batch.out.reward[:] = 3.0  # what is there now stays
    other = new_images()  # somewhere else in memory
    crew.run(0, other)
    crew.close()
    assert (batch.players == before).all()
    assert (batch.out.reward == 3.0).all()
    assert (other == seen).all()


@pytest.mark.parametrize("name", ["step_and_draw", "_carry_out_orders"])  # this thread; the others
def test_an_error_in_any_thread_reaches_the_caller_who_can_go_on(name, monkeypatch):
    batch, images = new_batch(), new_images()
    crew = Crew(batch, 3, IMAGE)

    def fail(*args):
        raise ZeroDivisionError(name)

    with monkeypatch.context() as patch:
        patch.setattr(crew_module, name, fail)
        with pytest.raises(ZeroDivisionError, match=name):
            crew.run(4, images)
    frames = batch.players["frame"].copy()
    crew.run(4, images)
    crew.close()
    assert (batch.players["frame"] == frames + 4).all()


@pytest.mark.parametrize("size", [1, 2])
def test_images_of_another_form_are_refused(size):
    crew = Crew(new_batch(), size, IMAGE)
    for images, problem in (
        (np.repeat(new_images(), 2, axis=0)[::2], r"uint8 \(7, 24, 32, 3\), not contiguous"),
        (np.repeat(new_images(), 2, axis=0), r"uint8 \(14, 24, 32, 3\)"),
        (new_images().astype(np.float32), r"float32 \(7, 24, 32, 3\)"),
    ):
        with pytest.raises(ValueError, match=f"obs is {problem}; needed is uint8"):
            crew.run(4, images)
    crew.close()


def test_close_ends_the_threads():
    before = threading.active_count()
    crew = Crew(new_batch(), 3, IMAGE)
    crew.run(4, new_images())
    assert threading.active_count() == before + 2
    crew.close()
    crew.close()  # a second time does no harm
    assert threading.active_count() == before


def test_environments_that_nobody_uses_any_more_end_their_threads():
    before = set(threading.enumerate())
    envs = LabsimVectorEnv("seekavoid_arena_01", 3, num_threads=3)
    envs.reset(seed=0)
    seen = weakref.ref(envs)
    del envs
    gc.collect()
    assert seen() is None
    assert set(threading.enumerate()) <= before  # other tests' threads may end meanwhile
