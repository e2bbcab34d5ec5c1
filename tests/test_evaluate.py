"""Evaluation: the right episodes, the same memory as in training, and a film."""

import dataclasses
import errno
import io
import itertools
import json
import os
import re
from pathlib import Path

import gymnasium
import imageio.v2 as imageio
import numpy as np
import pytest
import torch
from rich.console import Console

import evaluate as command
import train_agent
from agents import evaluation
from agents.actor import Actor, collect
from agents.config import AgentConfig, NetworkConfig
from agents.episodes import Episode, EpisodeTracker
from agents.evaluation import describe, evaluate, mean_with_interval
from agents.networks import Agent
from agents.passes import PlainPass
from agents.rollout import Rollout
from configs import RunConfig, learners, load_agent, parse_evaluation
from cpc_aux.config import AuxConfig
from envs import EnvConfig
from episode_seeds import FIRST_EVALUATION_SEED
from records.progress import EpisodeCount
from records.video import picture
from tests.envs.dmlab.conftest import STAND_IN
from tests.known_answer_envs import CueMemory, RandomEnds
from tests.test_train_agent import FOLDER, train

CPU = torch.device("cpu")


def make_agent(env):
    torch.manual_seed(0)
    size = NetworkConfig("mlp", 11)
    return Agent(env.single_observation_space, int(env.single_action_space.n), size)


def test_every_environment_plays_its_share():
    env = RandomEnds(3)
    episodes = evaluate(make_agent(env), env, episodes=7)
    assert len(episodes) == 7
    assert all(episode.length >= 1 for episode in episodes)


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
    lengths = [episode.length for episode in evaluate(make_agent(env), env, 6)]
    assert lengths == [1, 1, 1, 5, 5, 5]


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


EPISODE = Episode(10.0, 13, [3.0, 1.0, 2.0])


def test_description():
    episodes = [Episode(10.0, 13, [3.0, 1.0, 2.0]), Episode(0.0, 11, []), Episode(5.0, 7, [7.0])]
    of_return, first, later = describe(episodes).splitlines()
    assert of_return == "mean return 5.00, 95 % interval 0.00 to 10.00 (3 episodes)"
    assert first.startswith("mean seconds to an episode's first success 5.00, 95 % interval 3.00")
    assert later.startswith("mean seconds to each later success 1.50, 95 % interval 1.00 to 2.00")
    assert describe(episodes[1:2]) == "mean return 0.00 (1 episode)"


class RandomImages(RandomEnds):
    """Looks like a level: images, nine actions, and a picture from above."""

    num_actions = 9

    def __init__(self, num_envs):
        super().__init__(num_envs)
        self.single_observation_space = gymnasium.spaces.Box(0, 255, (72, 96, 3), np.uint8)

    def observe(self, obs):
        obs[:] = (256 * self.uniform()).astype(np.uint8)[:, None, None, None]

    def get_top_down(self, i):
        return np.full((36, 48, 3), 200, np.uint8)


def test_command_evaluates_a_run_and_films_it(monkeypatch, tmp_path, capsys, no_figures):
    monkeypatch.chdir(tmp_path)
    for module in (learners, command):
        monkeypatch.setattr(module, "make_vec_env", lambda config, n, **kw: RandomImages(n))
    assert train("agent.network.encoder=shallow", "total_frames=60") == 0
    capsys.readouterr()
    assert command.main([str(FOLDER / "none/seed_1"), "episodes=5", "video=film.mp4"]) == 0
    out = capsys.readouterr().out
    assert "uniform random policy, in the real DeepMind Lab: 0.78\n" in out
    assert "5 episodes with sampled actions after 60 frames" in out
    assert "(5 episodes)" in out
    with imageio.get_reader("film.mp4") as reader:
        assert reader.get_data(0).shape == (288, 384, 3)


def test_seeds_share_no_episode_and_greedy_is_passed_on(monkeypatch, tmp_path, no_figures):
    monkeypatch.chdir(tmp_path)
    for module in (learners, command):
        monkeypatch.setattr(module, "make_vec_env", lambda config, n, **kw: RandomEnds(n))
    assert train("total_frames=60") == 0
    seeds = []

    def evaluate(agent, env, episodes, seed, greedy, *_):
        seeds.append((seed, greedy))
        return [EPISODE] * episodes

    monkeypatch.setattr(command, "evaluate", evaluate)
    run = str(FOLDER / "none/seed_1")
    for more in ("seed=0", "seed=1", "greedy=true"):
        assert command.main([run, "episodes=7", "num_envs=3", more]) == 0
    assert seeds == [(2**30, False), (2**30 + 3, False), (2**30, True)]
    assert command.main([run, "seed=20000"]) == 2


def numbers(path):
    return json.loads(Path(path).read_text())


def test_agent_plays_in_another_world(monkeypatch, tmp_path, capsys, no_figures):
    """Trained on images, it plays another level in (a stand-in of) DeepMind Lab."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(STAND_IN)
    monkeypatch.setattr(learners, "make_vec_env", lambda config, n, **kw: RandomImages(n))
    assert train("agent.network.encoder=shallow", "total_frames=60", "env=room_watermaze") == 0
    capsys.readouterr()
    run = str(FOLDER / "none/seed_1")
    there = ["env=seekavoid_arena_01", "env.backend=dmlab", "num_envs=3", "json=real.json"]
    assert command.main([run, *there, "episodes=5"]) == 0
    out = capsys.readouterr().out
    assert "5 episodes with sampled actions after 60 frames, in dmlab/seekavoid_arena_01" in out
    assert "\n5 of 5 episodes\n" in out
    assert "mean return 0.00, 95 % interval 0.00 to 0.00 (5 episodes)" in out
    result = numbers("real.json")
    assert result["return"] == {"mean": 0, "interval": [0, 0], "count": 5}
    assert result["first_success_seconds"] == {"mean": None, "interval": [None, None], "count": 0}
    assert result["episodes"] == [{"return": 0, "steps": 300, "success_seconds": []}] * 5
    there = {"level": "seekavoid_arena_01", "backend": "dmlab", "num_envs": 3}
    assert (result["env"], result["actions"], result["seed"]) == (there, "sampled", 0)
    assert (result["frames"], result["environment_failures"]) == (60, 0)
    assert [path.name for path in tmp_path.iterdir() if "real" in path.name] == ["real.json"]

    cartpole = ["env=gymnasium", "env.id=CartPole-v1", "env.num_envs=2", "json=new.json"]
    assert command.main([run, *cartpole]) == 2
    assert "does not fit gymnasium/CartPole-v1: it was trained with" in capsys.readouterr().err
    assert not Path("new.json").exists()


def test_agent_with_another_number_of_actions_is_refused():
    network = NetworkConfig("mlp", 11)
    config = RunConfig(
        EnvConfig("room_watermaze"), AgentConfig(network=network), AuxConfig("none"), "a2c"
    )
    with pytest.raises(ValueError, match=r"agent\.encoder\.fc1\.weight .* shape \[11, 3\]"):
        load_agent(config, make_agent(CueMemory(3)).state_dict(), RandomEnds(3), CPU)


def test_environments_are_the_runs_own_but_for_what_is_asked():
    trained = EnvConfig("room_watermaze", "dmlab", 7, hud="full", lab_settings={"a": 1, "b": 2})

    def environments(*arguments):
        return parse_evaluation(arguments).environments(trained)

    assert environments() == trained
    assert environments("num_envs=11").num_envs == 11
    assert environments("num_envs=11", "episodes=5").num_envs == 5
    changed = environments("env.lab_settings.b=3", "env.level=rooms_watermaze")
    assert changed == dataclasses.replace(trained, lab_settings={"a": 1, "b": 3})
    assert environments("env.backend=labsim") == EnvConfig("room_watermaze", num_envs=7)
    moved = environments("env.backend=miniworld", "env=seekavoid_arena_01")
    assert moved == EnvConfig("seekavoid_arena_01", "miniworld", 7)
    general = environments("env=gymnasium", "env.id=CartPole-v1", "env.wrappers.frame_stack=3")
    assert (general.level, general.wrappers.frame_stack) == ("CartPole-v1", 3)
    with pytest.raises(ValueError, match=r"env\.hud needs env\.backend=dmlab"):
        environments("env.backend=labsim", "env.hud=full")


def test_environments_that_fail_in_every_episode_end_it(monkeypatch, tmp_path, capfd, no_figures):
    monkeypatch.chdir(tmp_path)
    small = ["env.num_envs=3", "agent.network.hidden_size=11", "agent.unroll_length=5"]
    settings = ["env=gymnasium", "env.id=CartPole-v1", *small, "device=cpu", "total_frames=15"]
    assert train_agent.main(settings) == 0
    run = "runs/gymnasium/CartPole-v1/a2c_laptop/none/seed_1"
    asked = ["env.id=tests.envs.pool_envs:NeverEnds-v0", "num_envs=1", "threads=1", "json=no.json"]
    assert command.main([run, *asked]) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert re.fullmatch(
        r"Stopped: environments failed 11 times while 0 episodes ended; environment 0: "
        r"RuntimeError: out of breath \(pool_envs.py:\d+\)\.",
        last,
    )
    assert not Path("no.json").exists()


def test_result_is_written_whole_or_not_at_all(monkeypatch, tmp_path, capsys, no_figures):
    monkeypatch.chdir(tmp_path)
    for module in (learners, command):
        monkeypatch.setattr(module, "make_vec_env", lambda config, n, **kw: RandomEnds(n))
    assert train("total_frames=60") == 0
    run = str(FOLDER / "none/seed_1")
    assert command.main([run, "json=result.json", "episodes=1"]) == 0
    before = Path("result.json").read_text()
    assert numbers("result.json")["return"]["interval"] == [None, None]

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    capsys.readouterr()
    assert command.main([run, "json=result.json", "episodes=3"]) == 2
    captured = capsys.readouterr()
    assert "(3 episodes)" in captured.out
    assert captured.err == "No space left on device: result.json\n"
    assert Path("result.json").read_text() == before


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


def test_count_of_episodes():
    text = io.StringIO()
    with EpisodeCount(17, Console(file=text, force_terminal=True, width=97)) as count:
        for ended in (0, 3, 3, 17):
            count.show(ended)
    assert "100%" in text.getvalue()


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
