"""How strong an auxiliary loss was beside A2C's, and how well it was learned, as a Markdown table.

Run as `python -m analysis.aux_table RUN...`. One weight is not one strength: how large a gradient
the loss leaves depends on the level and, for CPC, on the negatives.
"""

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from analysis.arms import BASELINE, Arm, group_arms
from analysis.command_line import CommandLine
from analysis.report import NOTHING, markdown, number
from analysis.runs import Run, find_runs
from analysis.scores import FINAL_SHARE, final_mean, progress_columns
from analysis.statistics import FloatArray, mean_of_known

HEADER = ("level", "runs", "seeds", "gradient, share of A2C's", "accuracy", "chance")
NOTE = (
    "Gradient: norm of what the auxiliary loss leaves on encoder and LSTM, its weight included, "
    "divided by that of A2C's loss; each run's median, their mean and the lowest and the highest. "
    "Accuracy: for CPC how often the true future scored highest, mean over horizons and the last "
    f"{FINAL_SHARE:.0%} of the frames; chance: 1 / number of candidates."
)
NORMS = ("grad_norm_aux_trunk", "grad_norm_a2c_trunk")


def gradient_share(run: Run) -> float:
    """The auxiliary loss's gradient on encoder and LSTM / A2C's, median; NaN if not recorded."""
    aux, a2c = progress_columns(run, NORMS)
    known = (a2c > 0) & ~np.isnan(aux)  # most rows have neither: they are measured now and then
    return float(np.median(aux[known] / a2c[known])) if known.any() else float("nan")


def final_accuracy(run: Run) -> tuple[float, float]:
    """InfoNCE's accuracy over the last tenth of the frames, and chance; NaN if not recorded."""
    return final_mean(run, "aux/accuracy"), final_mean(run, "aux/chance")


def markdown_table(run_dirs: Iterable[Path]) -> str:
    """The table, a line for each arm with an auxiliary loss, and a note on how to read it.

    Raises ValueError: as `find_runs`, none of the runs has an auxiliary loss.
    """
    runs = [run for run in find_runs(run_dirs) if run.aux != BASELINE]
    if not runs:
        raise ValueError("none of the runs has an auxiliary loss")
    by_level = itertools.groupby(runs, key=lambda run: (run.level, run.backend, run.preset))
    lines = [_line(level, arm) for level, group in by_level for arm in group_arms(group)]
    return f"{markdown(HEADER, lines)}\n\n{NOTE}"


def _line(level: tuple[str, ...], arm: Arm) -> tuple[str, ...]:
    accuracies, chances = np.array([final_accuracy(run) for run in arm.runs]).T
    return (
        ", ".join(level),
        arm.label,
        str(len(arm.runs)),
        _with_range(np.array([gradient_share(run) for run in arm.runs])),
        _with_range(accuracies),
        number(mean_of_known(chances)),
    )


def _with_range(values: FloatArray) -> str:
    """Their mean, the lowest and the highest of them, such as "0.44 (0.39 to 0.49)"."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return NOTHING
    if len(known) == 1:
        return number(known[0])
    return f"{number(known.mean())} ({number(known.min())} to {number(known.max())})"


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine("python -m analysis.aux_table", "Print how strong auxiliary losses were.")
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    print(markdown_table(arguments.runs))


if __name__ == "__main__":
    sys.exit(main())
