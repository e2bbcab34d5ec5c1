"""Training as a process of its own: the real level, signals, a script on standard input."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from records import checkpoint
from tests.envs.pool_envs import wait_until

ROOT = Path(__file__).parent.parent


SCRIPT = "import train_agent; print('code', train_agent.main({settings}))"


def test_training_from_a_script_on_standard_input(tmp_path):
    """With two shards, whose processes cannot import such a script, and here must not."""
    settings = ["env.num_envs=2", "threads=2", "agent.unroll_length=5", "total_frames=80"]
    result = subprocess.run(
        [sys.executable, "-"],
        input=SCRIPT.format(settings=[*settings, "device=cpu"]),
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True,
    )  # fmt: skip
    assert result.stderr == ""
    assert result.stdout.rstrip().endswith("code 0")


@pytest.mark.parametrize("command", ["train_agent.py", "evaluate.py"])
def test_interrupt_while_importing_is_one_line(command, tmp_path):
    with subprocess.Popen(
        [sys.executable, str(ROOT / command), "seed=1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        handled = wait_until(lambda: interrupt_is_caught(process.pid))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert handled
    assert (process.returncode, out, err) == (130, "Ended by SIGINT.\n", "")


def interrupt_is_caught(pid):
    """Whether it has come as far as importing PyTorch, which is after its first lines."""
    return "libtorch" in Path(f"/proc/{pid}/maps").read_text()


def test_start_does_not_wait_for_what_draws_figures():
    program = "import sys, train_agent; print({'matplotlib', 'scipy.stats'} & set(sys.modules))"
    command = [sys.executable, "-c", program]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.strip() == "set()"


def test_command_trains_in_the_engine_and_survives_sigterm(tmp_path):
    """The real level, as a process of its own: first line, log lines, exit code, checkpoint."""
    command = [sys.executable, str(ROOT / "train_agent.py"), "aux=cpc", "aux.horizon=2"]
    command += ["agent.unroll_length=5", "env.num_envs=2", "log.every_frames=200", "device=cpu"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert "compiling the engine" in process.stdout.readline()
        assert "| 200 of 20,000,000 frames |" in process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert out.splitlines()[-1] == "Ended by SIGTERM; the same command continues."
    assert err == ""
    state = checkpoint.load(tmp_path / "runs/labsim/room_watermaze/a2c_laptop/cpc/seed_1/latest.pt")
    assert state["learner"]["frames"] >= 200
    assert set(os.listdir(tmp_path)) == {"runs"}
