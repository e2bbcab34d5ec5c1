"""Final returns of runs as a Markdown table, one line per arm.

Run as `python -m analysis.table RUN...`.
"""

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from analysis.arms import Arm, group_arms
from analysis.command_line import CommandLine
from analysis.report import NOTHING, markdown, number
from analysis.runs import find_runs
from analysis.scores import FINAL_SHARE, final_return, final_seconds
from analysis.statistics import (
    MIN_SEEDS_FOR_INTERVAL,
    estimate_of_seeds,
    mean_of_known,
    statistic_name,
)

HEADER = (
    "level",
    "runs",
    "seeds",
    "frames (M)",
    "return",
    "95 % interval",
    "return of each seed",
    "which seeds",
    "first success (s)",
    "later success (s)",
)
NOTE = (
    "Return, and seconds to the first and to later successes of an episode, over the episodes that "
    f"ended in the last {FINAL_SHARE:.0%} of each run's frames. Mean over seeds, or with "
    f"{MIN_SEEDS_FOR_INTERVAL} seeds or more the interquartile mean (IQM) and its bootstrap "
    "interval; fewer seeds support no interval. Seconds are means over the successes that there "
    "were: failed searches do not count."
)


def markdown_table(run_dirs: Iterable[Path]) -> str:
    """The table, with a note on how to read it. Raises ValueError as `find_runs` does."""
    by_level = itertools.groupby(
        find_runs(run_dirs), key=lambda run: (run.level, run.backend, run.preset)
    )
    lines = [_line(level, arm) for level, runs in by_level for arm in group_arms(runs)]
    return f"{markdown(HEADER, lines)}\n\n{NOTE}"


def _line(level: tuple[str, ...], arm: Arm) -> tuple[str, ...]:
    finals = np.array([final_return(run) for run in arm.runs])
    summary = estimate_of_seeds(finals)
    interval = f"{number(summary.low)} to {number(summary.high)}"
    first, later = np.array([final_seconds(run) for run in arm.runs]).T
    statistic = "" if len(finals) == 1 else f"{statistic_name(len(finals))} "
    return (
        ", ".join(level),
        arm.label,
        str(len(arm.runs)),
        _frames(arm),
        f"{statistic}{number(summary.value)}",
        interval if summary.has_interval else NOTHING,
        ", ".join(number(final) for final in finals),
        ", ".join(str(run.seed) for run in arm.runs),
        number(mean_of_known(first)),
        number(mean_of_known(later)),
    )


def _frames(arm: Arm) -> str:
    """Millions of frames, or their range where the seeds have not all come as far."""
    ends = {f"{run.frames / 1e6:.1f}": None for run in sorted(arm.runs, key=lambda r: r.frames)}
    texts = list(ends)
    return texts[0] if len(texts) == 1 else f"{texts[0]}–{texts[-1]}"


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine("python -m analysis.table", "Print final returns as a Markdown table.")
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    print(markdown_table(arguments.runs))


if __name__ == "__main__":
    sys.exit(main())
