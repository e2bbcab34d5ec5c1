"""Evaluation: the right episodes, the same memory as in training, and a film."""

import itertools

import gymnasium
import imageio.v2 as imageio
import numpy as np
import pytest
import torch

import evaluate as command
from agents.actor import Actor, collect
from agents.config import NetworkConfig
from agents.episodes import Episode, EpisodeTracker
from agents.evaluation import FIRST_SEED, evaluate, mean_with_interval
from agents.networks import Agent
from agents.passes import PlainPass
from agents.rollout import Rollout
from agents.video import picture
from configs import learners
from tests.known_answer_envs import CueMemory, RandomEnds
from tests.test_train_agent import FOLDER, train


def make_agent(env):
    torch.manual_seed(0)
    size = NetworkConfig("mlp", 11)
    return Agent(env.single_observation_space, int(env.single_action_space.n), size)


def test_every_environment_plays_its_share():
    env = RandomEnds(3)
    episodes = evaluate(make_agent(env), env, episodes=7)
    assert len(episodes) == 7
    assert all(episode.length >= 1 for episode in episodes)


def test_same_seed_same_episodes_and_greedy_differs():
    def play(**settings):
        env = RandomEnds(2)
        return evaluate(make_agent(env), env, 5, **settings)

    assert play() == play()
    assert play() != play(seed=FIRST_SEED + 1)
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
    generator = torch.Generator().manual_seed(FIRST_SEED)
    noise = [torch.empty(3, agent.num_actions).exponential_(generator=generator) for _ in range(97)]
    settings = {"discount": 0.9, "clip_rewards": False, "bootstrap_on_timeout": False}
    actor = Actor(env, agent, host, host, PlainPass(agent, host), **settings)
    actor.tracker = EpisodeTracker(3, stagger=False)
    actor.start(range(FIRST_SEED, FIRST_SEED + 3))
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


def test_description():
    episodes = [Episode(10.0, 13, [3.0, 1.0, 2.0]), Episode(0.0, 11, []), Episode(5.0, 7, [7.0])]
    of_return, first, later = command.describe(episodes).splitlines()
    assert of_return == "mean return 5.00, 95 % interval 0.00 to 10.00 (3 episodes)"
    assert first.startswith("mean seconds to an episode's first success 5.00, 95 % interval 3.00")
    assert later.startswith("mean seconds to each later success 1.50, 95 % interval 1.00 to 2.00")
    assert command.describe(episodes[1:2]) == "mean return 0.00 (1 episodes)"


class RandomImages(RandomEnds):
    """Looks like a level: images, and a picture from above."""

    def __init__(self, num_envs):
        super().__init__(num_envs)
        self.single_observation_space = gymnasium.spaces.Box(0, 255, (72, 96, 3), np.uint8)

    def observe(self, obs):
        obs[:] = (256 * self.uniform()).astype(np.uint8)[:, None, None, None]

    def get_top_down(self, i):
        return np.full((36, 48, 3), 200, np.uint8)


def test_command_evaluates_a_run_and_films_it(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    for module in (learners, command):
        monkeypatch.setattr(module, "make_vec_env", lambda config, n, **kw: RandomImages(n))
    assert train("agent.network.encoder=shallow", "total_frames=60") == 0
    capsys.readouterr()
    assert command.main([str(FOLDER / "none/seed_1"), "episodes=5", "video=film.mp4"]) == 0
    out = capsys.readouterr().out
    assert "5 episodes with sampled actions after 60 frames" in out
    assert "(5 episodes)" in out
    with imageio.get_reader("film.mp4") as reader:
        assert reader.get_data(0).shape == (288, 384, 3)


def test_picture_shows_the_observation_with_the_map_in_its_corner():
    observation = np.arange(72 * 96 * 3, dtype=np.uint32).reshape(72, 96, 3).astype(np.uint8)
    shown = picture(observation, np.full((36, 48, 3), 200, np.uint8))
    assert shown.shape == (288, 384, 3)
    assert (shown[::4, ::4][40:] == observation[40:]).all()
    assert (shown[4:99, -4 - 127 : -4] == 200).all()
    assert (shown[::4, ::4][0] == observation[0]).all()  # the margin above the map


@pytest.mark.parametrize(("channels", "shown"), [(3, [0, 1, 2]), (1, [0, 0, 0]), (4, [3, 3, 3])])
def test_pictures_of_any_number_of_channels_can_be_shown(channels, shown):
    observation = np.broadcast_to(np.arange(channels, dtype=np.uint8), (7, 11, channels))
    big = picture(observation)
    assert big.shape == (28, 44, 3)
    assert (big == shown).all()
