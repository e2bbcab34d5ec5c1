"""Run a study: python -m studies.run PLAN

    python -m studies.run studies/plans/pilots.yaml --dry-run  # what is open, and how long it takes
    python -m studies.run studies/plans/pilots.yaml slots=2    # run it, two runs at a time
    python -m studies.run studies/plans/pilots.yaml --executor slurm slots=100 partition=gpu

Lists which runs of the plan are finished, running and open, and runs the open ones. What was cut
off is resumed; Ctrl-C and SIGTERM save all runs, and the same command resumes them. A run that
fails is reported, the others go on, and the exit is non-zero. Each run's output is in its folder,
train.log.

Options are key=value:
  slots=1        runs at a time
  run_root=      folder of the runs, in place of the plan's
  cores=1        of each run
  gpus=0         of each run
  partition=     Slurm's; its default if not given
  minutes=600    Slurm's time limit of a run until it is queued again (at least 5)
"""

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from records.failures import sentence
from records.progress import standard_streams
from records.signals import Interrupted, StopSignals
from studies import slurm
from studies.local import measured_speed, run_all
from studies.plan import PlannedRun, planned_runs, read_plan
from studies.start import Machine, settings_on
from studies.state import frames_done, frames_per_second, state


@dataclass(frozen=True)
class Options:
    """How a plan is run; see the module's docstring."""

    slots: int = 1
    run_root: str | None = None
    cores: int = 1
    gpus: int = 0
    partition: str | None = None
    minutes: int = 600

    @classmethod
    def parse(cls, settings: Sequence[str]) -> "Options":
        """Options of `key=value` settings. Raises ValueError, in one sentence."""
        given: dict[str, Any] = {}
        least = {"slots": 1, "cores": 1, "gpus": 0, "minutes": 5}
        for setting in settings:
            key, _, text = setting.partition("=")
            if key not in (field.name for field in fields(cls)) or not text:
                names = ", ".join(f"{field.name}=" for field in fields(cls))
                raise ValueError(f"{setting} is not known; allowed: {names}.")
            if key in least and not (text.isdecimal() and int(text) >= least[key]):
                raise ValueError(f"{setting}: it must be a number from {least[key]} on.")
            given[key] = int(text) if key in least else text
        return cls(**given)

    @property
    def machine(self) -> Machine:
        """What a run may use."""
        return Machine(self.cores, self.gpus)


def main(argv: list[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plan", type=Path, metavar="PLAN")
    parser.add_argument("settings", nargs="*", default=[], metavar="key=value")
    parser.add_argument("--dry-run", action="store_true", help="print commands and duration")
    parser.add_argument("--executor", choices=("local", "slurm"), default="local")
    arguments = parser.parse_intermixed_args(argv)
    with standard_streams(), StopSignals() as signals:
        try:
            options = Options.parse(arguments.settings)
            runs = planned_runs(read_plan(arguments.plan), options.run_root)
            open_runs = _list(runs)
            if arguments.dry_run:
                _estimate(runs, open_runs, options)
                return 0
            if arguments.executor == "slurm":
                return _submit(arguments.plan.stem, open_runs, options)
            failed = run_all(open_runs, options.machine, options.slots, signals)
        except (ValueError, OSError) as error:
            print(sentence(error), file=sys.stderr)
            return 2
        except Interrupted as interrupted:
            print(f"Ended by {interrupted}; the same command continues.", flush=True)
            return interrupted.exit_code
    if failed:
        print(f"{len(failed)} of {len(runs)} runs failed; the same command tries them again.")
    return 1 if failed else 0


def _list(runs: list[PlannedRun]) -> list[PlannedRun]:
    """Print the state of every run; return those that are open."""
    states = [state(run.config) for run in runs]
    for run, now in zip(runs, states, strict=True):
        done, total = frames_done(run.config.folder), run.config.total_frames
        # Whole rollouts end a little beyond the total.
        print(f"{now:9} {min(done / total, 1):4.0%}  {run.name}")
    counts = Counter(states)
    print(", ".join(f"{counts[s]} {s}" for s in ("finished", "running", "open")), flush=True)
    return [run for run, now in zip(runs, states, strict=True) if now == "open"]


def _estimate(runs: list[PlannedRun], open_runs: list[PlannedRun], options: Options) -> None:
    """Print the commands of the open runs, and how long they would take."""
    for run in open_runs:
        print("python train_agent.py", shlex.join(settings_on(run, options.machine)))
    if not open_runs:
        return
    frames = sum(
        max(run.config.total_frames - frames_done(run.config.folder), 0) for run in open_runs
    )
    known = [speed for run in runs if (speed := frames_per_second(run.config.folder)) is not None]
    if known:
        speed, source = sum(known) / len(known), f"the {len(known)} runs begun so far"
    else:
        print("Training for a moment to learn this machine's speed ...", flush=True)
        speed = measured_speed(open_runs, options.machine, options.slots)
        source = "a short training on this machine"
    hours = frames / (speed * min(options.slots, len(open_runs))) / 3600
    print(
        f"{frames:,} frames are left: {hours:.1f} hours with slots={options.slots} "
        f"at {speed:,.0f} frames/s each ({source})."
    )


def _submit(name: str, open_runs: list[PlannedRun], options: Options) -> int:
    """Hand the open runs to Slurm; return the exit code."""
    if not open_runs:
        return 0
    folder = Path(open_runs[0].config.run_root).expanduser() / "slurm"
    job = slurm.submit(
        open_runs,
        name,
        folder,
        options.machine,
        slots=options.slots,
        partition=options.partition,
        minutes=options.minutes,
    )
    print(
        f"Submitted {len(open_runs)} runs as job {job}; squeue --me shows them, the same command "
        f"with --dry-run how far they are, and {folder} has their logs."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
