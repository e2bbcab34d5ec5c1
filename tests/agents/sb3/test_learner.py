"""SB3's A2C behind our interface: nothing but SB3's algorithm, the right episodes, resume."""

import dataclasses
import math

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C

from agents.config import SB3A2CConfig
from agents.episodes import EpisodeTracker
from agents.sb3.agent import SB3Agent
from agents.sb3.learner import SB3A2CLearner
from envs.sb3_vec_env import SB3VecEnv
from tests.known_answer_envs import RandomEnds

pytestmark = pytest.mark.slow  # trains

T, B = 5, 3


class Recorded(RandomEnds):
    """Remembers seeds and what the steps returned."""

    def reset_into(self, seeds, obs):
        self.seeds, self.results = list(seeds), []
        super().reset_into(seeds, obs)

    def step_into(self, actions, obs):
        result = super().step_into(actions, obs)
        self.results.append(result._replace(reward=result.reward.copy()))
        return result


class Images(RandomEnds):
    """Random pictures, higher than SB3's smallest."""

    def __init__(self, num_envs):
        super().__init__(num_envs)
        self.single_observation_space = gymnasium.spaces.Box(0, 255, (41, 37, 3), np.uint8)

    def observe(self, obs):
        obs[:] = (255 * self.uniform()).astype(np.uint8)[:, None, None, None]
        obs[:, ::2, 1::3, 1] = 7


def make_learner(env=Recorded, seed=1, **config):
    settings = {"n_steps": T, "ent_coef": 0.02, **config}
    learner = SB3A2CLearner(
        SB3A2CConfig(**settings), env, SB3VecEnv, B, 10**6, seed, torch.device("cpu")
    )
    learner.start()
    return learner


def step(learner):
    episodes = learner.collect()
    learner.update()
    return episodes


@pytest.mark.parametrize("use_rms_prop", [True, False])
def test_halves_of_an_update_are_sb3s_learn(use_rms_prop):
    """Parameters, to the bit, of A2C.learn in the same episodes."""
    learner = make_learner(use_rms_prop=use_rms_prop)
    for _ in range(7):
        step(learner)
    vec_env = SB3VecEnv(RandomEnds(B))
    model = A2C("MlpPolicy", vec_env, seed=1, device="cpu", **dataclasses.asdict(learner.config))
    vec_env.seed(learner._envs.seeds[0])
    model.learn(7 * T * B)
    assert learner.frames == 4 * 7 * T * B
    expected = model.policy.state_dict()
    for name, value in learner.model.policy.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_episodes_are_those_of_the_environments():
    """Returns before SB3 adds its bootstrap values; the first, shortened ones left out."""
    learner = make_learner()
    episodes = [episode for _ in range(23) for episode in step(learner)]
    tracker = EpisodeTracker(B, stagger=True)
    expected = [episode for r in learner._envs.results for _, episode in tracker.add(r)]
    assert len(expected) > 20
    for ours, theirs in zip(episodes, expected, strict=True):
        assert ours.ret == pytest.approx(theirs.ret, abs=1e-5)
        assert ours.length == theirs.length
        assert ours.success_seconds == pytest.approx(theirs.success_seconds)
    assert any(episode.success_seconds for episode in episodes)


def test_metrics_are_means_in_our_units():
    learner = make_learner()
    seen = []
    for _ in range(3):
        step(learner)
        seen.append(dict(learner.model.logger.name_to_value))
    metrics = learner.metrics()
    assert metrics["learning_rate"] == 7e-4
    half_mse = np.mean([x["train/value_loss"] for x in seen]) / 2
    assert metrics["value_loss"] == pytest.approx(half_mse, rel=1e-5)
    assert 0 < metrics["entropy"] <= math.log(7) + 1e-6
    assert set(learner.metrics()) == {"learning_rate"}


@pytest.mark.parametrize("use_rms_prop", [True, False])
def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(use_rms_prop, tmp_path):
    whole = make_learner(use_rms_prop=use_rms_prop)
    for update in range(9):
        if update == 4:
            torch.save(whole.state_dict(), tmp_path / "state.pt")
        step(whole)
    torch.rand(3), np.random.rand(3)  # whatever else draws from the global generators
    resumed = make_learner(seed=2, use_rms_prop=use_rms_prop)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert (resumed.updates, resumed.frames) == (4, 4 * 4 * T * B)
    episodes = [episode for _ in range(5) for episode in step(resumed)]
    tracker = EpisodeTracker(B, stagger=True)
    expected = [
        (t, episode) for t, r in enumerate(whole._envs.results) for _, episode in tracker.add(r)
    ]
    assert [e.ret for e in episodes] == pytest.approx([e.ret for t, e in expected if t >= 4 * T])
    expected_parameters = whole.model.policy.state_dict()
    for name, value in resumed.model.policy.state_dict().items():
        assert torch.equal(value, expected_parameters[name]), name


def test_seeds_are_far_apart_and_below_those_of_evaluation():
    seeds = [make_learner(seed=seed)._envs.seeds for seed in range(5)]
    assert len({s for row in seeds for s in row}) == 5 * B
    assert max(max(row) for row in seeds) < 2**30
    assert make_learner(seed=3)._envs.seeds == seeds[3]


def test_loss_that_is_not_finite_stops():
    class Poisoned(RandomEnds):
        def step_into(self, actions, obs):
            return super().step_into(actions, obs)._replace(reward=np.full(B, np.nan, np.float32))

    learner = make_learner(Poisoned)
    learner.collect()
    with pytest.raises(FloatingPointError, match="update 1 at 60 frames: not finite: policy_loss"):
        learner.update()


@pytest.mark.parametrize("env", [RandomEnds, Images])
def test_evaluation_sees_the_network_that_was_trained(env):
    learner = make_learner(env)
    step(learner)
    envs = learner._envs
    agent = SB3Agent(envs.single_observation_space, envs.single_action_space)
    agent.policy.load_state_dict(learner.state_dict()["agent"])
    obs = np.zeros((B, *envs.single_observation_space.shape), envs.single_observation_space.dtype)
    envs.reset_into(range(B), obs)
    rows = torch.from_numpy(obs).unsqueeze(0)
    nothing = torch.zeros(1, B)
    with torch.no_grad():
        state = agent.initial_state(B)
        output, _ = agent.unroll_core(agent.encode(rows), nothing, nothing, nothing, state)
        theirs = rows[0].permute(0, 3, 1, 2) if env is Images else rows[0]
        distribution = learner.model.policy.get_distribution(theirs).distribution
        value = learner.model.policy.predict_values(theirs)
    torch.testing.assert_close(output.logits[0].log_softmax(-1), distribution.logits)
    torch.testing.assert_close(output.value[0], value.squeeze(-1))
