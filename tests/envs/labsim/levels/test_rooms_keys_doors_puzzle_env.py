import numpy as np
import pytest

from envs.labsim.single_env import LabsimEnv
from envs.labsim.vector_env import LabsimVectorEnv
from tests.envs.labsim.levels.keys_doors_game import FIRE, GOAL, SEED, WHITE_KEY, Game


def play(env, state=None, steps=60, seed=1):
    """Rewards, ends and images of some random steps near the end of an episode."""
    obs = np.zeros((env.num_envs, 72, 96, 3), np.uint8)
    if state is not None:
        env.set_state(state)
    generator = np.random.default_rng(seed)
    seen = []
    for _ in range(steps):
        result = env.step_into(generator.integers(0, 9, env.num_envs), obs)
        seen.append((result.reward, result.truncated, obs.copy()))
    return seen


def same(one, other):
    return all(
        (a == b).all()
        for left, right in zip(one, other, strict=True)
        for a, b in zip(left, right, strict=True)
    )


def test_a_state_goes_on_bit_for_bit_also_across_episode_ends():
    env = LabsimVectorEnv("rooms_keys_doors_puzzle", 3, num_threads=2)
    env.reset(seed=5)
    play(env, steps=880)
    state = env.get_state()
    expected = play(env)
    assert any(truncated.any() for _, truncated, _ in expected)
    other = LabsimVectorEnv("rooms_keys_doors_puzzle", 3)
    other.reset(seed=99)
    assert same(play(other, state), expected)
    assert not same(play(other, seed=2), expected)


def test_the_number_of_threads_does_not_matter():
    runs = []
    for num_threads in (1, 2, 5):
        env = LabsimVectorEnv("rooms_keys_doors_puzzle", 5, num_threads=num_threads, stagger=True)
        env.reset(seed=3)
        runs.append(play(env, steps=100))
        env.close()
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])


def test_a_placed_player_keeps_the_puzzle():
    env = LabsimVectorEnv("rooms_keys_doors_puzzle", 1)
    env.reset(seed=SEED)
    _, info = env.reset(options={"pose": (850.0, 350.0, 90.0), "velocity": (100.0, 0.0)})
    assert info["pose"][0].tolist() == [850.0, 350.0, 25.125, 0.0, 90.0]
    assert env.level.target(0).tolist() == list(GOAL)
    with pytest.raises(ValueError, match="walls"):
        env.reset(options={"pose": (950.0, 250.0, 0.0)})


def test_the_goal_terminates_and_does_not_truncate():
    batch, one = LabsimVectorEnv("rooms_keys_doors_puzzle", 1), LabsimEnv("rooms_keys_doors_puzzle")
    for env, action in ((batch, np.array([FIRE])), (one, FIRE)):
        env.reset(seed=SEED, options={"pose": (*GOAL, 0.0)})
        rewards = 0.0
        for _ in range(5):
            _, reward, terminated, truncated, _ = env.step(action)
            rewards += np.sum(reward)
            assert not truncated
            if terminated:
                break
        assert terminated
        assert rewards == 50
        env.close()


def test_who_is_placed_is_not_paid_for_what_he_touched_before():
    game = Game().put(*WHITE_KEY)
    game.step(frames=1)
    assert game.level.games["unpaid"][0] == 1
    game.put(850.0, 350.0).level.restart_clock(0)
    assert game.step()[0] == 0
