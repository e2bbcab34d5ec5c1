"""Our A2C without memory and SB3's are the same algorithm, and Catch is the game it says it is."""

import numpy as np
import pytest
import torch
from torch import nn

from agents.config import AgentConfig, NetworkConfig
from agents.learner import Learner
from agents.sb3.learner import SB3A2CLearner
from benchmarks.catch import COLUMNS, START, Catch
from benchmarks.sb3_comparison import agreement
from benchmarks.sb3_twin import copy_parameters, parameter_pairs, twin_settings
from envs.sb3_vec_env import SB3VecEnv
from tests.known_answer_envs import RandomEnds

T, B = 5, 3


class SameEpisodes:
    """Both learners draw their own seeds; these environments begin with the same ones."""

    def reset_into(self, seeds, obs):
        super().reset_into(range(11, 11 + len(seeds)), obs)


class SameRandomEnds(SameEpisodes, RandomEnds):
    """Ends of both kinds, so that time limits bootstrap."""


class SameCatch(SameEpisodes, Catch):
    pass


def make_pair(env, encoder, **changes):
    settings = {
        "network": NetworkConfig(encoder, 11, core="none"),
        "unroll_length": T,
        "discount": 0.97,
        "gae_lambda": 1.0,
        "learning_rate": 1e-2,
        "entropy_cost": 0.03,
        "value_cost": 0.7,
        "rmsprop_epsilon": 1e-5,
        "max_grad_norm": None,
        "clip_rewards": False,
        "bootstrap_on_timeout": True,
    }
    config = AgentConfig(**(settings | changes))
    cpu = torch.device("cpu")
    ours = Learner(config, env, B, lambda *sizes: None, 0.0, 10**15, 1, cpu)
    sb3_config, policy_kwargs = twin_settings(config, B)
    twin = SB3A2CLearner(sb3_config, env, SB3VecEnv, B, 10**15, 1, cpu, policy_kwargs=policy_kwargs)
    copy_parameters(ours.agent, twin)
    ours.start(), twin.start()
    return ours, twin


def update_both(ours, twin, monkeypatch):
    """Ours acts; the twin is made to act the same; both learn from what they saw."""
    ours.collect()
    actions = iter(ours._batch.action)
    policy = twin.model.policy
    forward = policy.forward

    def forced(obs, deterministic=False):
        _, values, _ = forward(obs)
        action = next(actions)
        return action, values, policy.get_distribution(obs).log_prob(action)

    with monkeypatch.context() as patch:
        patch.setattr(policy, "forward", forced)
        twin.collect()
    ours.update(), twin.update()


@pytest.mark.parametrize(
    ("env", "encoder", "changes"),
    [
        (SameRandomEnds, "mlp", {}),
        (SameRandomEnds, "mlp", {"gae_lambda": 0.8, "max_grad_norm": 0.9}),
        (SameRandomEnds, "mlp", {"rmsprop_epsilon": 0.1}),
        (SameCatch, "shallow", {}),
    ],
    ids=["plain", "lambda and clip", "large epsilon", "images"],
)
def test_same_rollouts_give_the_same_parameters(env, encoder, changes, monkeypatch):
    ours, twin = make_pair(env, encoder, **changes)
    before = [p.detach().clone() for p in ours.agent.parameters()]
    for _ in range(3):
        update_both(ours, twin, monkeypatch)
        for theirs, own in parameter_pairs(ours.agent, twin):
            torch.testing.assert_close(theirs, own, rtol=0, atol=1e-5)
    for old, new in zip(before, ours.agent.parameters(), strict=True):
        assert (old - new).abs().max() > 1e-3, "a step far above the tolerance"


def test_twin_refuses_what_sb3_does_not_do():
    with pytest.raises(ValueError, match="has no memory, does not clip rewards"):
        twin_settings(AgentConfig(), B)


def test_core_none_has_no_memory():
    """Nothing but the observation decides, and nothing but encoder and heads learns."""
    ours, _ = make_pair(RandomEnds, "mlp")
    agent = ours.agent
    assert {name.split(".")[0] for name, _ in agent.named_parameters()} == {
        "encoder", "policy", "value"
    }  # fmt: skip
    obs = torch.rand(T, B, RandomEnds.size)
    first, then = agent.initial_state(B), torch.full((B, 11), 9.0)
    action, reward = torch.full((T, B), -1), torch.zeros(T, B)
    starts = torch.zeros(T, B, dtype=torch.bool)
    a, state = agent.unroll(obs, action, reward, starts, first)
    b, _ = agent.unroll(obs, action + 2, reward + 1, ~starts, type(first)(then, then))
    assert torch.equal(a.logits, b.logits)
    assert torch.equal(a.value, b.value)
    assert torch.equal(a.context, a.embedding)
    assert not any(x.any() for x in state)
    assert not any(isinstance(m, nn.LSTM) for m in agent.modules())


def play(env, choose, games):
    """Mean return of `games` games in each environment."""
    obs = np.zeros((env.num_envs, *env.single_observation_space.shape), np.uint8)
    env.reset_into(range(env.num_envs), obs)
    returns = []
    for _ in range(games * 5):
        result = env.step_into(choose(obs), obs)
        assert result.terminated.all() == (result.reward != 0).all()
        returns += result.reward[result.terminated].tolist()
    assert len(returns) == games * env.num_envs
    return np.mean(returns)


def ball_and_paddle(obs):
    """Columns [B] of the brightest and of the grey cell."""
    bright = (obs[..., 0] == 255).any(1)[:, ::4]
    grey = (obs[:, -1, :, 0] == 127)[:, ::4]
    return bright.argmax(1), grey.argmax(1)


def test_every_ball_can_be_caught_and_standing_still_is_no_answer():
    def follow(obs):
        ball, paddle = ball_and_paddle(obs)
        return 1 + np.sign(ball - paddle)

    assert play(Catch(7), follow, games=11) == 1.0
    still = play(Catch(101), lambda obs: np.ones(len(obs), np.int64), games=11)
    assert still == pytest.approx(-1 + 2 / COLUMNS, abs=0.1)  # the ball falls on it in 1 of 8 games
    obs = np.zeros((7, 24, 32, 1), np.uint8)
    Catch(7).reset_into(range(7), obs)
    assert (ball_and_paddle(obs)[1] == START).all()


def test_agreement_sees_a_difference_and_its_absence():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0, 1, (2, 7, 11))
    same = agreement(ours, theirs)
    assert same.bins == 11
    assert same.overlapping >= 9
    assert same.low < 0 < same.high
    other = agreement(ours, theirs + 3)
    assert other.overlapping == 0
    assert other.low < other.difference < other.high < 0
