"""Starting one run of a plan as a process: the one place that says how."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from records.failures import sentence
from studies.plan import PlannedRun

TRAIN = Path(__file__).resolve().parent.parent / "train_agent.py"
LOG = "train.log"  # in the run's folder: what the command prints


class Machine(NamedTuple):
    """What a run may use. Several runs on one core each use a machine better than one on all."""

    cores: int = 1
    gpus: int = 0


def settings_on(run: PlannedRun, machine: Machine) -> tuple[str, ...]:
    """The settings of the run's command on that machine."""
    device = "cuda" if machine.gpus else "cpu"
    return (*run.settings, f"threads={machine.cores}", f"device={device}")


def start(run: PlannedRun, machine: Machine) -> subprocess.Popen[bytes]:
    """Start the run, or let it go on from its checkpoint; what it prints goes to its train.log."""
    run.config.folder.mkdir(parents=True, exist_ok=True)
    with open(run.config.folder / LOG, "ab") as log:
        return subprocess.Popen(
            [sys.executable, str(TRAIN), *settings_on(run, machine)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C must not reach it beside the one who started it
        )


def last_line(run: PlannedRun) -> str:
    """The last line that the run printed, or why it cannot be told."""
    try:
        lines = (run.config.folder / LOG).read_text(errors="replace").strip().splitlines()
    except OSError as error:  # the folder was removed, say
        return sentence(error)
    return lines[-1] if lines else "it printed nothing"
