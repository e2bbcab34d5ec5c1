"""Final returns of runs as a Markdown table, one line per arm.

Run as `python -m analysis.table RUN...`.
"""

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.arms import Arm, group_arms
from analysis.command_line import CommandLine
from analysis.runs import Run, find_runs
from analysis.statistics import (
    MIN_SEEDS_FOR_INTERVAL,
    FloatArray,
    aggregate_seeds,
    weighted_mean,
)

FINAL_SHARE = 0.1  # of a run's frames, at their end
HEADER = (
    "level",
    "runs",
    "seeds",
    "frames (M)",
    "return",
    "95 % interval",
    "return of each seed",
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
    lines = [HEADER, ("---",) * len(HEADER)]
    for level, runs in by_level:
        lines += [_line(level, arm) for arm in group_arms(runs)]
    return "\n".join([*map(_markdown_row, lines), "", NOTE])


def final_return(run: Run) -> float:
    """Mean return over the last tenth of the run's frames; NaN if no episode ended there."""
    returns, late = run.returns, _late(run)
    return weighted_mean(returns.mean_return[late], returns.episodes[late])


def final_seconds(run: Run) -> tuple[float, float]:
    """Mean seconds to first and to later successes in the last tenth; NaN where there are none."""
    returns, late = run.returns, _late(run)
    return (
        weighted_mean(returns.first_seconds[late], returns.first_count[late]),
        weighted_mean(returns.later_seconds[late], returns.later_count[late]),
    )


def _markdown_row(cells: Iterable[str]) -> str:
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def _late(run: Run) -> NDArray[np.bool_]:
    return run.returns.frames > (1 - FINAL_SHARE) * run.frames


def _line(level: tuple[str, ...], arm: Arm) -> tuple[str, ...]:
    finals = np.array([final_return(run) for run in arm.runs])
    summary = aggregate_seeds(finals[:, None])
    interval = "–"
    if summary.low is not None and summary.high is not None:
        interval = f"{_number(summary.low[0])} to {_number(summary.high[0])}"
    first, later = np.array([final_seconds(run) for run in arm.runs]).T
    statistic = "" if len(finals) == 1 else f"{summary.statistic} "
    return (
        ", ".join(level),
        arm.label,
        ", ".join(str(run.seed) for run in arm.runs),
        _frames(arm),
        f"{statistic}{_number(summary.centre[0])}",
        interval,
        ", ".join(_number(final) for final in finals),
        _number(_mean_of_known(first)),
        _number(_mean_of_known(later)),
    )


def _frames(arm: Arm) -> str:
    """Millions of frames, or their range where the seeds have not all come as far."""
    ends = {f"{run.frames / 1e6:.1f}": None for run in sorted(arm.runs, key=lambda r: r.frames)}
    texts = list(ends)
    return texts[0] if len(texts) == 1 else f"{texts[0]}–{texts[-1]}"


def _mean_of_known(values: FloatArray) -> float:
    return weighted_mean(values, np.ones_like(values))


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine("python -m analysis.table", "Print final returns as a Markdown table.")
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    print(markdown_table(arguments.runs))


if __name__ == "__main__":
    sys.exit(main())
