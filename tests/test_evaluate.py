"""The command that evaluates: the right episodes in the right environments, a film, a result."""

import dataclasses
import errno
import io
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
from agents.config import AgentConfig, NetworkConfig
from agents.episodes import Episode
from configs import RunConfig, learners, load_agent, parse_evaluation
from cpc_aux.config import AuxConfig
from envs import EnvConfig
from records.progress import EpisodeCount
from records.video import picture
from tests.agents.test_evaluation import make_agent
from tests.envs.dmlab.conftest import STAND_IN
from tests.known_answer_envs import CueMemory, RandomEnds
from tests.test_train_agent import FOLDER, train

CPU = torch.device("cpu")


EPISODE = Episode(10.0, 13, [3.0, 1.0, 2.0])


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
    assert seeds == [(2**30, False), (2**30 + 100_000, False), (2**30, True)]
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
    with pytest.raises(ValueError, match=r"env\.num_envs is 100001"):  # seed=1 has the next seeds
        environments("num_envs=100001", "episodes=100001")


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


@pytest.mark.parametrize("setting", ["video=taken.mp4", "json=taken.mp4"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_cannot_be_replaced_is_refused_before_playing(
    setting, make, monkeypatch, tmp_path, capsys, no_figures
):
    monkeypatch.chdir(tmp_path)
    for module in (learners, command):
        monkeypatch.setattr(module, "make_vec_env", lambda config, n, **kw: RandomImages(n))
    monkeypatch.setattr(command, "evaluate", lambda *_: pytest.fail("played"))
    assert train("agent.network.encoder=shallow", "total_frames=60") == 0
    make("taken.mp4")
    capsys.readouterr()
    assert command.main([str(FOLDER / "none/seed_1"), "episodes=2", setting]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "taken.mp4" in error
    assert "it must be a" in error


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
