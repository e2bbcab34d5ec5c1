"""Resume: what continues equals what was never interrupted; what may change, and what may not."""

import os
import re
import signal
from pathlib import Path

import pytest
import torch
import yaml

from records import checkpoint
from tests.test_train_agent import (
    FOLDER,
    assert_equal,
    kill,
    stop_after,
    table,
    tiny_world,
    train,
)

__all__ = ["tiny_world"]  # the fixture: vectors in place of the level


@pytest.mark.parametrize(
    ("stop", "exit_code"),
    [(lambda: os.kill(os.getpid(), signal.SIGTERM), 143), (kill, 1)],
    ids=["SIGTERM", "crash"],
)
def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    monkeypatch, stop, exit_code, no_figures
):
    """Stopped between two rows and between two checkpoints; the crash falls back on one."""
    assert train("aux=cpc", "run_root=whole") == 0
    with monkeypatch.context() as patch:
        stop_after(patch, 18, stop)
        assert train("aux=cpc") == exit_code
    assert train("aux=cpc") == 0
    folder = FOLDER / "cpc" / "seed_1"
    whole = Path("whole", *folder.parts[1:])
    for name in ("progress.csv", "episodes.csv", "aux_by_horizon.csv"):
        assert table(whole / name) == table(folder / name)
    states = [checkpoint.load(path / "latest.pt") for path in (whole, folder)]
    assert_equal(states[0]["learner"], states[1]["learner"])


def test_signal_saves_the_update_it_came_in(monkeypatch, capsys):
    stop_after(monkeypatch, 4, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert train("-m", "seed=1,2") == 130  # and the second run does not start
    assert checkpoint.load(FOLDER / "none/seed_1/latest.pt")["learner"]["updates"] == 4
    assert not (FOLDER / "none/seed_2").exists()
    out, err = capsys.readouterr()
    assert out.endswith("Ended by SIGINT; the same command continues.\n")
    assert err == ""
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_run_continues_with_other_threads_or_on_another_device(monkeypatch, no_figures):
    with monkeypatch.context() as patch:
        stop_after(patch, 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
        assert train() == 143
    path = FOLDER / "none/seed_1/latest.pt"
    state = checkpoint.load(path)
    for name in ("action_generator", "aux_generator"):
        state["learner"][name] = torch.zeros(16, dtype=torch.uint8)  # the size of a GPU's
    checkpoint.save(path, state)
    assert train("threads=3", "fast=false") == 0
    assert checkpoint.load(path)["learner"]["updates"] == 30
    starts = yaml.safe_load((path.parent / "config.yaml").read_text())["starts"]
    passes = [start["passes"] for start in starts]
    assert passes == [{"agent": "fast core, plain encoder"}, {"agent": "plain"}]


def test_longer_run_continues_with_leave(capsys, no_figures):
    assert train() == 0
    assert train("total_frames=2400") == 2
    assert "resume.extend=true" in capsys.readouterr().err
    assert train("total_frames=2400", "resume.extend=true") == 0
    rows = table(FOLDER / "none/seed_1/progress.csv")
    assert [int(row["frames"]) for row in rows] == [*range(300, 2401, 300)]
    assert train("total_frames=2400") == 0  # repeating needs no leave


def test_other_settings_are_refused_and_nothing_changes(capsys):
    assert train() == 0
    before = {p: p.read_bytes() for p in (FOLDER / "none/seed_1").iterdir() if p.name != "lock"}
    assert train("agent.learning_rate=1e-5") == 2
    said = capsys.readouterr().err
    assert re.search(r"agent\.learning_rate=\S+, not 1e-05: start a separate", said)
    assert {p: p.read_bytes() for p in before} == before
    assert train("agent.learning_rate=1e-5", "tag=slow", "log.every_frames=600") == 0
    assert (FOLDER / "returns-slow.png").exists()
