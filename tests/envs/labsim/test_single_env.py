import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import envs  # noqa: F401 - registers the environments


def make(**arguments):
    return gymnasium.make("labsim/room_watermaze-v0", **arguments)


def test_gymnasium_accepts_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(render_mode="rgb_array").unwrapped)


def test_stable_baselines3_accepts_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sb3_check_env(make().unwrapped)


def test_episode_is_truncated_after_1800_steps_and_then_needs_a_reset():
    env = make()
    env.reset(seed=2)
    env.unwrapped._batch.level.players["frame"] = 7200 - 4 * 3
    for step in (1, 2, 3):
        obs, _, terminated, truncated, info = env.step(8)
        assert not terminated
        assert truncated == (step == 3)
    with pytest.raises(ValueError, match="call reset"):
        env.step(0)
    next_obs, next_info = env.reset()
    assert (next_obs != obs).any()
    assert (next_info["pose"] != info["pose"]).any()
    assert not env.step(0)[3]


def test_render_gives_the_latest_observation():
    env = make(render_mode="rgb_array")
    obs, _ = env.reset(seed=3)
    assert (env.render() == obs).all()
    obs = env.step(4)[0]
    assert (env.render() == obs).all()
    env.close()


def test_options_place_the_player():
    env = make()
    env.reset(seed=1)
    env.step(0)
    _, info = env.reset(options={"pose": (10.0, 20.0, -30.0), "velocity": (320.0, 0.0)})
    np.testing.assert_allclose(info["pose"], (10.0, 20.0, 40.125, 0.0, -30.0), atol=0.006)
    info = env.step(0)[4]
    moved = info["pose"][:2] - (10.0, 20.0)
    # 320 units/s for 4 frames of 17 ms: the player's clock goes on.
    np.testing.assert_allclose(moved, 21.76 * np.array([3**0.5 / 2, -0.5]), atol=0.05)


def test_a_reset_in_mid_episode_begins_a_new_one():
    env = make()
    env.reset(seed=1)
    target = env.unwrapped._batch.level.target(0)
    env.step(0)
    env.reset()
    assert (env.unwrapped._batch.level.target(0) != target).any()
    env.reset(seed=1)
    assert (env.unwrapped._batch.level.target(0) == target).all()
