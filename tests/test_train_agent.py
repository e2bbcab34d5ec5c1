"""The command: a run from start to end, resume, signals, sweeps. Tiny worlds, tiny networks."""

import csv
import os
import re
import signal
import sys
import threading
from pathlib import Path

import pytest
import torch

import train_agent
from agents.learner import Learner
from agents.parallel import process, shards
from configs import learners
from records import checkpoint
from records.weights import Weights, save_weights
from tests.known_answer_envs import RandomEnds

TINY = (
    "agent.network.encoder=mlp",
    "agent.network.hidden_size=11",
    "agent.unroll_length=5",
    "env.num_envs=3",
    "aux.horizon=2",
    "aux.anchors=3",
    "threads=1",
    "device=cpu",
    "total_frames=1_800",  # 30 updates
    "log.every_frames=300",
    "log.checkpoint_frames=420",
)
FOLDER = Path("runs/labsim/room_watermaze/a2c_laptop")
CLOCK = {"seconds", "frames_per_second"}


def make_random_ends(config, num_envs, **settings):
    return RandomEnds(num_envs)


@pytest.fixture(autouse=True)
def tiny_world(monkeypatch, tmp_path):
    """Vectors and random ends in place of the level; the run's folder below tmp_path."""
    monkeypatch.setattr(learners, "make_vec_env", make_random_ends)
    monkeypatch.chdir(tmp_path)


def train(*settings):
    return train_agent.main([*TINY, *settings])


def table(path):
    with open(path, newline="") as file:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]


def stop_after(monkeypatch, updates, stop):
    """Call `stop` in the course of that update."""
    update = Learner.update

    def stopping_update(learner):
        update(learner)
        if learner.updates == updates:
            stop()

    monkeypatch.setattr(Learner, "update", stopping_update)


def kill():
    raise RuntimeError("killed without a chance to save")


def assert_equal(a, b):
    """Nested states are equal to the bit."""
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, list | tuple):
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert a == b or (a != a and b != b)


def test_run_leaves_everything_it_promises(capsys):
    assert train("aux=cpc") == 0
    folder = FOLDER / "cpc" / "seed_1"
    names = {path.name.split(".")[0] for path in folder.iterdir()}
    assert names >= {"config", "progress", "episodes", "aux_by_horizon", "events", "latest", "cpc"}
    progress = table(folder / "progress.csv")
    assert [int(row["frames"]) for row in progress] == [300, 600, 900, 1200, 1500, 1800]
    assert {"return_mean", "policy_loss", "entropy", "aux/loss", "aux/accuracy"} <= set(progress[0])
    assert len(table(folder / "aux_by_horizon.csv")) == 6 * 2
    assert sum(int(row["episodes"]) for row in progress) == len(table(folder / "episodes.csv")) > 20
    printed = capsys.readouterr().out
    assert "compiling the engine takes about 30 s" in printed.splitlines()[0]
    assert "room_watermaze cpc seed 1 | 300 of 1,800 frames" in printed
    assert f"Return curves of 1 run: {FOLDER / 'returns.png'}" in printed
    assert (FOLDER / "returns.png").exists()
    assert f"To evaluate the agent: python evaluate.py {folder}\n" in printed
    assert "To train the baseline: python train_agent.py" in printed
    assert "aux=none\n" in printed
    assert printed.rstrip().endswith(f"In TensorBoard: tensorboard --logdir {FOLDER}")
    assert set(os.listdir(".")) == {"runs"}


def test_finished_run_says_so_and_trains_no_more(capsys, no_figures):
    assert train() == 0
    before = (FOLDER / "none/seed_1/progress.csv").read_bytes()
    capsys.readouterr()
    assert train() == 0
    out = capsys.readouterr().out
    assert "is finished (1,800 frames). To train it on: a larger total_frames= and resume." in out
    assert (FOLDER / "none/seed_1/progress.csv").read_bytes() == before


def test_what_a_run_says_before_and_after(monkeypatch, capsys, no_figures):
    """Settings of CPC that change nothing, where it continues, what a random policy earns."""
    with monkeypatch.context() as patch:
        stop_after(patch, 4, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert train("aux.weight=0.1") == 130
    out = capsys.readouterr().out
    unused = "aux.horizon=2 aux.anchors=3 aux.weight=0.1"
    assert out.startswith(f"Without aux=cpc, say, this changes nothing: {unused}\n")
    assert train("aux.weight=0.1") == 0
    out = capsys.readouterr().out
    assert f"{FOLDER / 'none/seed_1'}: continuing at 240 frames on cpu, " in out
    assert " (random policy 0.78) | " in out


@pytest.mark.parametrize(
    ("number", "cause"), [(signal.SIGKILL, "(signal 9)"), (signal.SIGSTOP, "gave no answer for")]
)
def test_a_lost_shard_stops_with_the_cause_and_keeps_the_checkpoint(
    number, cause, monkeypatch, capsys
):
    update = Learner.update

    def losing_update(learner):
        if learner.updates == 10:
            os.kill(learner._shards.others[0].process.pid, number)
            if number == signal.SIGSTOP:
                monkeypatch.setattr(shards, "PATIENCE_S", 0.5)
                monkeypatch.setattr(process, "CLOSE_PATIENCE_S", 0.5)
        update(learner)

    monkeypatch.setattr(Learner, "update", losing_update)
    assert train("threads=2") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Stopped: a worker process")
    assert cause in line
    assert "the last good checkpoint is" in line
    assert "latest.pt (420 frames)" in line


def test_a_sweep_tells_of_a_folder_with_another_run_before_it_trains(capsys):
    assert train("aux=cpc", "total_frames=60") == 0
    capsys.readouterr()
    assert train("-m", "aux=none,cpc", "total_frames=120") == 2
    out, err = capsys.readouterr()
    assert "holds a run with total_frames=60, not 120: continue with resume.extend=true" in err
    assert re.findall(r"Run (\d) of 2: ", out) == ["1"]
    assert "1 of 2 runs are complete, without aux=cpc." in out


def test_sweep_reports_a_failed_run_and_trains_the_others(capsys):
    assert train("-m", "aux=none,cpc", "aux.horizon=2,7", "total_frames=600") == 2
    out, err = capsys.readouterr()
    assert "3 of 4 runs are complete, without aux=cpc aux.horizon=7." in out
    assert re.findall(r"Run (\d) of 4: ", out) == ["1", "2", "3"]
    assert err.count("\n") == 1
    assert "aux=cpc aux.horizon=7" in err
    assert "aux.horizon is 7; it must be at most agent.unroll_length (5)" in err
    assert (FOLDER / "cpc/seed_1/progress.csv").exists()
    assert "Return curves of 2 runs" in out
    assert "To train the baseline" not in out


def test_non_finite_loss_stops_with_the_cause_and_keeps_the_checkpoint(monkeypatch, capsys):
    step = RandomEnds.step_into

    def poisoned_step(env, actions, obs):
        result = step(env, actions, obs)
        env.steps = getattr(env, "steps", 0) + 1
        return result._replace(reward=result.reward * float("nan" if env.steps > 50 else 1))

    monkeypatch.setattr(RandomEnds, "step_into", poisoned_step)
    assert train() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Stopped: update 11 at 660 frames")
    assert "the last good checkpoint is" in line
    assert "latest.pt (420 frames)" in line
    state = checkpoint.load(FOLDER / "none/seed_1/latest.pt")["learner"]
    assert state["updates"] == 7
    assert all(x.isfinite().all() for x in state["agent"].values())


def test_mistakes_of_a_sweep_are_told_before_it_begins(monkeypatch, capsys):
    monkeypatch.setattr(
        train_agent,
        "run_request",
        lambda request, *_: 2 if request.error else print("trained", file=sys.stderr) or 0,
    )
    assert train("-m", "env.num_envs=3,banana") == 2
    mistake, trained = capsys.readouterr().err.splitlines()
    assert mistake == ("env.num_envs=banana: env.num_envs is 'banana'; it must be a whole number.")
    assert trained == "trained"
    assert train("-m", "agent.learning_rate=1e-3,5e-4") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"would both be trained in {FOLDER}/none/seed_1; " in line
    assert line.endswith("with a tag, as in 'tag=learning_rate${agent.learning_rate}'.")


def test_printed_commands_are_quoted_for_a_shell(capsys):
    assert train("aux=cpc", "run_root=my runs (1)", "total_frames=60") == 0
    printed = capsys.readouterr().out
    assert "python train_agent.py" in printed
    assert "'run_root=my runs (1)'" in printed
    assert "tensorboard --logdir 'my runs (1)/labsim/room_watermaze/a2c_laptop'" in printed


def test_run_starts_from_the_weights_of_another(capsys, no_figures):
    assert train("total_frames=60") == 0
    first = checkpoint.load(FOLDER / "none/seed_1/latest.pt")["learner"]
    other = f"start_from={FOLDER / 'none/seed_1'}"
    # One step of next to no size, so that the weights can be compared.
    assert train(other, "tag=on", "total_frames=60", "agent.learning_rate=1e-30") == 0
    state = checkpoint.load(FOLDER / "none-on/seed_1/latest.pt")["learner"]
    assert state["frames"] == 60
    for name, weight in first["agent"].items():
        assert torch.equal(state["agent"][name], weight)
    agent = Path("pretrained/room_watermaze_a2c")  # a folder with an agent alone
    agent.mkdir(parents=True)
    save_weights(agent / "agent.safetensors", Weights(60, first["agent"], {}))
    step = ("total_frames=60", "agent.learning_rate=1e-30")
    assert train(f"start_from={agent}", "tag=alone", *step) == 0
    state = checkpoint.load(FOLDER / "none-alone/seed_1/latest.pt")["learner"]
    for name, weight in first["agent"].items():
        assert torch.equal(state["agent"][name], weight.half().float())
    capsys.readouterr()
    assert train(other, "tag=wide", "agent.network.hidden_size=13") == 2
    assert "has another network, which differs in " in capsys.readouterr().err
    assert train("start_from=nowhere", "tag=x") == 2
    assert "There is no checkpoint nowhere/latest.pt." in capsys.readouterr().err


def test_settings_from_a_file_and_from_the_config_of_a_run(capsys, no_figures):
    Path("mine.yaml").write_text("total_frames: 120\nagent:\n  unroll_length: 7\ntag: it's\n")
    assert train_agent.main([*TINY[:2], *TINY[3:8], "mine.yaml", "tag=file"]) == 0
    folder = FOLDER / "none-file/seed_1"
    assert table(folder / "progress.csv")[0]["frames"] == "168"  # two updates of 7 x 3 x 4
    capsys.readouterr()
    assert train_agent.main([str(folder / "config.yaml")]) == 0
    assert f"{folder} is finished (120 frames)." in capsys.readouterr().out
    assert train_agent.main(["nowhere.yaml"]) == 2
    assert capsys.readouterr().err == "No such file or directory: nowhere.yaml\n"


def test_training_inside_a_thread():
    codes = []
    thread = threading.Thread(target=lambda: codes.append(train("total_frames=60")))
    thread.start()
    thread.join()
    assert codes == [0]
