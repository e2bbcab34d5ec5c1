"""Run a study: python -m studies.run PLAN

    python -m studies.run studies/plans/pilots.yaml --dry-run  # what is open, and how long it takes
    python -m studies.run studies/plans/pilots.yaml slots=2    # run it, two runs at a time

Lists which runs of the plan are finished, running and open, and runs the open ones. What was cut
off is resumed; Ctrl-C and SIGTERM save all runs, and the same command goes on. A run that fails is
reported, the others go on, and the exit is non-zero. Each run's output is in its folder, train.log.
"""

import argparse
import shlex
import sys
from collections import Counter
from pathlib import Path

from agents.signals import Interrupted, StopSignals
from studies.local import measured_speed, run_all
from studies.plan import PlannedRun, planned_runs, read_plan
from studies.state import frames_done, frames_per_second, state


def main(argv: list[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plan", type=Path, metavar="PLAN")
    parser.add_argument("settings", nargs="*", metavar="slots=N run_root=FOLDER")
    parser.add_argument("--dry-run", action="store_true", help="print the commands, run nothing")
    arguments = parser.parse_intermixed_args(argv)
    with StopSignals() as signals:
        try:
            slots, run_root = _options(arguments.settings)
            runs = planned_runs(read_plan(arguments.plan), run_root)
            open_runs = _list(runs)
            if arguments.dry_run:
                _estimate(runs, open_runs, slots)
                return 0
            failed = run_all(open_runs, slots, signals)
        except (ValueError, OSError) as error:
            print(error, file=sys.stderr)
            return 2
        except Interrupted as interrupted:
            print(f"Ended by {interrupted}; the same command continues.", flush=True)
            return interrupted.exit_code
    if failed:
        print(f"{len(failed)} of {len(runs)} runs failed; the same command tries them again.")
    return 1 if failed else 0


def _options(settings: list[str]) -> tuple[int, str | None]:
    """Slots and run_root of `key=value` settings. Raises ValueError."""
    slots, run_root = 1, None
    for setting in settings:
        key, _, value = setting.partition("=")
        if key == "slots" and value.isdecimal() and int(value) > 0:
            slots = int(value)
        elif key == "run_root" and value:
            run_root = value
        else:
            raise ValueError(f"{setting} is not known; allowed: slots=1,2,... and run_root=FOLDER.")
    return slots, run_root


def _list(runs: list[PlannedRun]) -> list[PlannedRun]:
    """Print the state of every run; return those that are open."""
    states = [state(run.config) for run in runs]
    for run, now in zip(runs, states, strict=True):
        done, total = frames_done(run.config.folder), run.config.total_frames
        print(f"{now:9} {done / total:4.0%}  {run.name}")
    counts = Counter(states)
    print(", ".join(f"{counts[s]} {s}" for s in ("finished", "running", "open")), flush=True)
    return [run for run, now in zip(runs, states, strict=True) if now == "open"]


def _estimate(runs: list[PlannedRun], open_runs: list[PlannedRun], slots: int) -> None:
    """Print the commands of the open runs, and how long they would take."""
    for run in open_runs:
        print("python train_agent.py", shlex.join((*run.settings, "threads=1")))
    if not open_runs:
        return
    frames = sum(run.config.total_frames - frames_done(run.config.folder) for run in open_runs)
    known = [speed for run in runs if (speed := frames_per_second(run.config.folder)) is not None]
    if known:
        speed, source = sum(known) / len(known), f"the {len(known)} runs begun so far"
    else:
        print("Training for a moment to learn this machine's speed ...", flush=True)
        speed, source = measured_speed(open_runs, slots), "a short training on this machine"
    hours = frames / (speed * min(slots, len(open_runs))) / 3600
    print(
        f"{frames:,} frames are left: {hours:.1f} hours with slots={slots} "
        f"at {speed:,.0f} frames/s each ({source})."
    )


if __name__ == "__main__":
    sys.exit(main())
