"""What every backend promises to the learner. A backend is one line in BACKENDS."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from envs import EnvConfig, make_vec_env

pytestmark = pytest.mark.slow  # starts processes of all backends

B = 3
# backend, its configuration, the module that it needs
BACKENDS = [
    ("labsim", EnvConfig("room_watermaze"), "labmaze"),
    ("gymnasium", EnvConfig(backend="gymnasium", id="CartPole-v1"), "gymnasium"),
    ("miniworld", EnvConfig("seekavoid_arena_01", backend="miniworld"), "miniworld"),
    ("dmlab", EnvConfig("seekavoid_arena_01", backend="dmlab"), "deepmind_lab"),
]
STAND_IN = Path(__file__).parent / "dmlab" / "stand_in"  # for DeepMind Lab, where it is not built


@pytest.fixture(params=BACKENDS, ids=[name for name, *_ in BACKENDS], scope="module")
def config(request):
    _, config, module = request.param
    with pytest.MonkeyPatch.context() as patch:
        if config.backend == "dmlab" and importlib.util.find_spec(module) is None:
            patch.syspath_prepend(STAND_IN)  # workers get this process's path
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
        yield config


@pytest.fixture(scope="module")
def make(config):
    """Make batches that are closed in the end; each of some settings once, as they are slow."""
    made = {}

    def make(stagger=False, num_threads=2):
        if (stagger, num_threads) not in made:
            settings = {"num_threads": num_threads, "keep_final_obs": True}
            made[stagger, num_threads] = make_vec_env(config, B, stagger=stagger, **settings)
        return made[stagger, num_threads]

    yield make
    for env in made.values():
        env.close()


def blank(env):
    space = env.single_observation_space
    return np.zeros((env.num_envs, *space.shape), space.dtype)


def rollout(env, seeds, steps=23):
    """Observations and rewards of the same actions after a reset."""
    obs = blank(env)
    env.reset_into(seeds, obs)
    seen, rewards = [obs.copy()], []
    actions = np.random.default_rng(3).integers(0, env.single_action_space.n, (steps, B))
    for action in actions:
        rewards.append(env.step_into(action, obs).reward)
        seen.append(obs.copy())
    return np.array(seen), np.array(rewards)


def test_shapes_and_dtypes(make):
    env = make()
    assert env.num_envs == B
    obs = blank(env)
    env.reset_into(list(range(B)), obs)
    assert all(one in env.single_observation_space for one in obs)
    result = env.step_into(np.zeros(B, np.int64), obs)
    assert all(one in env.single_observation_space for one in obs)
    for array, dtype in (
        (result.reward, np.float32),
        (result.terminated, np.bool_),
        (result.truncated, np.bool_),
        (result.success_seconds, np.float32),
    ):
        assert array.shape == (B,)
        assert array.dtype == dtype
    assert result.final_obs.shape == obs.shape
    assert result.final_obs.dtype == obs.dtype
    assert result.lost is None or not result.lost.any()


def test_seeds_decide_everything_and_nothing_else_does(make):
    one, two = make(), make(num_threads=3)
    seeds = [7, 7, 2**30 + 17]
    first, rewards = rollout(one, seeds)
    for env in (one, two):  # the same batch once more, and another one
        again, rewards_again = rollout(env, seeds)
        np.testing.assert_array_equal(first, again)
        np.testing.assert_array_equal(rewards, rewards_again)
    np.testing.assert_array_equal(first[0, 0], first[0, 1])
    assert (first[0, 0] != first[0, 2]).any()


def test_an_episode_that_ends_begins_anew_in_the_same_step(make):
    """With staggered starts every environment's first episode has an end before long."""
    env = make(stagger=True)
    obs = blank(env)
    env.reset_into([0, 23, 186], obs)  # the last two cut theirs within the first 4 % of its length
    ended = np.zeros(B, bool)
    generator = np.random.default_rng(5)
    for _ in range(2000):
        result = env.step_into(generator.integers(0, env.single_action_space.n, B), obs)
        over = result.terminated | result.truncated
        for i in np.flatnonzero(over):
            assert (result.final_obs[i] != obs[i]).any()
        ended |= over
        if ended.sum() >= 2:
            break
    assert ended.sum() >= 2


def test_state_lets_another_batch_go_on(make):
    """Bit for bit, or with new episodes that are reported as such."""
    env, other = make(), make(num_threads=3)
    rollout(env, list(range(B)), steps=11)
    other.set_state(env.get_state())
    obs, obs_other = blank(env), blank(env)
    action = np.zeros(B, np.int64)
    result, result_other = env.step_into(action, obs), other.step_into(action, obs_other)
    if result_other.lost is None:
        np.testing.assert_array_equal(obs, obs_other)
        np.testing.assert_array_equal(result.reward, result_other.reward)
    else:
        assert result_other.lost.all()
        assert not result.lost.any()
    assert all(len(array) == B for array in env.get_state().values())


def test_close_can_be_repeated(make):
    env = make()
    env.close()
    env.close()
