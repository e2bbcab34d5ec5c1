"""Threads that work on parts together: nothing lost, nothing left behind."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

from envs.labsim.crew import Crew
from envs.labsim.vector_env import LabsimVectorEnv


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("pause", [0.0, 0.01])  # within the threads' patience, and when they sleep
def test_every_part_is_done_once_by_a_thread_of_its_own(size, pause):
    crew = Crew(size)
    threads = np.zeros((7, size), np.int64)
    for row in threads:

        def work(k, row=row):
            assert row[k] == 0
            row[k] = threading.get_ident()

        crew.run(work)
        assert row.all()  # `run` has waited for all of them
        time.sleep(pause)
    crew.close()
    assert (threads == threads[0]).all()
    assert len(set(threads[0].tolist())) == size
    assert threads[0, 0] == threading.get_ident()


@pytest.mark.parametrize("part", [0, 2])
def test_an_error_in_any_part_reaches_the_caller_who_can_go_on(part):
    crew = Crew(3)
    done = [0, 0, 0]

    def work(k):
        done[k] += 1
        if k == part and done[k] == 1:
            raise ZeroDivisionError(f"part {k}")

    with pytest.raises(ZeroDivisionError, match=f"part {part}"):
        crew.run(work)
    crew.run(work)
    crew.close()
    assert done == [2, 2, 2]


def test_close_ends_the_threads():
    before = threading.active_count()
    crew = Crew(3)
    crew.run(lambda k: None)
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
