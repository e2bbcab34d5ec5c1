"""log.evaluate_frames: what it writes, and that training does not notice."""

import os
import signal
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train_agent
from agents.evaluation import EpisodesLostError, evaluate
from configs import learners, parse_runs
from envs.pool import WorkerError
from records import checkpoint
from tests.known_answer_envs import RandomEnds
from tests.test_train_agent import (
    FOLDER,
    TINY,
    assert_equal,
    kill,
    stop_after,
    table,
    tiny_world,
    train,
)

EVALUATING = ("log.evaluate_frames=290", "log.evaluate_episodes=7", "total_frames=900")
RUN = FOLDER / "none" / "seed_1"
__all__ = ["tiny_world"]  # the fixture: vectors in place of the level


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Drawing takes longer than these runs."""
    monkeypatch.setattr(train_agent, "draw_figures", lambda *arguments: None)


def test_rows_are_what_evaluate_plays_with_those_parameters(capsys):
    assert train(*EVALUATING, "log.keep_checkpoints=9", "log.checkpoint_frames=60") == 0
    rows = table(RUN / "evaluation.csv")
    assert [int(row["frames"]) for row in rows] == [300, 600, 900]
    env = RandomEnds(3)
    (request,) = parse_runs([*TINY], description="")
    state = checkpoint.load(RUN / "checkpoint_000000000600.pt")["learner"]["agent"]
    agent = learners.load_agent(request.config, state, env, next(iter(state.values())).device)
    returns = [episode.ret for episode in evaluate(agent, env, 7)]
    assert float(rows[1]["return_mean"]) == pytest.approx(sum(returns) / 7)
    assert int(rows[1]["episodes"]) == 7
    assert "| 600 frames | evaluation: return " in capsys.readouterr().out
    events = EventAccumulator(str(RUN)).Reload()
    logged = events.Scalars("evaluation/return_mean")
    assert [event.step for event in logged] == [300, 600, 900]
    assert logged[1].value == pytest.approx(float(rows[1]["return_mean"]))


@pytest.mark.parametrize("agent", [(), ("agent=sb3_a2c", "agent.n_steps=5")], ids=["ours", "sb3"])
def test_training_is_the_same_to_the_bit(agent):
    settings = [s for s in TINY if not agent or not s.startswith(("agent.", "aux."))]
    for more in (["run_root=without", "total_frames=900"], ["run_root=with", *EVALUATING]):
        assert train_agent.main([*settings, *agent, *more]) == 0
    (without,), (with_it,) = (list(Path(root).rglob("latest.pt")) for root in ("without", "with"))
    assert_equal(*(checkpoint.load(path)["learner"] for path in (without, with_it)))
    for name in ("progress.csv", "episodes.csv"):
        assert table(without.parent / name) == table(with_it.parent / name)
    assert len(table(with_it.parent / "evaluation.csv")) == 3


def terminated(*arguments, **settings):
    os.kill(os.getpid(), signal.SIGTERM)
    return evaluate(*arguments, **settings)


def test_a_run_that_continues_has_the_rows_of_one_that_was_not_stopped(monkeypatch):
    assert train(*EVALUATING, "run_root=whole") == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 6, kill)  # after the row of 300 frames, before any checkpoint
        assert train(*EVALUATING) == 1
    assert [row["frames"] for row in table(RUN / "evaluation.csv")] == ["300"]
    with monkeypatch.context() as patch:
        patch.setattr(learners, "evaluate", terminated)
        assert train(*EVALUATING) == 143
    assert not (RUN / "evaluation.csv").exists()
    assert checkpoint.load(RUN / "latest.pt")["learner"]["frames"] == 300
    assert train(*EVALUATING) == 0
    whole = Path("whole", *RUN.parts[1:])
    assert table(RUN / "evaluation.csv") == table(whole / "evaluation.csv")


@pytest.mark.parametrize("error", [WorkerError, EpisodesLostError])
def test_an_evaluation_that_failed_at_the_end_is_played_by_the_run_that_continues(
    error, monkeypatch
):
    def failing(agent, env, episodes, **settings):
        if not (RUN / "progress.csv").read_text().splitlines()[-1].startswith("900,"):
            return evaluate(agent, env, episodes, **settings)
        raise error("a worker has ended")

    with monkeypatch.context() as patch:
        patch.setattr(learners, "evaluate", failing)
        assert train(*EVALUATING) == 1
    assert checkpoint.load(RUN / "latest.pt")["learner"]["frames"] == 900
    assert [row["frames"] for row in table(RUN / "evaluation.csv")] == ["300", "600"]
    assert train(*EVALUATING) == 0
    rows = table(RUN / "evaluation.csv")
    assert [row["frames"] for row in rows] == ["300", "600", "900"]
    assert train(*EVALUATING) == 0
    assert table(RUN / "evaluation.csv") == rows


def test_a_folder_that_is_lost_in_an_evaluation_is_not_written_to(monkeypatch, capsys):
    def slow(*arguments, **settings):
        (RUN / "lock").unlink()
        return evaluate(*arguments, **settings)

    monkeypatch.setattr(learners, "evaluate", slow)
    assert train(*EVALUATING) == 1
    assert str(RUN) in capsys.readouterr().err
    assert not (RUN / "evaluation.csv").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [("log.evaluate_frames=-1", "at least 0"), ("log.evaluate_episodes=0", "at least 1")],
)
def test_meaningless_settings_are_named(capsys, setting, said):
    assert train(setting) == 2
    error = capsys.readouterr().err
    assert setting.split("=")[0] in error
    assert said in error
