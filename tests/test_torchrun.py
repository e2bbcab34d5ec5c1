"""Two ranks of torchrun share a run: the same update, and what becomes of it if one fails."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import train_agent
from configs import learners
from records import checkpoint
from records.run_folder import RunFolder
from tests.known_answer_envs import RandomEnds
from tests.test_train_agent import assert_equal, table

pytestmark = pytest.mark.slow  # starts processes

ROOT = Path(__file__).parent.parent
TINY = (
    "agent.network.encoder=mlp",
    "agent.network.hidden_size=11",
    "agent.unroll_length=5",
    "agent.learning_rate=0.02",  # large, so that a wrong gradient shows in three updates
    "env.num_envs=5",  # 2 and 3
    "aux.horizon=2",
    "aux.anchors=3",
    "aux.weight=1",
    "threads=1",
    "device=cpu",
    "total_frames=900",  # 9 updates
    "log.every_frames=300",
    "log.checkpoint_frames=300",
    "log.keep_checkpoints=7",
    "log.evaluate_frames=450",
    "log.evaluate_episodes=3",
)
FOLDER = Path("labsim/room_watermaze/a2c_laptop")
THIRD = "checkpoint_000000000300.pt"  # after three updates
AFTER_THREE = 1e-5


def environment(**extra):
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **extra}


def torchrun(*settings, options=(), **extra):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", *options, "-m", "tests.ranks_command", *TINY, *settings]
    return subprocess.run(
        command, env=environment(**extra), capture_output=True, text=True, timeout=300
    )


def two_ranks(*settings, **extra):
    """The same without torchrun, in less time: exit codes, and what both have printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ranks_command", *TINY, *settings],
            env=environment(RANK=rank, LOCAL_RANK=rank, **common, **extra),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in "01"
    ]  # fmt: skip
    printed = [process.communicate(timeout=300) for process in processes]
    codes = [process.returncode for process in processes]
    out, err = ("".join(texts) for texts in zip(*printed, strict=True))
    return codes, out.splitlines(), err.splitlines()


@pytest.fixture
def one_process(monkeypatch):
    def make_vec_env(config, num_envs, **settings):
        return RandomEnds(num_envs)

    monkeypatch.setattr(learners, "make_vec_env", make_vec_env)
    return lambda *settings: train_agent.main([*TINY, *settings])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a run that two ranks have finished."""
    root = tmp_path_factory.mktemp("undisturbed")
    result = torchrun("aux=cpc", f"run_root={root}")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("starting on cpu, 2 ranks of 1 thread;") == 1
    return root / FOLDER / "cpc/seed_1"


def assert_close(ours, theirs):
    """Parameters agree, and environments are equal."""
    ours, theirs = (checkpoint.load(path)["learner"] for path in (ours, theirs))
    for name in ("agent", "aux"):
        for key, value in theirs[name].items():
            torch.testing.assert_close(ours[name][key], value, rtol=AFTER_THREE, atol=AFTER_THREE)
    assert_equal(ours["envs"]["envs"], theirs["envs"]["envs"])
    assert_equal(ours["envs"]["last_action"], theirs["envs"]["last_action"])
    assert_equal(ours["action_generator"], theirs["action_generator"])


def test_two_ranks_learn_what_one_process_learns(undisturbed, one_process, tmp_path):
    assert one_process("aux=cpc", f"run_root={tmp_path}") == 0
    folder = tmp_path / FOLDER / "cpc/seed_1"
    assert_close(undisturbed / THIRD, folder / THIRD)
    ours, theirs = (table(path / "progress.csv")[0] for path in (undisturbed, folder))
    numbers = ({k: float(v) for k, v in row.items()} for row in (ours, theirs))
    assert next(numbers) == pytest.approx(next(numbers), rel=1e-4, abs=1e-6, nan_ok=True)
    episodes = [table(path / "episodes.csv") for path in (undisturbed, folder)]
    first = [sorted(str(e) for e in es if int(e["frames"]) <= 300) for es in episodes]
    assert first[0] == first[1] != []


def test_the_first_rank_reads_start_from_for_all(undisturbed, one_process, tmp_path):
    settings = "aux=none", f"start_from={undisturbed}"
    codes, _, err = two_ranks(*settings, f"run_root={tmp_path / 'two'}")
    assert (codes, err) == ([0, 0], [])
    assert one_process(*settings, f"run_root={tmp_path / 'one'}") == 0
    third = FOLDER / "none/seed_1" / THIRD
    assert_close(tmp_path / "two" / third, tmp_path / "one" / third)


def test_killed_rank_is_restarted_and_the_run_has_the_same_bits(undisturbed, tmp_path):
    result = torchrun(
        "aux=cpc", f"run_root={tmp_path}", options=["--max-restarts", "1"], TROUBLE="SIGKILL:5"
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("Stopped: rank 1 (process ") == 1
    assert "latest.pt (300 frames)." in result.stderr
    folder = tmp_path / FOLDER / "cpc/seed_1"
    states = [checkpoint.load(path / "latest.pt")["learner"] for path in (undisturbed, folder)]
    assert_equal(*states)
    for name in ("progress.csv", "episodes.csv", "aux_by_horizon.csv", "evaluation.csv"):
        assert table(undisturbed / name) == table(folder / name)


def test_signal_to_one_rank_saves_once_and_one_process_goes_on(one_process, tmp_path):
    settings = "aux=none", "agent.normalize_advantages=true", "agent.max_grad_norm=40"
    codes, out, err = two_ranks(*settings, f"run_root={tmp_path / 'two'}", TROUBLE="SIGTERM:4")
    assert (codes, err) == ([143, 143], [])
    assert out[-1] == "Ended by SIGTERM; the same command continues."
    assert sum("SIGTERM" in line for line in out) == 1
    folder = tmp_path / "two" / FOLDER / "none/seed_1"
    assert checkpoint.load(folder / "latest.pt")["learner"]["updates"] == 4
    assert one_process(*settings, f"run_root={tmp_path / 'one'}") == 0
    assert_close(folder / THIRD, tmp_path / "one" / FOLDER / "none/seed_1" / THIRD)
    assert one_process(*settings, f"run_root={tmp_path / 'two'}") == 0
    assert checkpoint.load(folder / "latest.pt")["learner"]["updates"] == 9


def test_loss_that_is_not_finite_on_one_rank_stops_all(tmp_path):
    codes, _, err = two_ranks("aux=none", f"run_root={tmp_path}", TROUBLE="nan:5")
    assert codes == [1, 1]
    (line,) = err
    assert line.startswith("Stopped: update 5 at 500 frames: not finite: policy_loss of rank 1, ")
    assert line.endswith("latest.pt (300 frames).")


def test_folder_in_use_ends_all_in_one_sentence(tmp_path):
    with RunFolder(tmp_path / FOLDER / "none/seed_1"):
        codes, out, err = two_ranks("aux=none", f"run_root={tmp_path}")
    assert codes == [2, 1]
    assert out == []
    held = f"is in use by process {os.getpid()}; wait for it"
    assert sum(held in line for line in err) == 1
    assert sum("ended, which its own output explains" in line for line in err) == 1
    assert not any("Traceback" in line for line in err)
