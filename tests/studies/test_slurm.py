"""Slurm, by stand-ins of its commands: what is submitted, and what a task does when warned."""

import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from studies import run, slurm
from studies.plan import planned_runs, read_plan
from studies.start import LOG, Machine
from tests.envs.pool_envs import wait_until

PLAN = {
    "run_root": "runs",
    "levels": {"room_watermaze": ["total_frames=1000"]},
    "arms": {"none": ["aux=none"], "cpc": ["aux=cpc"]},
    "seeds": [2, 3, 5],
}
TRAIN = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
def save(*_):
    (folder / "saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
(folder / "ready").touch()
if sys.argv[2] == "fail":
    sys.exit("the disk is full")
time.sleep(60 if sys.argv[2] == "wait" else 0)
"""
NO_NUMBER = "Slurm gave the study no number: Could not make sense of sbatch output"


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A plan in the working directory, and commands that stand in for Slurm's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    commands = {"sbatch": "echo Submitted batch job 17", "squeue": "cat queue 2>/dev/null || true"}
    for name, line in {**commands, "srun": "", "scontrol": ""}.items():
        stand_in(name, line)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (tmp_path / "water.yaml").write_text(yaml.safe_dump(PLAN, sort_keys=False))
    return "water.yaml"


def stand_in(name, line):
    path = Path("bin") / name
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def task(plan, monkeypatch, mode):
    (first, *_) = planned_runs(read_plan(Path(plan)))
    folder = first.config.folder

    def start(run, machine):
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / LOG, "ab") as log:
            return subprocess.Popen([sys.executable, "-c", TRAIN, str(folder), mode], stderr=log)

    monkeypatch.setattr(slurm, "start", start)
    return slurm.Task(first, Machine()), folder


def test_open_runs_become_one_array(plan, capsys):
    options = ["slots=2", "cores=3", "gpus=1", "partition=fast", "minutes=77"]
    assert run.main([plan, "--executor", "slurm", *options]) == 0
    assert "Submitted 6 runs as job 17" in capsys.readouterr().out
    (script,) = Path("runs/slurm").glob("17_*.sh")
    flags = dict(re.findall(r"#SBATCH --([\w-]+)=(\S+)", script.read_text()))
    expected = {"array": "0-5%2", "job-name": "water", "cpus-per-task": "3", "time": "77"}
    assert expected.items() <= flags.items()
    assert {
        "gpus-per-node": "1",
        "partition": "fast",
        "open-mode": "append",
    }.items() <= flags.items()
    assert len(list(Path("runs/slurm").glob("17_*_submitted.pkl"))) == 6


def test_a_study_in_the_queue_is_not_submitted_again(plan, capsys):
    Path("queue").write_text("12_0\n12_[1-5]\n")
    assert run.main([plan, "--executor", "slurm"]) == 2
    assert "water is in Slurm's queue as 12_0, 12_[1-5]; wait" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize("missing", ["squeue", "sbatch", "srun"])
def test_without_slurm_one_sentence(missing, plan, monkeypatch, capsys):
    Path("bin", missing).unlink()
    monkeypatch.setenv("PATH", str(Path("bin").absolute()))
    assert run.main([plan, "--executor", "slurm"]) == 2
    said = f"--executor slurm needs Slurm: {missing} is not on this machine."
    assert capsys.readouterr().err.splitlines() == [said]


@pytest.mark.parametrize(
    ("command", "line", "said"),
    [
        ("squeue", "exit 3", "squeue failed: it printed nothing."),
        ("squeue", "echo no such user >&2; exit 3", "squeue failed: no such user."),
        ("sbatch", "exit 3", "Slurm refused the study: it printed nothing."),
        ("sbatch", "echo bad partition >&2; exit 3", "Slurm refused the study: bad partition."),
        ("sbatch", "", f'{NO_NUMBER} "".'),
        ("sbatch", "echo Hello", f'{NO_NUMBER} "Hello".'),
    ],
)
def test_a_command_of_slurms_that_fails_is_one_sentence(command, line, said, plan, capsys):
    stand_in(command, line)
    assert run.main([plan, "--executor", "slurm"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == said


def test_a_task_trains_to_the_end_or_fails_with_the_last_line(plan, monkeypatch):
    done, folder = task(plan, monkeypatch, "train")
    done()
    assert (folder / "ready").exists()
    failing, _ = task(plan, monkeypatch, "fail")
    with pytest.raises(RuntimeError, match="room_watermaze none seed 2: the disk is full"):
        failing()


def test_a_warned_task_saves_and_is_queued_again(plan, monkeypatch):
    warned, folder = task(plan, monkeypatch, "wait")
    delayed = []

    class Requeued(BaseException):
        pass

    def warn(*_):  # as submitit's handler does
        delayed.append(warned.checkpoint())
        raise Requeued

    before = signal.signal(signal.SIGUSR2, warn)

    def send():
        assert wait_until((folder / "ready").exists)
        os.kill(warned._process.pid, signal.SIGUSR2)  # Slurm's reaches the run as well
        os.kill(os.getpid(), signal.SIGUSR2)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        with pytest.raises(Requeued):
            warned()
    finally:
        thread.join()
        signal.signal(signal.SIGUSR2, before)
    assert (folder / "saved").exists()  # told to save, not killed by the warning
    again = pickle.loads(pickle.dumps(delayed[0].function))
    assert again._run == warned._run
    assert again._process is None
