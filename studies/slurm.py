"""Runs of a plan as the tasks of a Slurm job array, through submitit.

A task that is preempted, or reaches its time limit, saves its run and is queued again; it then goes
on from its checkpoint. The run folders must lie where all nodes see them.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from studies.plan import PlannedRun
from studies.start import Machine, last_line, start

MAX_REQUEUES = 1000  # by the time limit; submitit gives up after 3 otherwise


class Task:
    """One run within a Slurm job: what submitit pickles, calls and, at a warning, asks to save."""

    def __init__(self, run: PlannedRun, machine: Machine) -> None:
        self._run = run
        self._machine = machine
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        """Train to the end. Raises RuntimeError with the last line that a failed run printed."""
        # Slurm's warning, which submitit answers, reaches every process of the job, and would end
        # the run: it inherits that the signal is blocked, and is told by `checkpoint`.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        self._process = start(self._run, self._machine)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
        # Not wait(): it holds a lock that `checkpoint`, called by a signal meanwhile, would need.
        while self._process.poll() is None:
            time.sleep(0.5)
        if self._process.returncode != 0:
            raise RuntimeError(f"{self._run.name}: {last_line(self._run)}")

    def checkpoint(self) -> object:
        """Let the run save and end, and return what takes its place in the queue."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._process.terminate()
            while self._process.poll() is None:
                time.sleep(0.1)
        return DelayedSubmission(Task(self._run, self._machine))


def submit(
    runs: Sequence[PlannedRun],
    name: str,
    folder: Path,
    machine: Machine,
    *,
    slots: int,
    partition: str | None,
    minutes: int,
) -> str:
    """Submit an array of `runs`, `slots` of them at a time; return the job's number.

    Args:
        name: the study's, which the job gets.
        folder: where submitit keeps what it submits, and its logs.
        machine: cores and GPUs of a task.
        partition: Slurm's, or None for its default.
        minutes: time limit of a task until it is queued again.

    Raises ValueError: submitit or Slurm is missing, the study is queued already, or Slurm refuses.
    """
    try:
        import submitit
        from submitit.core.utils import FailedJobError, FailedSubmissionError
    except ImportError:
        raise ValueError("--executor slurm needs submitit: pip install submitit.") from None
    for command in ("squeue", "sbatch", "srun"):
        if shutil.which(command) is None:
            raise ValueError(f"--executor slurm needs Slurm: {command} is not on this machine.")
    queued = _queued(name)
    if queued:
        raise ValueError(
            f"{name} is in Slurm's queue as {queued}; wait for it, or end it with scancel."
        )
    executor = submitit.SlurmExecutor(folder=folder, max_num_timeout=MAX_REQUEUES)
    executor.update_parameters(
        job_name=name,
        array_parallelism=slots,
        time=minutes,
        cpus_per_task=machine.cores,
        **({"gpus_per_node": machine.gpus} if machine.gpus else {}),
        **({"partition": partition} if partition else {}),
    )
    try:
        with executor.batch():
            jobs = [executor.submit(Task(run, machine)) for run in runs]
    except FailedJobError as error:
        raise ValueError(f"Slurm refused the study: {_last_line(str(error))}.") from error
    except FailedSubmissionError as error:
        raise ValueError(
            f"Slurm gave the study no number: {str(error).splitlines()[0]}."
        ) from error
    return str(jobs[0].job_id).partition("_")[0]


def _queued(name: str) -> str:
    """The numbers of queued or running jobs of that name. Raises ValueError: squeue failed."""
    command = ["squeue", "--noheader", "--me", f"--name={name}", "--format=%i"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        raise ValueError(f"squeue failed: {_last_line(error.stderr)}.") from None
    return ", ".join(shown.stdout.split())


def _last_line(printed: str) -> str:
    lines = printed.strip().splitlines()
    return lines[-1].rstrip(".") if lines else "it printed nothing"
