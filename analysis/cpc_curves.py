"""How well CPC predicts: accuracy and loss against the horizon k, at several times of training.

Run as `python -m analysis.cpc_curves RUN... [--out FILE]`.
"""

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.arms import Arm, group_arms
from analysis.command_line import CommandLine
from analysis.figure import (
    MILLION,
    add_caption,
    check_figure_path,
    draw_level_lines,
    draw_seeds,
    house_style,
    new_figure,
    save_figure,
)
from analysis.runs import Run, column_names, find_runs, read_table
from analysis.statistics import FloatArray, mean_of_known
from records.file_names import HORIZON_FILE, PROGRESS_FILE

SHADES = (0.35, 0.65, 1.0)  # strength of an arm's colour at the start, middle and end


class HorizonCurves(NamedTuple):
    """Accuracy and loss of one run at R times and K horizons, from aux_by_horizon.csv."""

    frames: FloatArray  # [R], environment frames, increasing
    k: FloatArray  # [K], agent steps ahead
    loss: FloatArray  # [R, K], nats; NaN where nothing was recorded
    accuracy: FloatArray  # [R, K]


def plot_cpc(run_dirs: Iterable[Path], out_path: Path) -> None:
    """Save `cpc_figure` of the runs in `run_dirs` as `out_path` (.png, .pdf or .svg).

    Raises ValueError: as `cpc_figure` does, or an unknown ending. OSError.
    """
    check_figure_path(out_path)
    save_figure(cpc_figure(run_dirs), out_path)


def cpc_figure(run_dirs: Iterable[Path]) -> Figure:
    """CPC's accuracy and loss against k, a row of two panels per arm.

    `run_dirs` are taken as `find_runs` does; runs without an auxiliary loss are left out.
    Raises ValueError: no such folder, no run with an auxiliary loss, a damaged table.
    """
    found = find_runs(run_dirs)
    runs = [run for run in found if len(read_horizons(run).frames)]
    if not runs:
        raise ValueError(f"no auxiliary loss is recorded in {HORIZON_FILE} of the given runs")
    by_level = itertools.groupby(runs, key=lambda run: (run.level, run.backend))
    arms = [arm for _, level_runs in by_level for arm in group_arms(level_runs)]
    with house_style():
        figure, axes = new_figure(2 * len(arms), columns=2, width=4.8, height=3.6)
        notes: list[str] = []
        for arm, accuracy_axes, loss_axes in zip(arms, axes[::2], axes[1::2], strict=True):
            notes += _draw_arm(arm, accuracy_axes, loss_axes)
        add_caption(figure, notes)
    return figure


def read_horizons(run: Run) -> HorizonCurves:
    """The run's loss and accuracy by horizon; R is 0 where none are recorded (yet)."""
    path = run.folder / HORIZON_FILE
    names = ("frames", "k", "loss", "accuracy")
    table = read_table(path, names) if path.is_file() else {name: np.empty(0) for name in names}
    frames, row = np.unique(table["frames"], return_inverse=True)
    k, column = np.unique(table["k"], return_inverse=True)
    loss, accuracy = (np.full((len(frames), len(k)), np.nan) for _ in range(2))
    loss[row, column], accuracy[row, column] = table["loss"], table["accuracy"]
    return HorizonCurves(frames, k, loss, accuracy)


def chance_levels(run: Run) -> tuple[float, float] | None:
    """Mean chance of picking the positive, 1/N, and mean log N of the run; None if not recorded.

    log N is the recorded bound plus the loss, because the bound is log N - loss.
    """
    path = run.folder / PROGRESS_FILE
    names = ("aux/chance", "aux/loss", "aux/bound")
    if not path.is_file() or not set(names) <= set(column_names(path)):
        return None
    chance, loss, bound = read_table(path, names).values()
    known = ~np.isnan(chance + loss + bound)
    if not known.any():
        return None
    return float(chance[known].mean()), float((loss + bound)[known].mean())


def gradient_share(run: Run) -> float | None:
    """Norm of CPC's gradient on encoder and core over that of A2C's; None if not recorded.

    Means over training, one divided by the other: how strongly prediction shapes the agent.
    """
    path = run.folder / PROGRESS_FILE
    names = ("grad_norm_aux_trunk", "grad_norm_a2c_trunk")
    if not path.is_file() or not set(names) <= set(column_names(path)):
        return None
    aux, a2c = (mean_of_known(norms) for norms in read_table(path, names).values())
    return aux / a2c if aux >= 0 and a2c > 0 else None  # NaN where no row has one


def training_times(rows: int) -> list[slice]:
    """Rows that stand for start, middle and end: a twentieth of `rows` each, at least one.

    Fewer slices where there are fewer than three rows.
    """
    width = max(1, rows // 20)
    starts = sorted({0, (rows - width) // 2, rows - width})
    return [slice(start, start + width) for start in starts]


def _draw_arm(arm: Arm, accuracy_axes: Axes, loss_axes: Axes) -> list[str]:
    """Draw one arm's two panels; return the sentences that explain them."""
    seeds = [read_horizons(run) for run in arm.runs]
    shared = min(seed.frames[-1] for seed in seeds)  # a time that every seed has reached
    seeds = [_until(seed, shared) for seed in seeds]
    times = [training_times(len(seed.frames)) for seed in seeds]
    notes: list[str] = []
    # zip ends with the seed that has the fewest rows
    shades = SHADES[-min(len(slices) for slices in times) :]
    for shade, windows in zip(shades, zip(*times, strict=False), strict=False):
        colour = tuple(1 - shade * (1 - channel) for channel in to_rgb(arm.colour))
        spans = [seed.frames[window] for seed, window in zip(seeds, windows, strict=True)]
        label = _span_text(min(span[0] for span in spans), max(span[-1] for span in spans))
        for axes, name in ((accuracy_axes, "accuracy"), (loss_axes, "loss")):
            rows = [getattr(s, name)[window] for s, window in zip(seeds, windows, strict=True)]
            curves = np.array([[mean_of_known(at_k) for at_k in r.T] for r in rows])
            notes += draw_seeds(axes, seeds[0].k, curves, colour, arm.line_style, label)
    _name_axes(arm, accuracy_axes, loss_axes)
    notes += _draw_chance(arm, accuracy_axes, loss_axes)
    shares = [share for run in arm.runs if (share := gradient_share(run)) is not None]
    if shares:
        notes.append(
            f"{arm.label}, {arm.runs[0].level}: the norm of the auxiliary gradient on encoder and "
            f"core is {np.mean(shares):.2f} of A2C's (means over training)."
        )
    return notes


def _name_axes(arm: Arm, accuracy_axes: Axes, loss_axes: Axes) -> None:
    accuracy_axes.set_ylabel("accuracy")
    loss_axes.set_ylabel("InfoNCE loss (nats)")
    accuracy_axes.set_title(arm.label_with_seeds, loc="left", fontweight="bold")
    first = arm.runs[0]
    loss_axes.set_title(f"{first.level}, {first.backend}", loc="right", fontsize=9, color="0.35")
    for axes in (accuracy_axes, loss_axes):
        axes.set_xlabel("horizon k (agent steps)")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
    accuracy_axes.legend(loc="best")


def _draw_chance(arm: Arm, accuracy_axes: Axes, loss_axes: Axes) -> list[str]:
    levels = [level for run in arm.runs if (level := chance_levels(run)) is not None]
    if levels:
        chance, log_n = np.mean(levels, axis=0)
        draw_level_lines(accuracy_axes, [chance], f"chance\n{chance:.2g}")
        draw_level_lines(loss_axes, [log_n], f"log N\n{log_n:.2f}")
    accuracy_axes.set_ylim(bottom=0)
    return ["Dotted: guessing among N candidates (mean over training)."] if levels else []


def _until(seed: HorizonCurves, frames: float) -> HorizonCurves:
    """What `seed` recorded up to `frames`, and its first row in any case."""
    rows = seed.frames <= max(frames, seed.frames[0])
    return HorizonCurves(seed.frames[rows], seed.k, seed.loss[rows], seed.accuracy[rows])


def _span_text(first: float, last: float) -> str:
    ends = f"{first / MILLION:.3g}", f"{last / MILLION:.3g}"
    return f"{ends[1] if ends[0] == ends[1] else '–'.join(ends)} M frames"


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine(
        "python -m analysis.cpc_curves", "Draw CPC's accuracy and loss against the horizon."
    )
    parser.add_figure("cpc_by_horizon.png")
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    plot_cpc(arguments.runs, arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    sys.exit(main())
