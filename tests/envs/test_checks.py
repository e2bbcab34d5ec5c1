"""What environments return, checked: what passes, and the sentence for what does not."""

import gymnasium
import numpy as np
import pytest

from envs.pool.checks import CheckedEnv, MismatchError, NotFiniteError, check_inside, fitting
from tests.envs.pool_envs import Odd

PICTURE = "space is of shape (5, 7, 3) and uint8."


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("obs:shape", MismatchError, f"of shape (5, 7, 1) and uint8, but its {PICTURE}"),
        ("obs:scalar", MismatchError, f"an observation of shape () and int64, but its {PICTURE}"),
        ("obs:none", MismatchError, f"step returned None as observation, but its {PICTURE}"),
        ("obs:floats", MismatchError, f"of shape (5, 7, 3) and float64, but its {PICTURE}"),
        ("obs:too large", MismatchError, f"of shape (5, 7, 3) and int64, but its {PICTURE}"),
        ("obs:ragged", MismatchError, f"step returned a list as observation, but its {PICTURE}"),
        ("reward:text", MismatchError, "step returned a str as reward, not a number."),
        ("reward:two", MismatchError, "step returned an array of shape (2,) as reward"),
        ("reward:nan", NotFiniteError, "the reward that step returned is nan."),
        ("reward:huge", NotFiniteError, "the reward that step returned is 1e+39."),
        ("reward:inf", NotFiniteError, "the reward that step returned is inf."),
        ("terminated:word", MismatchError, "step returned a str as terminated, not true or false."),
        ("info:list", MismatchError, "step returned 5 values, not (observation, reward, "),
        ("old", MismatchError, "step returned 4 values, not (observation, reward, terminated, "),
    ],
)  # fmt: skip
def test_what_step_returns_wrongly_is_named(fault, kind, words):
    env = CheckedEnv(Odd(fault))
    env.reset(seed=1)
    for _ in range(2):
        env.step(0)
    with pytest.raises(kind) as error:
        env.step(0)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("obs:shape", "reset returned an observation of shape (5, 7, 1)"),
        ("obs:none", "reset returned None as observation, but its space is"),
        ("old", "reset returned an array of shape (5, 7, 3), not (observation, info)."),
        ("info:list", "reset returned 2 values, not (observation, info)."),
    ],
)
def test_what_reset_returns_wrongly_is_named(fault, words):
    with pytest.raises(MismatchError) as error:
        CheckedEnv(Odd(fault, at_reset=True)).reset(seed=1)
    assert words in str(error.value)


def box(dtype, low=0, high=255):
    return gymnasium.spaces.Box(low, high, (3,), dtype)


@pytest.mark.parametrize(
    ("obs", "space"),
    [
        (np.array([1.0, 2.0, 3.0]), box(np.float32)),
        ([1, 2, 3], box(np.float32)),
        (np.array([0, 2, 255]), box(np.uint8)),
        (np.array([True, False, True]), box(np.uint8)),
    ],
)
def test_other_types_that_hold_the_same_numbers_pass(obs, space):
    fitted = fitting(obs, space, "step")
    assert fitted.dtype == space.dtype
    np.testing.assert_array_equal(fitted, obs)


@pytest.mark.parametrize(
    ("obs", "dtype"),
    [(np.array([0, 2, 300], np.uint16), np.uint8), (np.array([0, -130, 1], np.int64), np.int8)],
)
def test_whole_numbers_that_a_smaller_type_would_change_are_named(obs, dtype):
    limits = np.iinfo(dtype)
    with pytest.raises(MismatchError, match=f"shape .3,. and {obs.dtype}, but its space is"):
        fitting(obs, box(dtype, limits.min, limits.max), "step")
    fitting(obs // 3, box(dtype, limits.min, limits.max), "step")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_observations_that_are_not_finite_as_float32_are_named(value):
    obs = np.array([0.0, value, 0.0])
    with pytest.raises(NotFiniteError) as error:
        fitting(obs, box(np.float32), "step")
    assert str(error.value) == f"the observation that step returned contains {value}."


def test_entries_of_a_dict_are_checked():
    space = gymnasium.spaces.Dict(a=box(np.uint8), b=gymnasium.spaces.Discrete(2))
    good = {"a": np.zeros(3, np.uint8), "b": 1}
    assert fitting(good, space, "step").keys() == good.keys()
    for bad in (good | {"a": np.zeros(5, np.uint8)}, {"a": good["a"]}, None):
        with pytest.raises(MismatchError):
            fitting(bad, space, "step")


def test_rewards_and_ends_in_arrays_of_one_are_taken_out():
    class InArrays(Odd):
        def step(self, action):
            obs, reward, terminated, truncated, info = super().step(action)
            return obs, np.array([reward]), np.array([terminated]), np.bool_(truncated), info

    env = CheckedEnv(InArrays())
    env.reset(seed=1)
    _, *rest, _ = env.step(0)
    assert rest == [1.0, False, False]
    assert [type(x) for x in rest] == [float, bool, bool]


def test_the_core_is_checked_inside_all_wrappers():
    """TimeLimit would take the old interface's four values apart first."""
    env = check_inside(
        gymnasium.wrappers.TimeLimit(gymnasium.wrappers.OrderEnforcing(Odd("old")), 7)
    )
    assert isinstance(env, gymnasium.wrappers.TimeLimit)
    env.reset(seed=1)
    env.step(0)
    env.step(0)
    with pytest.raises(MismatchError, match="step returned 4 values"):
        env.step(0)
    assert isinstance(check_inside(Odd()), CheckedEnv)
