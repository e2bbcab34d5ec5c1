"""The learner learns what small tasks have to teach: known answers, and SB3's."""

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import A2C

from agents.config import NetworkConfig
from tests.agents.small_learner import make_learner
from tests.known_answer_envs import CueMemory, Endless, KnownAnswerEnv, Result

pytestmark = pytest.mark.slow  # trains


class ForgetfulCue(CueMemory):
    """The wrong variant: every observation opens an episode for the network, so no memory."""

    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
        result = super().step_into(actions, obs)
        return result._replace(terminated=np.ones(self.num_envs, bool))


@pytest.mark.parametrize(("env", "low", "high"), [(CueMemory, 0.9, 1.0), (ForgetfulCue, 0.3, 0.7)])
def test_cue_memory_needs_memory(env, low, high):
    """Chance is 0.5; with the cue remembered it is 1.0."""
    learner = make_learner(
        env, num_envs=16, unroll_length=10, learning_rate=1e-2, entropy_cost=1e-2,
        gae_lambda=0.95, network=NetworkConfig("mlp", 32),
    )  # fmt: skip
    for _ in range(150):
        learner.collect()
        learner.update()
    rewards = 0.0
    for _ in range(20):
        learner.collect()
        rewards += learner._batch.reward.sum().item()
    score = rewards / (20 * 10 * 16 / (CueMemory.delay + 1))
    assert low <= score <= high


@pytest.mark.parametrize(("bootstrap", "expected"), [(True, 10.0), (False, 3.48)])
def test_value_of_endless_reward(bootstrap, expected):
    """gamma 0.9: 1 / (1 - gamma) = 10 if a time limit bootstraps.

    Else one value for 1 to 7 steps to go, whose lambda-returns have it as their mean: 3.48.
    """
    learner = make_learner(
        Endless, num_envs=8, unroll_length=7, discount=0.9, learning_rate=2e-2,
        bootstrap_on_timeout=bootstrap, gae_lambda=0.9,
    )  # fmt: skip
    for _ in range(400):
        learner.collect()
        learner.update()
    learner.collect()
    value = learner._batch.value.mean().item()
    assert value == pytest.approx(expected, abs=0.09 * expected)


class Bandit(KnownAnswerEnv):
    """One-step episodes; action equal to the sign shown pays 1. Random play earns 0.5."""

    def observe(self, obs: np.ndarray) -> None:
        obs[:] = 0
        obs[:, 0] = 2.0 * self.goal - 1

    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
        n = self.num_envs
        reward = (actions == self.goal).astype(np.float32)
        self.goal = self.new_goal()
        self.observe(obs)
        return Result(reward, np.ones(n, bool), np.zeros(n, bool), np.full(n, np.nan, np.float32))


class BanditForGymnasium(gymnasium.Env):
    def __init__(self) -> None:
        self.bandit = Bandit(1)
        self.observation_space = self.bandit.single_observation_space
        self.action_space = self.bandit.single_action_space
        self.obs = np.zeros((1, 3), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.bandit.reset_into([0 if seed is None else seed], self.obs)
        return self.obs[0].copy(), {}

    def step(self, action):
        result = self.bandit.step_into(np.array([action]), self.obs)
        return self.obs[0].copy(), float(result.reward[0]), True, False, {}


def test_agrees_with_stable_baselines3_on_a_small_task():
    """Same task, same settings, same number of updates: both leave chance (0.5) for 0.9."""
    settings = {"learning_rate": 7e-3, "gamma": 0.9, "gae_lambda": 1.0, "n_steps": 5}
    theirs = A2C(
        "MlpPolicy", BanditForGymnasium(), **settings, ent_coef=0.01, vf_coef=0.5,
        rms_prop_eps=1e-5, max_grad_norm=0.5, seed=3, device="cpu",
    )  # fmt: skip
    theirs.learn(2500)
    env, score = Bandit(200), 0.0
    obs = np.zeros((200, 3), np.float32)
    env.reset_into([9], obs)
    for _ in range(5):
        actions, _ = theirs.predict(obs)
        score += env.step_into(actions, obs).reward.mean() / 5
    assert score > 0.9

    ours = make_learner(
        Bandit, num_envs=1, unroll_length=5, learning_rate=7e-3, discount=0.9, gae_lambda=1.0,
        entropy_cost=0.01, value_cost=0.5, rmsprop_epsilon=1e-5, max_grad_norm=0.5,
        network=NetworkConfig("mlp", 64),
    )  # fmt: skip
    for _ in range(500):
        ours.collect()
        ours.update()
    rewards = []
    for _ in range(40):
        ours.collect()
        rewards.append(ours._batch.reward.mean().item())
    assert np.mean(rewards) > 0.9
