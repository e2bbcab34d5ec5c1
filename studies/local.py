"""Runs of a plan as processes of this machine, some at a time."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agents.signals import StopSignals
from studies.plan import PlannedRun
from studies.state import frames_per_second

TRAIN = Path(__file__).resolve().parent.parent / "train_agent.py"
LOG = "train.log"  # in the run's folder: what the command prints
POLL_SECONDS = 0.5
SAMPLE_FRAMES = 300_000  # of a run, to measure the speed


def start(run: PlannedRun) -> subprocess.Popen[bytes]:
    """Start a run on one core: several at once use a machine better than one on all cores."""
    folder = run.config.folder
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOG, "ab") as log:
        return subprocess.Popen(
            [sys.executable, str(TRAIN), *run.settings, "threads=1"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C reaches it through `run_all` alone, and once
        )


def run_all(runs: Sequence[PlannedRun], slots: int, signals: StopSignals) -> list[PlannedRun]:
    """Run all, `slots` at a time; return those that failed.

    A signal is passed on to the runs, once: they save, and when all have ended it is raised.
    """
    waiting, failed = list(runs), []
    processes: dict[subprocess.Popen[bytes], PlannedRun] = {}
    ending = False
    with signals.deferred():
        while processes or (waiting and not ending):
            while waiting and len(processes) < slots and not ending:
                run = waiting.pop(0)
                processes[start(run)] = run
                _say(f"started   {run.name}")
            time.sleep(POLL_SECONDS)
            if signals.requested is not None and not ending:
                ending = True
                _say("saving ...")
                for process in processes:
                    process.terminate()
            for process in [p for p in processes if p.poll() is not None]:
                run = processes.pop(process)
                if process.returncode == 0:
                    _say(f"finished  {run.name}")
                elif not ending:
                    failed.append(run)
                    _say(f"FAILED    {run.name} (exit code {process.returncode}): {_last(run)}")
    return failed


def measured_speed(runs: Sequence[PlannedRun], slots: int) -> float:
    """Frames per second of a run while `slots` of them train for a moment side by side.

    Raises ValueError if one fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        samples = [_sample(run, f"{folder}/{i}") for i, run in enumerate(runs[:slots])]
        processes = [start(sample) for sample in samples]
        try:
            for process, sample in zip(processes, samples, strict=True):
                if process.wait() != 0:
                    raise ValueError(f"{sample.name} does not train: {_last(sample)}")
        finally:
            for process in processes:
                process.kill()
                process.wait()
        speeds = [frames_per_second(sample.config.folder) or 0.0 for sample in samples]
    return sum(speeds) / len(speeds)


def _sample(run: PlannedRun, run_root: str) -> PlannedRun:
    """The beginning of a run, in a folder of its own."""
    settings = f"run_root={run_root}", f"total_frames={SAMPLE_FRAMES}", "log.every_frames=100_000"
    return PlannedRun((*run.settings, *settings), replace(run.config, run_root=run_root))


def _last(run: PlannedRun) -> str:
    """The last line that a run printed."""
    lines = (run.config.folder / LOG).read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it printed nothing"


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)
