"""What is on disk after kills, hang-ups, removed folders, divergence and damage. Tiny worlds."""

import copy
import math
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch

import evaluate
import train_agent
from agents.sb3.learner import SB3A2CLearner
from agents.state_check import require_form
from configs import learners
from records import checkpoint
from tests.known_answer_envs import RandomEnds
from tests.test_sb3_command import SETTINGS as SB3
from tests.test_train_agent import FOLDER, kill, stop_after, train

RUN = FOLDER / "none" / "seed_1"


@pytest.fixture(autouse=True)
def tiny_world(monkeypatch, tmp_path):
    for module in (learners, evaluate):
        monkeypatch.setattr(module, "make_vec_env", lambda config, n, **settings: RandomEnds(n))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stopped(monkeypatch, capsys):
    """A run that was stopped after 4 updates."""
    with monkeypatch.context() as patch:
        stop_after(patch, 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert train() == 143
    capsys.readouterr()
    return RUN / "latest.pt"


def test_checkpoints_are_taken_by_the_clock_too(monkeypatch, no_figures):
    stop_after(monkeypatch, 5, kill)
    assert train("log.checkpoint_minutes=1e-9") == 1
    assert checkpoint.load(RUN / "latest.pt")["learner"]["updates"] == 4


def test_newest_and_best_checkpoints_are_kept_and_can_be_evaluated(no_figures, capsys):
    assert train("log.keep_checkpoints=2") == 0
    kept = sorted(path.name for path in RUN.glob("*.pt"))
    newest = ["checkpoint_000000001260.pt", "checkpoint_000000001680.pt"]
    assert kept == ["best.pt", *newest, "latest.pt"]
    state = checkpoint.load(RUN / newest[0])
    assert state["learner"]["frames"] == 1260
    capsys.readouterr()
    assert evaluate.main([str(RUN / newest[0]), "episodes=3"]) == 0
    assert "after 1,260 frames" in capsys.readouterr().out


def test_training_goes_on_without_a_reader(monkeypatch, no_figures):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert train() == 0
        assert sys.stdout is closed
    assert checkpoint.load(RUN / "latest.pt")["learner"]["updates"] == 30


def test_an_evaluation_goes_on_without_a_reader(monkeypatch, no_figures):
    assert train() == 0
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert evaluate.main([str(RUN), "episodes=1", "json=result.json"]) == 0
    assert Path("result.json").exists()


def test_training_goes_on_after_a_hang_up(monkeypatch, no_figures):
    before = signal.getsignal(signal.SIGHUP)
    stop_after(monkeypatch, 4, lambda: os.kill(os.getpid(), signal.SIGHUP))
    assert train() == 0
    assert signal.getsignal(signal.SIGHUP) is before


@pytest.mark.parametrize("made_again", [False, True])
def test_a_run_whose_folder_was_removed_stops(made_again, monkeypatch, capsys):
    def remove():
        shutil.rmtree(RUN)
        if made_again:
            RUN.mkdir()
            (RUN / "lock").touch()

    stop_after(monkeypatch, 4, remove)
    assert train() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Stopped: {RUN} was removed or replaced")
    assert not RUN.exists() or os.listdir(RUN) == ["lock"]


def test_a_damaged_neighbour_is_left_out_of_the_figure(capsys):
    assert train("total_frames=600") == 0
    (RUN / "episodes.csv").write_text("frames,return\nx,y\n")
    capsys.readouterr()
    assert train("total_frames=600", "seed=2") == 0
    out, err = capsys.readouterr()
    assert f"Left out of the figure: {RUN.resolve() / 'episodes.csv'} has" in out
    assert "Return curves of 1 run:" in out
    assert err == ""


def _leave_out(state):
    del state["envs"]


def _set(*path_and_value):
    *groups, key, value = path_and_value

    def change(state):
        for group in groups:
            state = state[group]
        state[key] = value

    return change


def _fill(*path_and_value):
    *path, value = path_and_value

    def change(state):
        for key in path:
            state = state[key]
        state.fill_(value)

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_leave_out, "it must have the parts agent, aux, optimizer"),
        (_set("envs", None), "envs must have the parts"),
        (_set("frames", -7), "frames is -7"),
        (_set("envs", "is_first", torch.zeros(2)), "envs.is_first is a float32 tensor of shape"),
        (_fill("envs", "last_action", 10**6), "envs.last_action holds numbers outside of -1 to 6"),
        (_fill("envs", "core_state", "cell", math.nan), "cell holds numbers that are not finite"),
        (_set("envs", "tracker", "ret", ["a", "b", "c"]), "envs.tracker.ret[0] is 'a', not 0.0"),
        (_set("optimizer", "state", 0, "square_avg", torch.zeros(3)), "optimizer.state.square_avg"),
        (_set("optimizer", "state", 0, {"step": 3}), "optimizer.state lacks a part"),
        (_set("optimizer", "state", 0, "step", 0), "optimizer.state.step is 0"),
        (_set("optimizer", "param_groups", 0, "alpha", 2.0), "are of other settings"),
        (
            _set("action_generator", torch.zeros(5056, dtype=torch.uint8)),
            "latest.pt cannot be used",
        ),
        (_set("means", "sums", {"a": 3}), "latest.pt cannot be used"),
    ],
)
def test_a_state_that_no_run_writes_is_refused(change, expected, stopped, capsys):
    state = checkpoint.load(stopped)
    change(state["learner"])
    checkpoint.save(stopped, state)
    before = stopped.read_bytes()
    assert train() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"The checkpoint {stopped} cannot be used: ")
    assert expected in line
    assert stopped.read_bytes() == before


def test_environments_may_hold_any_numbers(stopped):
    """rooms_keys_doors_puzzle has a time that is infinite; environments check their own states."""
    state = checkpoint.load(stopped)["learner"]
    own = copy.deepcopy(state)
    state["envs"]["envs"]["time"] = own["envs"]["envs"]["time"] = torch.tensor([math.inf])
    require_form(state, own, any_number="envs.envs")
    with pytest.raises(ValueError, match=r"envs\.envs\.time holds numbers that are not finite"):
        require_form(state, own)


@pytest.mark.parametrize("checked", [False, True])
def test_a_checkpoint_never_holds_parameters_that_are_not_finite(
    monkeypatch, capsys, no_figures, checked
):
    """Sb3's learner steps before it looks: the loss is finite, what comes of it is not."""

    def diverge(learner):
        if learner.updates == 9:
            with torch.no_grad():
                next(learner.model.policy.parameters())[0] = math.inf

    # torch.compile switches the check of distributions' arguments off for the whole process.
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", checked)
    update = SB3A2CLearner.update
    monkeypatch.setattr(SB3A2CLearner, "update", lambda self: (update(self), diverge(self))[0])
    assert train_agent.main([*SB3]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Stopped: update ")
    assert "not finite" in line
    assert "the last good checkpoint is" in line
    (path,) = Path("runs").rglob("latest.pt")
    state = checkpoint.load(path)["learner"]
    assert all(x.isfinite().all() for x in state["agent"].values())


def test_a_loss_that_sb3_takes_to_infinity_ends_in_a_sentence(capsys, no_figures):
    assert train_agent.main([*SB3, "agent.learning_rate=1e30"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "not finite" in line
    assert "the last good checkpoint is" in line
    (path,) = Path("runs").rglob("latest.pt")
    assert all(x.isfinite().all() for x in checkpoint.load(path)["learner"]["agent"].values())
