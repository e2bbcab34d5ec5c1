import threading
import time

import pytest

from envs.labsim.maps import MapMaker, lab_seed


@pytest.mark.parametrize(
    ("reset_seed", "script_seed"),
    [(7001, 2098538016), (7003, 1414188128), (1000, 306459877), (20000, 1554099184)],
)
def test_script_seeds_are_deepmind_labs(reset_seed, script_seed):
    assert lab_seed(reset_seed) == script_seed


class Factory:
    """Makes maps that name their seed and remembers which thread made them."""

    def __init__(self):
        self.calls = []
        self.go = threading.Event()
        self.go.set()

    def make(self, seed):
        assert self.go.wait(5.0)
        self.calls.append((seed, threading.current_thread()))
        return {"seed": seed}


def wait_until(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("nothing happened for 5 seconds")


def test_an_expected_map_is_made_once_and_by_another_thread():
    factory = Factory()
    maker = MapMaker(factory.make, 3)
    maker.expect(1, 55)
    wait_until(lambda: factory.calls)
    assert maker.take(1, 55) == {"seed": 55}
    ((seed, thread),) = factory.calls
    assert seed == 55
    assert thread is not threading.current_thread()


def test_a_map_that_was_not_expected_is_made_at_once():
    factory = Factory()
    maker = MapMaker(factory.make, 3)
    assert maker.take(2, 7) == {"seed": 7}
    assert factory.calls == [(7, threading.current_thread())]


def test_a_map_of_another_seed_is_not_used():
    factory = Factory()
    maker = MapMaker(factory.make, 2)
    maker.expect(0, 1)
    maker.expect(1, 2)
    assert maker.take(0, 3) == {"seed": 3}
    assert maker.take(0, 1) == {"seed": 1}
    maker.expect(1, 4)
    assert maker.take(1, 4) == {"seed": 4}


def test_who_needs_a_map_does_not_wait_for_those_before_it():
    factory = Factory()
    factory.go.clear()
    maker = MapMaker(factory.make, 2)
    maker.expect(0, 1)  # keeps the thread busy
    maker.expect(1, 2)
    threading.Timer(0.2, factory.go.set).start()
    assert maker.take(1, 2) == {"seed": 2}
    assert (2, threading.current_thread()) in factory.calls
    assert maker.take(0, 1) == {"seed": 1}
    assert sorted(seed for seed, _ in factory.calls) == [1, 2]


def test_errors_reach_whoever_takes_the_map():
    def fail(seed):
        raise RuntimeError(f"no map {seed}")

    maker = MapMaker(fail, 1)
    maker.expect(0, 3)
    with pytest.raises(RuntimeError, match="no map 3"):
        maker.take(0, 3)


def test_the_thread_ends_with_its_maker():
    before = set(threading.enumerate())
    makers = [MapMaker(lambda seed: seed, 1) for _ in range(5)]
    for seed, maker in enumerate(makers):
        maker.expect(0, seed)
        assert maker.take(0, seed) == seed
        maker.expect(0, seed)
    del makers, maker
    wait_until(lambda: set(threading.enumerate()) <= before)
