"""The command on environments in worker processes: runs, failures, and what is left afterwards."""

import csv
import os
import signal
from pathlib import Path

import pytest

import evaluate
import train_agent
from agents.learner import Learner
from envs.pool import worker_group
from records import checkpoint
from tests.envs.pool_envs import running

TINY = (
    "env=gymnasium",
    "env.id=CartPole-v1",
    "env.num_envs=3",
    "agent.network.hidden_size=11",
    "agent.unroll_length=5",
    "device=cpu",
    "total_frames=450",  # 30 updates
    "log.every_frames=150",
)
RUN = Path("runs/gymnasium/CartPole-v1/a2c_laptop/none/seed_1")


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def train(*settings):
    return train_agent.main([*TINY, *settings])


def pids(learner):
    groups = learner._shards.envs.groups
    return [worker.process.pid for group in groups for worker in group.workers]


@pytest.fixture
def before_update(monkeypatch):
    """Let a function see the learner before each update; return all processes that there were."""
    seen = set()

    def call(function):
        update = Learner.update

        def watched_update(learner):
            seen.update(pids(learner))
            function(learner)
            update(learner)

        monkeypatch.setattr(Learner, "update", watched_update)
        return seen

    return call


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_run_and_evaluation(capsys):
    assert train() == 0
    assert (RUN.parents[1] / "returns.png").exists()
    rows = table(RUN / "progress.csv")
    assert [int(row["frames"]) for row in rows] == [150, 300, 450]  # one frame per agent step
    assert float(rows[-1]["env/worker_restarts"]) == 0
    assert len(table(RUN / "episodes.csv")) > 5
    assert evaluate.main([str(RUN), "episodes=3"]) == 0
    assert "mean return" in capsys.readouterr().out
    assert evaluate.main([str(RUN), "video=film.mp4"]) == 2
    assert "observations of shape (4,) cannot be filmed" in capsys.readouterr().err


def test_workers_may_be_killed_and_stopped_five_times_in_a_row(before_update, caplog, no_figures):
    def strike(learner):
        if 10 <= learner.updates < 15:
            number = signal.SIGSTOP if learner.updates % 2 else signal.SIGKILL
            os.kill(pids(learner)[learner.updates % 2], number)

    processes = before_update(strike)
    assert train("env.worker_timeout_s=3", "threads=2") == 0
    assert caplog.text.count("anew: the process ended unexpectedly (signal 9)") == 3
    assert caplog.text.count("anew: the process gave no answer within 3 s") == 2
    assert float(table(RUN / "progress.csv")[-1]["env/worker_restarts"]) == 5
    assert checkpoint.load(RUN / "latest.pt")["learner"]["updates"] == 30
    assert len(processes) == 2 + 5
    assert not any(map(running, processes))


def test_failure_that_does_not_go_away_ends_the_run_with_its_cause(before_update, capsys):
    processes = before_update(lambda learner: None)
    assert train("env.id=tests.envs.pool_envs:Brittle-v0") == 1
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith("Stopped: environment 0 failed 10 times in a row, the last time: ")
    assert "RuntimeError: out of glass (pool_envs.py:" in line
    assert "latest.pt (" in line
    folder = Path("runs/gymnasium/Brittle-v0/a2c_laptop/none/seed_1")
    state = checkpoint.load(folder / "latest.pt")["learner"]
    assert state["updates"] >= 1, "saved where it stopped, not only where it began"
    assert processes
    assert not any(map(running, processes))


def test_nothing_is_left_after_an_exception_in_the_learner(before_update, capsys):
    def fail(learner):
        raise RuntimeError("a fault")

    processes = before_update(fail)
    assert train() == 1
    assert "a fault" in capsys.readouterr().err
    assert len(processes) >= 2
    assert not any(map(running, processes))


def test_a_run_that_continues_begins_new_episodes(before_update, caplog, no_figures):
    def stop(learner):
        if learner.updates == 11:
            os.kill(os.getpid(), signal.SIGINT)

    processes = before_update(stop)
    assert train() == 130
    assert not any(map(running, processes))
    assert "new episodes" not in caplog.text
    assert train() == 0
    assert "starting new episodes in environment 0: running ones cannot be restored" in caplog.text
    rows = table(RUN / "progress.csv")
    assert [int(row["frames"]) for row in rows] == [150, 300, 450]
    assert float(rows[-1]["env/worker_restarts"]) == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["env.id=CartPool-v1"], "env.id=CartPool-v1 cannot be made as configured"),
        (["env.id=Pendulum-v1"], "actions must be discrete, but are Box(-2.0, 2.0, (1,), float32)"),
        (["env.id=null"], "env.id has no value; give env.id=CartPole-v1, say"),
        (["env.hud=full"], "env.hud needs env.backend=dmlab"),
        (["env.wrappers.resize=84"], "env.wrappers.resize is 84; it must be a list"),
        (
            ["env.wrappers.frame_skip=0"],
            "env.wrappers.frame_skip is 0; it must lie between 1 and 1000.",
        ),
        (["env.kwargs=3"], "env.kwargs is 3; set its parts"),
    ],
)
def test_bad_setting(settings, words, capsys):
    assert train(*settings) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_module_in_the_current_folder_is_found(no_figures):
    Path("mine.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "gymnasium.register('Mine-v0', CartPoleEnv, max_episode_steps=17)\n"
    )
    assert train("env.id=mine:Mine-v0", "total_frames=30") == 0
    assert (
        "length_mean"
        in Path("runs/gymnasium/Mine-v0/a2c_laptop/none/seed_1/progress.csv").read_text()
    )


@pytest.mark.parametrize(
    ("env_id", "code", "words"),
    [
        ("NoReset-v0", 2, "environment 0 failed at the start: RuntimeError: no map"),
        ("Raises-v0", 1, "Stopped: environment 0 failed 3 times within"),
        ("Nan-v0", 1, "(Nan-v0), step 3: the reward that step returned is nan"),
        (
            "OldReset-v0",
            2,
            "(OldReset-v0), step 0: reset returned an array of shape (5, 7, 3), not",
        ),
        (
            "Floats-v0",
            1,
            "(Floats-v0), step 3: step returned an observation of shape (5, 7, 3) and",
        ),
        ("Empty-v0", 2, "observations of shape (0,) are empty."),
    ],
)
def test_environment_that_cannot_be_trained_in_is_named(env_id, code, words, capsys, monkeypatch):
    monkeypatch.setattr(worker_group, "MAX_FAILURES_IN_ALL", 3)
    where = f"env.id=tests.envs.pool_envs:{env_id}"
    assert train(where, "env.num_envs=1", "agent.network.encoder=auto") == code
    line = capsys.readouterr().err.splitlines()[-1]
    assert words in line
    assert ("latest.pt (" in line) == (code == 1)
