"""What is shown of an agent at play: the right ranks, and the same picture in window and file."""

import os
from pathlib import Path

import numpy as np
import pygame
import pytest
import torch
from PIL import Image

from agents.evaluation import evaluate
from cpc_aux import CPC, AuxConfig
from envs import play
from envs.labsim.vector_env import LabsimVectorEnv
from envs.watch import __main__ as command
from envs.watch.drawing import Score
from envs.watch.moment import Moment
from envs.watch.past_predictions import Hits, PastPredictions
from envs.watch.player import Player
from records.file_names import AGENT_FILE
from records.weights import Weights, find_weights, load_weights, save_weights
from tests.tiny_run import write_run

LEVEL = "seekavoid_arena_01"
E, H, A, N = 7, 5, 3, 4


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["cpc", "cpc_action"])
def test_ranks_are_those_of_a_walk_through_the_episode(name):
    torch.manual_seed(0)
    K, rows = 5, 13
    head = CPC(AuxConfig(name, horizon=K), E, H, A)
    z, c, a = torch.randn(rows, E), torch.randn(rows, H), torch.randint(A, (rows,))
    past = PastPredictions(head.predict, range(1, K + 1), N)
    with torch.no_grad():
        for _ in range(2):  # the second episode knows nothing of the first
            past.begin()
            for now in range(rows):
                hits = past.see(z[now], c[now])
                past.act(int(a[now]))
                for k in range(1, K + 1):
                    if k > now or now + 1 < N:
                        assert hits.rank[k - 1] == 0
                        continue
                    then = torch.tensor([now - k])
                    expected = head.predict(c[:, None], a[:, None], then)[k - 1, 0, 0]
                    scores = [float(expected @ z[now - age]) for age in range(N)]
                    better = sum(score > scores[0] for score in scores)
                    assert hits.rank[k - 1] == 1 + better
                    assert hits.picked[k - 1] == int(np.argmax(scores))


def test_a_player_plays_as_evaluation_does_and_shows_each_step():
    player = Player(write_run(f"env={LEVEL}", "aux=cpc"), seed=3)
    player.begin()
    moments = [player.step() for _ in range(7)]
    seen = []

    def watch(obs):
        if len(seen) == 7:
            raise InterruptedError
        seen.append(obs.copy())

    with pytest.raises(InterruptedError):
        evaluate(player.agent, LabsimVectorEnv(LEVEL, 1), 1, 2**30 + 3, watch=watch)
    assert all((m.view == obs).all() for m, obs in zip(moments, seen, strict=True))
    assert [moment.step for moment in moments] == list(range(7))
    assert all(moment.policy.sum() == pytest.approx(1, abs=1e-5) for moment in moments)
    assert not moments[4].picked  # six observations, as many as a rollout has, are the candidates
    last = moments[6]
    assert last.hits is not None
    ages = last.hits.picked.tolist()
    assert all((last.picked[i] == moments[6 - age].view).all() for i, age in enumerate(ages))


def test_an_agent_to_hand_on_predicts_as_its_run_does():
    run = write_run(f"env={LEVEL}", "aux=cpc")
    weights = load_weights(find_weights(run))
    agent = Path("agent")
    agent.mkdir()
    (agent / "config.yaml").write_text((run / "config.yaml").read_text())
    aux = {"maps": weights.aux["maps"][[0, 2]], "steps": torch.tensor([1, 3])}
    save_weights(agent / AGENT_FILE, Weights(weights.frames, weights.agent, aux))
    one, other = Player(run), Player(agent)
    assert one.past is not None
    assert other.past is not None
    assert (one.past.steps, other.past.steps) == ((1, 2, 3), (1, 3))
    for steps in ([1, 4], [[1, 3]]):
        save_weights(
            agent / AGENT_FILE, Weights(7, weights.agent, aux | {"steps": torch.tensor(steps)})
        )
        with pytest.raises(ValueError, match=r"aux\.steps must lie between 1 and 3"):
            Player(agent)


@pytest.mark.slow
@pytest.mark.parametrize("aux", ["cpc", "none"])
def test_one_agent_in_a_file(aux, capsys):
    run = write_run(f"env={LEVEL}", f"aux={aux}")
    assert command.main([str(run), "--out", "a.gif", "--seconds", "0.6", "--width", "334"]) == 0
    assert "a.gif: " in capsys.readouterr().out
    with Image.open("a.gif") as image:
        assert image.n_frames == 9
        assert image.width == 334


def test_the_score_of_predictions_is_that_of_the_episode_so_far():
    score = Score(LEVEL, "A2C + CPC", (1, 5, 30), 7)
    view = np.zeros((72, 96, 3), np.uint8)
    for step, ranks in [(0, (1, 1, 1)), (0, (1, 0, 0)), (1, (2, 1, 0)), (2, (1, 3, 0))]:
        hits = Hits(np.array(ranks), np.zeros(3, np.int64))
        score.add(Moment(step, view, view, 0, step, 2.5, np.ones(9, np.float32), 0, hits, []))
    assert score.right.tolist() == [2, 1, 0]
    assert score.ranked.tolist() == [3, 2, 0]
    assert list(score.rewards) == [0, 1, 2]


def test_several_agents_side_by_side_and_the_next_episode():
    runs = [write_run(f"env={LEVEL}", f"aux={aux}") for aux in ("cpc", "none")]
    show = command.Show([Player(run) for run in runs])
    before = show.picture
    assert (before[:, 10:202] == before[:, 212:404]).mean() > 0.9  # the same world, twice
    show.step()
    show.players[0].ended = True
    show.step()
    assert show.players[0]._step == 1
    assert show.players[1]._step == 3
    show.begin()
    assert [player._step for player in show.players] == [1, 1]


def test_window_shows_steps_pauses_and_ends(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(command, "STEPS_PER_SECOND", 10_000)
    steps = []
    step = command.Show.step
    monkeypatch.setattr(command.Show, "step", lambda show: (steps.append(1), step(show)))
    keys = [set(), {"space"}, set(), {"r"}, {"space"}, {"q"}]
    monkeypatch.setattr(play, "read_keys", lambda held: keys.pop(0))
    assert command.main([str(write_run(f"env={LEVEL}"))]) == 0
    assert len(steps) == 1 + 1 + 1 + 1  # at the start; before and after the pause; a new episode
    assert not keys


def test_without_a_window_it_says_what_to_do(monkeypatch, capsys):
    run = write_run(f"env={LEVEL}")
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    monkeypatch.setattr(pygame.display, "get_driver", lambda: "offscreen")
    monkeypatch.setattr(pygame.display, "init", lambda: None)
    assert command.main([str(run)]) == 2
    line = capsys.readouterr().err
    assert "need a display" in line
    assert "--out FILE.mp4" in line


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "nowhere is not the folder of a run"),
        (["x", "--out", "a.avi"], "its name must end in .mp4, .webp, .gif"),
        (["x", "--seconds", "nan"], "--seconds is nan"),
        (["x", "--width", "7"], "--width is 7"),
        (["x", "--seed", "-1"], "--seed is -1"),
        (["x"] * 11, "at most 10"),
    ],
)
def test_bad_input_is_explained_in_one_line(arguments, sentence, capsys):
    assert command.main(arguments) == 2
    message = capsys.readouterr().err
    assert sentence in message
    assert message.count("\n") == 1
    assert not os.listdir()


def test_what_cannot_be_replaced_is_refused_before_the_agent_is_read(capsys):
    os.mkdir("taken.webp")
    assert command.main(["x", "--out", "taken.webp"]) == 2
    line = "taken.webp is a folder; it must be a regular file, or not be there yet.\n"
    assert capsys.readouterr().err == line


def test_what_is_no_level_is_refused(capsys):
    run = write_run("env=gymnasium", "env.id=CartPole-v1")
    assert command.main([str(run)]) == 2
    assert f"python evaluate.py {run} video=FILE.mp4 films it." in capsys.readouterr().err
