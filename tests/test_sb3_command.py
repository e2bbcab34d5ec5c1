"""agent=sb3_a2c through the command: records, resume, figures, evaluation."""

import os
import signal
from pathlib import Path

import pytest

import evaluate
import train_agent
from agents.sb3.learner import SB3A2CLearner
from analysis.curves import return_figure
from configs import learners
from records import checkpoint
from tests.known_answer_envs import RandomEnds
from tests.test_train_agent import TINY, assert_equal, table

SETTINGS = ("agent=sb3_a2c", *(s for s in TINY if not s.startswith("agent.")), "agent.n_steps=5")
RUN = Path("runs/labsim/room_watermaze/sb3_a2c/none/seed_1")


@pytest.fixture(autouse=True)
def tiny_world(monkeypatch, tmp_path):
    """Vectors and random ends in place of the level; the run's folder below tmp_path."""
    for module in (learners, evaluate):
        monkeypatch.setattr(module, "make_vec_env", lambda config, n, **settings: RandomEnds(n))
    monkeypatch.chdir(tmp_path)


def train(*settings):
    return train_agent.main([*SETTINGS, *settings])


def test_trains_continues_and_is_evaluated(monkeypatch, capsys):
    assert train("run_root=whole") == 0
    update = SB3A2CLearner.update

    def stopping_update(learner):
        update(learner)
        if learner.updates == 18:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(SB3A2CLearner, "update", stopping_update)
        assert train() == 143
    assert train() == 0
    whole = Path("whole", *RUN.parts[1:])
    for name in ("progress.csv", "episodes.csv"):
        assert table(whole / name) == table(RUN / name)
    states = [checkpoint.load(path / "latest.pt")["learner"] for path in (whole, RUN)]
    assert_equal(*states)
    progress = table(RUN / "progress.csv")
    assert [int(row["frames"]) for row in progress] == [300, 600, 900, 1200, 1500, 1800]
    assert {"return_mean", "policy_loss", "value_loss", "entropy"} <= set(progress[0])
    assert (RUN.parents[1] / "returns.png").exists()
    assert train() == 0
    out, err = capsys.readouterr()
    assert "is finished (1,800 frames)" in out
    assert err == ""
    assert evaluate.main([str(RUN), "episodes=7"]) == 0
    assert "(7 episodes)" in capsys.readouterr().out


def test_figure_tells_sb3s_agent_from_ours(no_figures):
    assert train() == 0
    assert train_agent.main([*TINY, "agent=a2c_laptop"]) == 0
    (axes,) = return_figure([Path("runs")]).axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["A2C, a2c_laptop (1 seed)", "A2C, sb3_a2c (1 seed)"]


def test_auxiliary_loss_is_refused(capsys):
    assert train("aux=cpc") != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("aux is cpc, but agent=sb3_a2c is Stable-Baselines3's own A2C")
    assert not RUN.exists()
