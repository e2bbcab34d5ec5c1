import copy
import pickle
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from envs.labsim.levels import LEVELS
from envs.labsim.single_env import LabsimEnv
from envs.labsim.vector_env import LabsimVectorEnv


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
    env.unwrapped._vector_env.level.players["frame"] = 7200 - 4 * 3
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
    target = env.unwrapped._vector_env.level.target(0)
    env.step(0)
    env.reset()
    assert (env.unwrapped._vector_env.level.target(0) != target).any()
    env.reset(seed=1)
    assert (env.unwrapped._vector_env.level.target(0) == target).all()


def clone_by_state(env):
    other = LabsimEnv("room_watermaze")
    other.reset(seed=99)
    other.set_state(env.get_state())
    return other


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env)), clone_by_state]
)
def test_copies_go_on_as_the_original(clone):
    env = LabsimEnv("room_watermaze", render_mode="rgb_array")
    env.reset(seed=5)
    for action in (0, 3, 6):
        env.step(action)
    env._vector_env.level.players["last_frame"] = env._vector_env.level.players["frame"] + 8
    other = clone(env)
    for _ in range(2):
        ours, theirs = env.step(6), other.step(6)
        assert (ours[0] == theirs[0]).all()
        assert (ours[4]["pose"] == theirs[4]["pose"]).all()
    assert theirs[3]
    late = clone(other)  # its next episode has begun
    with pytest.raises(ValueError, match="call reset"):
        late.step(0)
    first = env.reset()[0]
    assert (first == late.reset()[0]).all()
    assert (first == other.reset()[0]).all()


def test_batches_are_copied_too():
    envs = LabsimVectorEnv("seekavoid_arena_01", 3, num_threads=2)
    envs.reset(seed=1)
    envs.step(np.array([0, 3, 6]))
    other = pickle.loads(pickle.dumps(envs))
    for action in ([6, 6, 6], [0, 0, 0]):
        ours, theirs = envs.step(np.array(action)), other.step(np.array(action))
        assert (ours[0] == theirs[0]).all()
        assert (ours[1] == theirs[1]).all()
    assert other.num_envs == 3
    for env in (envs, other):
        env.close()


def test_a_step_needs_a_reset():
    with pytest.raises(ValueError, match="call reset"):
        LabsimEnv("room_watermaze").step(0)
    with pytest.raises(ValueError, match="call reset"):
        LabsimVectorEnv("room_watermaze", 2).step(np.zeros(2, np.int64))


def test_a_state_of_another_level_is_refused():
    env = LabsimEnv("seekavoid_arena_01")
    env.reset(seed=0)
    for state in (env.get_state(), {"player.x": 0}):
        with pytest.raises(ValueError, match="not a state"):
            LabsimEnv("room_watermaze").set_state(state)


def test_ids_know_the_length_of_episodes_and_keep_their_level():
    for name, level in LEVELS.items():
        assert gymnasium.spec(f"labsim/{name}-v0").max_episode_steps == level.episode_steps
    assert make().spec.max_episode_steps == 1800
    for build in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(ValueError, match="make labsim/seekavoid_arena_01-v0"):
            build("labsim/room_watermaze-v0", level="seekavoid_arena_01")
        with pytest.raises(ValueError, match="unknown level 'other': allowed are"):
            build("labsim/room_watermaze-v0", level="other")


def test_episodes_of_a_batch_can_be_cut():
    envs = gymnasium.make_vec("labsim/room_watermaze-v0", num_envs=2, max_episode_steps=5)
    envs.reset(seed=0, options={"pose": (0.0, 0.0, 0.0)})
    ends = [envs.step(np.zeros(2, np.int64))[3].tolist() for _ in range(10)]
    assert [step for step, ended in enumerate(ends) if all(ended)] == [4, 9]
    envs.close()
    with pytest.raises(ValueError, match="max_episode_steps is 0"):
        LabsimVectorEnv("room_watermaze", max_episode_steps=0)


def test_gymnasiums_vector_wrappers_of_observations_wrap_single_environments():
    """As docs/levels.md says."""
    envs = gymnasium.make_vec("labsim/room_watermaze-v0", num_envs=2, vectorization_mode="sync")
    envs = gymnasium.wrappers.vector.GrayscaleObservation(envs)
    obs, _ = envs.reset(seed=0)
    assert obs.shape == (2, 72, 96)
    assert envs.step(np.zeros(2, np.int64))[0].shape == (2, 72, 96)
    envs.close()
