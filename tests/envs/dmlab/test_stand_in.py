"""The stand-in refuses what upstream's own tests (python/tests) and sources say the module does."""

import numpy as np
import pytest

LEVEL = "contributed/dmlab30/explore_goal_locations_small"
STILL = np.zeros(7, np.intc)


@pytest.fixture
def make_lab(deepmind_lab):
    """Make Labs that are closed after the test."""
    made = []

    def make(level=LEVEL, observations=("RGB_INTERLEAVED",), **keywords):
        made.append(deepmind_lab.Lab(level, list(observations), **keywords))
        return made[-1]

    yield make
    for lab in made:
        lab.close()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((LEVEL, [], ["wrongconfig"]), TypeError),
        ((LEVEL, [], {"wrongtype": 3}), TypeError),
        ((LEVEL, [], None), TypeError),
        ((LEVEL, None, {}), TypeError),
        ((LEVEL, ("RGB",), {}), TypeError),
        ((LEVEL, ["nonexisting_obs"], {}), ValueError),
        ((LEVEL, [], {}, "metal"), RuntimeError),
        (("no_such_level", []), RuntimeError),
        ((LEVEL, [], {"width": "83"}), RuntimeError),
        ((LEVEL, [], {"mixerSeed": "-1"}), RuntimeError),
        ((LEVEL, [], {"minimalUI": "True"}), RuntimeError),
        ((LEVEL, [], {"unknown": "3"}), RuntimeError),
    ],
)
def test_wrong_arguments(deepmind_lab, arguments, error):
    with pytest.raises(error):
        deepmind_lab.Lab(*arguments)


def test_order_of_calls(make_lab):
    lab = make_lab("seekavoid_arena_01")
    for early in (lab.observations, lab.events, lambda: lab.step(STILL)):
        with pytest.raises(RuntimeError, match="wrong status"):
            early()
    lab.reset(seed=7)
    assert lab.step(STILL, num_steps=1199) == 0.0
    assert lab.is_running()
    lab.step(STILL, 4)
    assert (lab.is_running(), lab.num_steps()) == (False, 1203)
    for late in (lab.observations, lambda: lab.step(STILL)):
        with pytest.raises(RuntimeError, match="wrong status"):
            late()
    assert lab.events() == []
    lab.reset()
    assert (lab.close(), lab.close(), lab.is_running()) == (True, False, False)
    for after in (lab.observations, lambda: lab.step(STILL)):
        with pytest.raises(RuntimeError, match="wrong status"):
            after()


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ([0] * 7, TypeError),
        (np.zeros(7, np.int64), ValueError),
        (np.zeros(9, np.intc), ValueError),
        (np.zeros((1, 7), np.intc), ValueError),
        (np.zeros(14, np.intc)[::2], AssertionError),
        (np.full(7, 2, np.intc), AssertionError),
    ],
)
def test_wrong_actions(make_lab, action, error):
    lab = make_lab()
    lab.reset(seed=3)
    with pytest.raises(error):
        lab.step(action)


@pytest.mark.parametrize(
    ("seed", "error"),
    [("invalid", ValueError), (np.int64(3), ValueError), (-1, AssertionError)],
)
def test_wrong_seeds(make_lab, seed, error):
    with pytest.raises(error):
        make_lab().reset(seed=seed)


def test_level_cache_must_have_both_methods_and_errors_in_them_end_the_reset(make_lab):
    class NoWrite:
        def fetch(self, key, pk3_path):
            return False

    class Broken(NoWrite):
        def fetch(self, key, pk3_path):
            raise KeyError("foo")

    for cache, error in ((NoWrite(), AttributeError), (object(), AttributeError)):
        lab = make_lab(level_cache=cache)
        with pytest.raises(error):
            lab.reset(seed=3)
        lab.close()
    with pytest.raises(KeyError, match="foo"):
        make_lab(level_cache=Broken()).reset(seed=3)


def test_second_lab_in_a_process(make_lab):
    make_lab()
    with pytest.raises(AssertionError, match="crash"):
        make_lab()
