"""Playing with a trained agent: fair shares, the same memory as in training, intervals."""

import itertools

import numpy as np
import pytest
import torch

from agents import evaluation
from agents.actor import Actor, collect
from agents.config import NetworkConfig
from agents.episodes import Episode, EpisodeTracker
from agents.evaluation import EpisodesLostError, describe, evaluate, mean_with_interval
from agents.networks import Agent
from agents.passes import PlainPass
from agents.rollout import Rollout
from episode_seeds import FIRST_EVALUATION_SEED
from tests.known_answer_envs import CueMemory, RandomEnds


def make_agent(env):
    torch.manual_seed(0)
    size = NetworkConfig("mlp", 11)
    return Agent(env.single_observation_space, int(env.single_action_space.n), size)


class Unequal(RandomEnds):
    """Episodes of environment i last 4 i + 1 steps."""

    def step_into(self, actions, obs):
        result = super().step_into(actions, obs)
        self.clock += 1
        ended = self.clock == 4 * np.arange(self.num_envs) + 1
        self.clock[ended] = 0
        return result._replace(terminated=ended, truncated=np.zeros_like(ended))


def test_short_episodes_are_not_favoured():
    env = Unequal(2)
    lengths = [episode.length for episode in evaluate(make_agent(env), env, 7)]
    assert lengths == [1, 1, 1, 1, 5, 5, 5]


class NeverEnds(RandomEnds):
    """Environment 1 goes on for ever, the others do not."""

    def step_into(self, actions, obs):
        result = super().step_into(actions, obs)
        result.terminated[1] = result.truncated[1] = False
        return result


def test_an_episode_without_an_end_is_told(monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_EPISODE_STEPS", 101)
    env = NeverEnds(3)
    with pytest.raises(EpisodesLostError, match="an episode has not ended after 101 steps; the"):
        evaluate(make_agent(env), env, 3)


def test_same_seed_same_episodes_and_greedy_differs():
    def play(**settings):
        env = RandomEnds(2)
        return evaluate(make_agent(env), env, 5, **settings)

    assert play() == play()
    assert play() != play(seed=FIRST_EVALUATION_SEED + 1)
    assert play() != play(greedy=True)


def test_seeds_are_those_training_never_uses():
    class Spy(RandomEnds):
        def reset_into(self, seeds, obs):
            self.seeds = list(seeds)
            super().reset_into(seeds, obs)

    env = Spy(3)
    evaluate(make_agent(env), env, 3)
    assert env.seeds == [2**30, 2**30 + 1, 2**30 + 2]


def test_evaluation_acts_as_training_does():
    """Same seeds, same random numbers: the episodes that training would have seen."""
    env = RandomEnds(3)
    agent = make_agent(env)
    host = Rollout.allocate(97, 3, env.single_observation_space, 11, torch.device("cpu"))
    generator = torch.Generator().manual_seed(FIRST_EVALUATION_SEED)
    noise = [torch.empty(3, agent.num_actions).exponential_(generator=generator) for _ in range(97)]
    settings = {"discount": 0.9, "clip_rewards": False, "bootstrap_on_timeout": False}
    actor = Actor(env, agent, host, host, PlainPass(agent, host), **settings)
    actor.tracker = EpisodeTracker(3, stagger=False)
    actor.start(range(FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + 3))
    seen = collect([actor], torch.stack(noise))
    played = evaluate(agent, RandomEnds(3), episodes=15)
    assert all(episode in seen for episode in played)


def test_memory_lives_within_an_episode_and_ends_with_it():
    """A policy that answers with what the LSTM holds of the cue is always right."""
    env = CueMemory(3)
    agent = make_agent(env)
    firsts, states = [], []
    unroll = agent.unroll_core

    def spying_unroll(embedding, last_action, last_reward, is_first, state):
        firsts.append(is_first[0].clone())
        states.append(state)
        assert torch.equal(last_action[0] == -1, is_first[0])
        output, after = unroll(embedding, last_action, last_reward, is_first, state)
        states[-1] = (state, after)
        return output, after

    agent.unroll_core = spying_unroll
    evaluate(agent, env, 6)
    length = CueMemory.delay + 1
    assert [bool(first.all()) for first in firsts] == [t % length == 0 for t in range(2 * length)]
    assert all(a[1] is b[0] for a, b in itertools.pairwise(states))  # handed on


def test_interval_of_a_mean():
    values = np.random.default_rng(0).normal(3, 2, 400)
    mean, low, high = mean_with_interval(values)
    assert mean == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20  # of a normal distribution
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.02)
    assert mean_with_interval([5, 5, 5]) == (5, 5, 5)
    assert np.isnan(mean_with_interval([5.0])[1:]).all()


def test_the_interval_of_many_values_takes_little_memory(monkeypatch):
    values = np.random.default_rng(0).normal(size=211).tolist()
    whole = mean_with_interval(values)
    monkeypatch.setattr(evaluation, "NUMBERS_AT_ONCE", 1000)
    assert mean_with_interval(values) == whole


def test_description():
    episodes = [Episode(10.0, 13, [3.0, 1.0, 2.0]), Episode(0.0, 11, []), Episode(5.0, 7, [7.0])]
    of_return, first, later = describe(episodes).splitlines()
    assert of_return == "mean return 5.00, 95 % interval 0.00 to 10.00 (3 episodes)"
    assert first.startswith("mean seconds to an episode's first success 5.00, 95 % interval 3.00")
    assert later.startswith("mean seconds to each later success 1.50, 95 % interval 1.00 to 2.00")
    assert describe(episodes[1:2]) == "mean return 0.00 (1 episode)"


def test_evaluation_uses_the_cores_that_it_is_given(monkeypatch):
    used = []
    env = RandomEnds(3)
    agent = make_agent(env)
    monkeypatch.setattr(env, "observe", lambda obs: used.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    evaluate(agent, env, 3)
    assert set(used) == {1}
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
