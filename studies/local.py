"""Runs of a plan as processes of this machine, some at a time."""

import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from records.failures import sentence
from records.signals import StopSignals
from studies.plan import PlannedRun
from studies.start import Machine, last_line, start
from studies.state import frames_per_second, state

POLL_SECONDS = 0.5
SAMPLE_FRAMES = 300_000  # of a run, to measure the speed
REFUSED = 2  # train_agent.py's exit code where it did not begin: the folder is in use, say


def run_all(
    runs: Sequence[PlannedRun], machine: Machine, slots: int, signals: StopSignals
) -> list[PlannedRun]:
    """Run all, `slots` at a time; return those that failed.

    What another runner of the plan has finished or is training by then is left out. A signal is
    passed on to the runs, once: they save, and when all have ended it is raised. Nothing runs on
    after an error.
    """
    waiting, failed = list(runs), []
    processes: dict[subprocess.Popen[bytes], PlannedRun] = {}
    ending = False
    with signals.deferred(), ended(processes):
        while processes or (waiting and not ending):
            while waiting and len(processes) < slots and not ending:
                run = waiting.pop(0)
                now = state(run.config)
                if now != "open":
                    _say(f"left out  {run.name}: {now} elsewhere")
                    continue
                try:
                    processes[start(run, machine)] = run
                    _say(f"started   {run.name}")
                except OSError as error:
                    failed.append(run)
                    _say(f"FAILED    {run.name}: {sentence(error)}")
            time.sleep(POLL_SECONDS)
            if signals.requested is not None and not ending:
                ending = True
                _say("saving ...")
                for process in processes:
                    process.terminate()
            for process in [p for p in processes if p.poll() is not None]:
                run, code = processes.pop(process), process.returncode
                if code == 0:
                    _say(f"finished  {run.name}")
                elif code == REFUSED and state(run.config) != "open":
                    _say(f"left out  {run.name}: {last_line(run)}")
                elif not ending:
                    failed.append(run)
                    _say(f"FAILED    {run.name} (exit code {code}): {last_line(run)}")
    return failed


def measured_speed(runs: Sequence[PlannedRun], machine: Machine, slots: int) -> float:
    """Frames per second of a run while `slots` of them train for a moment side by side.

    Raises ValueError if one fails, or writes a single row in that moment.
    """
    with tempfile.TemporaryDirectory() as folder:
        samples = [_sample(run, f"{folder}/{i}") for i, run in enumerate(runs[:slots])]
        processes: list[subprocess.Popen[bytes]] = []
        with ended(processes):
            for sample in samples:
                processes.append(start(sample, machine))
            for process, sample in zip(processes, samples, strict=True):
                if process.wait() != 0:
                    raise ValueError(f"{sample.name} does not train: {last_line(sample)}")
        speeds = []
        for sample in samples:
            speed = frames_per_second(sample.config.folder)
            if speed is None:
                raise ValueError(
                    f"{sample.name}: the speed is not known, because {SAMPLE_FRAMES:,} frames are "
                    "too few rollouts to measure it."
                )
            speeds.append(speed)
    return sum(speeds) / len(speeds)


@contextmanager
def ended(processes: Collection[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Whatever happens inside, none of `processes` runs on: those that still do save and end."""
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _sample(run: PlannedRun, run_root: str) -> PlannedRun:
    """The beginning of a run, in a folder of its own."""
    settings = f"run_root={run_root}", f"total_frames={SAMPLE_FRAMES}", "log.every_frames=100_000"
    return PlannedRun((*run.settings, *settings), replace(run.config, run_root=run_root))


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)
