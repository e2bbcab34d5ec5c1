"""Shrink runs to the few kilobytes that are kept in `benchmarks/results`.

Run as `python -m analysis.export RUN... --out FOLDER`. Each run becomes
`<out>/<level>/<preset>/<aux>[-<tag>]/seed_<n>/`, which the rest of `analysis` reads like a run:

- config.yaml: the run's, without the folder it was written to;
- curves.csv: the run's frames in 100 bins, with means over the episodes that ended in each;
- progress.csv: columns that tell how training went, averaged in 100 bins;
- aux_by_horizon.csv: loss and accuracy at each horizon k, averaged in 20 bins.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import yaml

from analysis.command_line import CommandLine
from analysis.report import write_csv
from analysis.runs import (
    CURVES_COLUMNS,
    CURVES_FILE,
    Run,
    column_names,
    find_runs,
    open_run,
    read_table,
)
from analysis.statistics import FloatArray, binned_means, binned_sums
from records.file_names import CONFIG_FILE, EPISODES_FILE, HORIZON_FILE, PROGRESS_FILE
from records.whole_files import replace_file

FOLDER_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
CURVE_BINS = 100
HORIZON_BINS = 20
WHOLE_NUMBERS = ("frames", "frames_from", "frames_to", "k")
PROGRESS_COLUMNS = (
    "frames_per_second",
    "entropy",
    "explained_variance",
    "grad_norm_a2c_trunk",
    "grad_norm_aux_trunk",
    "aux/loss",
    "aux/accuracy",
    "aux/chance",
    "aux/bound",
)


def export_run(run: Run, out: Path) -> Path:
    """Write the small version of `run` under `out`; return its folder.

    Raises ValueError: the run has no finished episode or names no folder, or the folder is a run
    itself or another backend's. OSError.
    """
    if not len(run.returns.frames):
        raise ValueError(f"{run.folder} has no finished episode to export")
    folder = _export_folder(run, out)
    if folder.resolve() == run.folder.resolve() or (folder / EPISODES_FILE).exists():
        raise ValueError(f"{folder} is a run itself; choose another --out")
    if (folder / CONFIG_FILE).is_file() and open_run(folder).backend != run.backend:
        raise ValueError(f"{folder} holds a run on another backend; choose another --out")
    _write_table(
        folder / CURVES_FILE, ("frames_from", "frames_to", *CURVES_COLUMNS), _curve_rows(run)
    )
    if (run.folder / PROGRESS_FILE).is_file():
        columns, rows = _progress_rows(run)
        _write_table(folder / PROGRESS_FILE, columns, rows)
    if (run.folder / HORIZON_FILE).is_file():
        _write_table(folder / HORIZON_FILE, ("frames", "k", "loss", "accuracy"), _horizon_rows(run))
    # Last, because a folder with a configuration counts as a run.
    config = {key: value for key, value in run.config.items() if key != "run_root"}
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    replace_file(folder / CONFIG_FILE, text.encode())
    return folder


def _export_folder(run: Run, out: Path) -> Path:
    """Where the small version of `run` goes. Raises ValueError: a part of it names no folder."""
    for name in (run.level, run.preset, run.arm):  # someone else's run could name any folder
        if not FOLDER_NAME.fullmatch(name):
            raise ValueError(f"{run.folder / CONFIG_FILE}: {name!r} cannot name a folder of --out")
    return out / run.level / run.preset / run.arm / f"seed_{run.seed}"


def _curve_rows(run: Run) -> FloatArray:
    """Rows of curves.csv, [CURVE_BINS, columns]."""
    returns, width = run.returns, run.frames / CURVE_BINS

    def sums(values: FloatArray) -> FloatArray:
        return binned_sums(returns.frames, values, width, CURVE_BINS)

    def means(values: FloatArray, weights: FloatArray) -> FloatArray:
        return binned_means(returns.frames, values, weights, width, CURVE_BINS)

    return np.stack(
        [
            np.arange(CURVE_BINS) * width,
            np.arange(1, CURVE_BINS + 1) * width,
            sums(returns.episodes),
            means(returns.mean_return, returns.episodes),
            means(returns.successes, returns.episodes),
            means(returns.first_seconds, returns.first_count),
            sums(returns.first_count),
            means(returns.later_seconds, returns.later_count),
            sums(returns.later_count),
        ],
        axis=1,
    )


def _progress_rows(run: Run) -> tuple[tuple[str, ...], FloatArray]:
    """Columns and rows [CURVE_BINS, columns] of progress.csv; `frames` is a bin's end."""
    path = run.folder / PROGRESS_FILE
    columns = ("frames", *(name for name in PROGRESS_COLUMNS if name in column_names(path)))
    table = read_table(path, columns)
    width = run.frames / CURVE_BINS
    means = [
        binned_means(table["frames"], table[name], np.ones_like(table["frames"]), width, CURVE_BINS)
        for name in columns[1:]
    ]
    ends = np.arange(1, CURVE_BINS + 1) * width
    return columns, _with_values(np.stack([ends, *means], axis=1), keys=1)


def _horizon_rows(run: Run) -> FloatArray:
    """Rows (frames at the end of a bin, k, loss, accuracy) by bin and k, [rows, 4]."""
    frames, ks, losses, accuracies = read_table(
        run.folder / HORIZON_FILE, ("frames", "k", "loss", "accuracy")
    ).values()
    width = run.frames / HORIZON_BINS
    ends = np.arange(1, HORIZON_BINS + 1) * width
    blocks = []
    for k in np.unique(ks):
        at_k = ks == k
        loss, accuracy = (
            binned_means(frames[at_k], values[at_k], np.ones(at_k.sum()), width, HORIZON_BINS)
            for values in (losses, accuracies)
        )
        blocks.append(np.stack([ends, np.full(HORIZON_BINS, k), loss, accuracy], axis=1))
    # [K, bins, 4] -> bins first, as in the run's own file
    rows = np.stack(blocks, axis=1).reshape(-1, 4) if blocks else np.empty((0, 4))
    return _with_values(rows, keys=2)


def _with_values(rows: FloatArray, keys: int) -> FloatArray:
    """The rows with a value beyond their first `keys` columns: short runs leave bins empty."""
    return rows[~np.isnan(rows[:, keys:]).all(axis=1)]


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[FloatArray]) -> None:
    """Write a CSV with frames as whole numbers, the rest with six digits, NaN as empty cells."""

    def cell(column: str, value: float) -> str:
        if np.isnan(value):
            return ""
        return f"{value:.0f}" if column in WHOLE_NUMBERS else f"{value:.6g}"

    write_csv(path, columns, ([cell(*pair) for pair in zip(columns, r, strict=True)] for r in rows))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine("python -m analysis.export", "Shrink runs to small committed results.")
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, required=True, help="where to write them"
    )
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    """Export what can be; raise ValueError at the end for what cannot."""
    runs, wrong = find_runs(arguments.runs), []
    written: dict[Path, Run] = {}
    for run in runs:
        try:
            if len(runs) > 1 and not len(run.returns.frames):
                print(f"Left out: {run.folder} has no finished episode yet.")
                continue
            other = written.setdefault(_export_folder(run, arguments.out), run)
            if other is not run:
                raise ValueError(
                    f"{run.folder} and {other.folder} would share a folder of --out; "
                    "export one of them elsewhere"
                )
            print(export_run(run, arguments.out))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("; ".join(wrong))


if __name__ == "__main__":
    sys.exit(main())
