"""The runner: what is open is run, some at a time; what fails or is interrupted is not lost."""

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from records import checkpoint
from records.run_folder import RunFolder
from studies import local, run
from studies.start import LOG
from studies.state import frames_per_second, state
from tests.envs.pool_envs import wait_until

PLAN = {
    "run_root": "runs",
    "levels": {"room_watermaze": ["total_frames=1000"]},
    "arms": {"none": ["aux=none"], "cpc": ["aux=cpc"]},
    "seeds": [2, 3],
}
# Stands in for train_agent.py: writes what a run leaves, or fails as SEED 3 of cpc does.
TRAIN = """
import pathlib, shutil, sys, time
folder = pathlib.Path(sys.argv[1])
if sys.argv[2] == "fail":
    print("first\\nthe disk is full")
    sys.exit(1)
if sys.argv[2] == "removed":
    shutil.rmtree(folder)
    sys.exit(1)
if sys.argv[2] == "refused":
    print("is in use by process 7")
    sys.exit(2)
if sys.argv[2] == "wait":
    import signal
    def save(*_):
        with open(folder / "signals", "a") as file:
            file.write("x")
        time.sleep(0.3)  # a second signal would find it here
        sys.exit(143)
    signal.signal(signal.SIGTERM, save)
    (folder / "ready").touch()
    time.sleep(60)
first = "" if sys.argv[2] == "one row" else "500,1.0\\n"
(folder / "progress.csv").write_text(f"frames,seconds\\n{first}1000,3.0\\n")
shutil.copy("saved.pt", folder / "CHECKPOINT")
sys.exit(sys.argv[2] == "fail late")
""".replace("CHECKPOINT", checkpoint.NAME)


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(PLAN, sort_keys=False))
    save(tmp_path / "saved.pt", 1000)
    return str(path)


def save(path, frames, **metrics):
    """A checkpoint, as far as a runner looks."""
    checkpoint.save(path, {"learner": {"frames": frames, "agent": {}}, "metrics": metrics})


def stand_in(monkeypatch, mode_of):
    """Replace training; `mode_of` a run's name."""

    def start(run, machine):
        run.config.folder.mkdir(parents=True, exist_ok=True)
        arguments = [str(run.config.folder), mode_of(run.name)]
        with open(run.config.folder / LOG, "ab") as log:
            return subprocess.Popen([sys.executable, "-c", TRAIN, *arguments], stdout=log)

    monkeypatch.setattr(local, "start", start)
    monkeypatch.setattr(local, "POLL_SECONDS", 0.01)


def test_runs_what_is_open_and_reports_what_fails(plan, monkeypatch, capsys):
    stand_in(monkeypatch, lambda name: "fail" if name.endswith("cpc seed 3") else "train")
    assert run.main([plan, "slots=3"]) == 1
    shown = capsys.readouterr().out
    assert "0 finished, 0 running, 4 open" in shown
    assert "FAILED    room_watermaze cpc seed 3 (exit code 1): the disk is full" in shown
    assert "1 of 4 runs failed" in shown
    stand_in(monkeypatch, lambda name: "train")
    assert run.main([plan]) == 0
    shown = capsys.readouterr().out
    assert "3 finished, 0 running, 1 open" in shown
    assert shown.count("started ") == 1


def test_a_signal_reaches_every_run_once_and_ends_the_study(plan, monkeypatch, tmp_path, capsys):
    stand_in(monkeypatch, lambda name: "wait")
    folders = [tmp_path / f"runs/labsim/room_watermaze/a2c_laptop/{a}/seed_2" for a in PLAN["arms"]]

    def interrupt():
        assert wait_until(lambda: all((folder / "ready").exists() for folder in folders))
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert run.main([plan, "slots=2"]) == 128 + signal.SIGTERM
    thread.join()
    assert [(folder / "signals").read_text() for folder in folders] == ["x", "x"]
    shown = capsys.readouterr().out
    assert "the same command continues" in shown
    assert "FAILED" not in shown
    assert shown.count("started ") == 2


def test_a_run_that_somebody_trains_is_running(plan, monkeypatch, capsys):
    stand_in(monkeypatch, lambda name: "train")
    (first, *_) = run.planned_runs(run.read_plan(Path(plan)))
    with RunFolder(first.config.folder):
        assert state(first.config) == "running"
        assert run.main([plan]) == 0
        assert "0 finished, 1 running, 3 open" in capsys.readouterr().out
    assert state(first.config) == "open"


def test_what_another_runner_does_meanwhile_is_left_to_it(plan, monkeypatch, capsys):
    """Of the four that both found open it has the second's folder when the first is started."""
    first, second, third, fourth = run.planned_runs(run.read_plan(Path(plan)))
    with ExitStack() as other:

        def mode_of(name):
            if name == first.name:
                other.enter_context(RunFolder(second.config.folder))
                third.config.folder.mkdir(parents=True)
                (third.config.folder / "progress.csv").write_text("frames,seconds\n1000,3.0\n")
                save(third.config.folder / checkpoint.NAME, 1000)
                return "train"
            other.enter_context(RunFolder(fourth.config.folder))
            return "refused"

        stand_in(monkeypatch, mode_of)
        assert run.main([plan]) == 0
    shown = capsys.readouterr().out
    assert f"left out  {second.name}: running elsewhere" in shown
    assert f"left out  {third.name}: finished elsewhere" in shown
    assert f"left out  {fourth.name}: is in use by process 7" in shown
    assert shown.count("started ") == 2
    assert "FAILED" not in shown


def test_a_run_that_stops_while_it_saves_its_end_has_failed(plan, monkeypatch, capsys):
    """Its last row is written: it looks like one that another runner finished."""
    stand_in(monkeypatch, lambda name: "fail late")
    assert run.main([plan]) == 1
    assert "4 of 4 runs failed" in capsys.readouterr().out


def test_a_run_that_was_killed_before_its_end_was_saved_is_open(plan):
    """Its last row is there, its checkpoint is of earlier frames."""
    (first, *_) = run.planned_runs(run.read_plan(Path(plan)))
    folder = first.config.folder
    folder.mkdir(parents=True)
    (folder / "progress.csv").write_text("frames,seconds\n1000,3.0\n")
    assert state(first.config) == "open"
    save(folder / checkpoint.NAME, 900)
    assert state(first.config) == "open"
    save(folder / checkpoint.NAME, 1000)
    assert state(first.config) == "finished"
    (folder / checkpoint.NAME).write_bytes(b"damaged")
    assert state(first.config) == "open"


def test_a_run_whose_last_evaluation_was_not_played_is_open(plan):
    """It failed, say, after the last row: the run plays it when it is started."""
    (first, *_) = run.planned_runs(run.read_plan(Path(plan)))
    config = replace(first.config, log=replace(first.config.log, evaluate_frames=500))
    config.folder.mkdir(parents=True)
    (config.folder / "progress.csv").write_text("frames,seconds\n1000,3.0\n")
    save(config.folder / checkpoint.NAME, 1000, evaluated=500)
    assert state(config) == "open"
    save(config.folder / checkpoint.NAME, 1000, evaluated=1000)
    assert state(config) == "finished"
    save(config.folder / checkpoint.NAME, 1000, evaluated="x")
    assert state(config) == "open"


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b"\xff\x00",
        b"frames,seconds\nx,1\n",
        b"",
        b"frames,seconds\n1,1.0\n" + 200_000 * b"\0",  # longer than csv takes a cell to be
        b"frames,seconds\n1,1.0\n2,1.0\n",
        b"frames,seconds\n1,1.0\n1,2.0\n",
        b"frames,seconds\n1,1.0\n2,inf\n3,nan\n",
    ],
)
def test_a_damaged_table_is_left_to_its_run(plan, content):
    (first, *_) = run.planned_runs(run.read_plan(Path(plan)))
    first.config.folder.mkdir(parents=True)
    (first.config.folder / "progress.csv").write_bytes(content)
    assert state(first.config) == "open"
    assert frames_per_second(first.config.folder) is None


@pytest.mark.parametrize("name", ["progress.csv", "lock"])
def test_a_folder_in_the_place_of_a_file_is_left_to_the_run(plan, name, capsys):
    (first, *_) = run.planned_runs(run.read_plan(Path(plan)))
    (first.config.folder / name).mkdir(parents=True)
    assert state(first.config) == "open"


def test_a_study_goes_on_without_a_reader(plan, monkeypatch):
    stand_in(monkeypatch, lambda name: "train")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert run.main([plan]) == 0
    assert {state(r.config) for r in run.planned_runs(run.read_plan(Path(plan)))} == {"finished"}


def test_the_others_go_on_where_a_run_cannot_be_started_or_loses_its_folder(
    plan, monkeypatch, tmp_path, capsys
):
    stand_in(monkeypatch, lambda name: "removed" if name.endswith("none seed 2") else "train")
    (tmp_path / "runs/labsim/room_watermaze/a2c_laptop/cpc").mkdir(parents=True)
    (tmp_path / "runs/labsim/room_watermaze/a2c_laptop/cpc/seed_2").write_text("in the way")
    assert run.main([plan]) == 1
    shown = capsys.readouterr().out
    assert "FAILED    room_watermaze none seed 2 (exit code 1): " in shown
    assert "FAILED    room_watermaze cpc seed 2: " in shown
    assert shown.count("finished  ") == 2
    assert "2 of 4 runs failed" in shown


def test_no_run_outlives_a_runner_that_fails(plan, monkeypatch, tmp_path):
    stand_in(monkeypatch, lambda name: "wait")
    folder = tmp_path / "runs/labsim/room_watermaze/a2c_laptop/none/seed_2"

    def failing(_):
        assert wait_until(lambda: (folder / "ready").exists())
        raise RuntimeError("a fault of the runner's own")

    monkeypatch.setattr(local, "_say", failing)
    with pytest.raises(RuntimeError):
        run.main([plan])
    assert (folder / "signals").read_text() == "x"


def test_a_sample_too_short_to_measure_is_told(plan, monkeypatch, capsys):
    stand_in(monkeypatch, lambda name: "one row")
    assert run.main([plan, "--dry-run"]) == 2
    out, err = capsys.readouterr()
    assert out.count("python train_agent.py") == 4
    assert "the speed is not known, because 300,000 frames are too few rollouts" in err


def test_dry_run_prints_commands_and_an_estimate_from_runs_begun(plan, tmp_path, capsys):
    folder = tmp_path / "runs/labsim/room_watermaze/a2c_laptop/none/seed_2"
    folder.mkdir(parents=True)
    (folder / "progress.csv").write_text("frames,seconds\n100,1.0\n200,1.5\n30")
    assert run.main([plan, "slots=2", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("python train_agent.py env=room_watermaze aux=") == 4
    assert "3,800 frames are left: 0.0 hours with slots=2 at 200 frames/s each" in shown
    assert [path.name for path in folder.iterdir()] == ["progress.csv"]


def test_the_estimate_counts_slots_and_the_commands_cores(plan, tmp_path, capsys):
    text = (tmp_path / "plan.yaml").read_text()
    (tmp_path / "plan.yaml").write_text(text.replace("=1000", "=1e9"))
    folder = tmp_path / "runs/labsim/room_watermaze/a2c_laptop/none/seed_2"
    folder.mkdir(parents=True)
    (folder / "progress.csv").write_text("frames,seconds\n100,1.0\n200,1.5\n")
    assert run.main([plan, "slots=2", "cores=3", "gpus=1", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "2777.8 hours with slots=2 at 200 frames/s each" in shown
    assert shown.count("threads=3 device=cuda") == 4


def test_mistakes_are_one_sentence(plan, capsys):
    assert run.main([plan, "slots=0"]) == 2
    assert capsys.readouterr().err.startswith("slots=0: it must be a number from 1 on")
    assert run.main([plan, "slot=2"]) == 2
    assert capsys.readouterr().err.startswith("slot=2 is not known; allowed: slots=, run_root=")
    assert run.main(["missing.yaml"]) == 2
    assert "missing.yaml" in capsys.readouterr().err


def test_a_real_run_from_start_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny = ["agent.network.hidden_size=16", "agent.unroll_length=5", "env.num_envs=1"]
    plan = {**PLAN, "arms": {"none": ["aux=none"]}, "seeds": [5], "settings": tiny}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    assert run.main(["plan.yaml"]) == 0
    assert "finished  room_watermaze none seed 5" in capsys.readouterr().out
    assert run.main(["plan.yaml"]) == 0
    assert "1 finished, 0 running, 0 open" in capsys.readouterr().out
    folder = tmp_path / "runs/labsim/room_watermaze/a2c_laptop/none/seed_5"
    assert "1,000 of 1,000 frames" in (folder / "train.log").read_text()
    (start,) = yaml.safe_load((folder / "config.yaml").read_text())["starts"]
    assert (start["machine"]["device"], start["machine"]["threads"]) == ("cpu", 1)
