"""Return against environment frames, one panel per level: the figure that compares the arms.

Run as `python -m analysis.curves RUN... [--out FILE]`.
"""

import argparse
import itertools
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from analysis.arms import BASELINE, Arm, group_arms
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
from analysis.published import (
    PUBLISHED_NOTE,
    draw_published,
    published_curves,
)
from analysis.references import REFERENCE_RETURNS
from analysis.runs import Run, differing_settings, find_runs
from analysis.statistics import FloatArray, bin_centres, binned_means
from records.file_names import CONFIG_FILE

COMMITTED_RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
STUDY = COMMITTED_RESULTS / "study"

# All divide 100, the bins of an exported curve, whose bins are then merged without remainder.
BIN_CHOICES = (100, 50, 25, 20, 10, 5, 4, 2, 1)
EPISODES_PER_BIN = 10  # fewer bins where there would be less than this in one
PANELS_PER_ROW = 3
LEGEND_LETTERS = 40  # that fit twice below a panel
PUBLISHED_HEADROOM = 0.6  # how far above our curves published ones are shown, in heights of ours


def plot_level(run_dirs: Iterable[Path], out_path: Path, results: Path = STUDY) -> None:
    """Save `return_figure` of the runs in `run_dirs` as `out_path` (.png, .pdf or .svg).

    Raises ValueError: as `return_figure` does, or an unknown ending. OSError.
    """
    check_figure_path(out_path)
    save_figure(return_figure(run_dirs, results), out_path)


def return_figure(run_dirs: Iterable[Path], results: Path = STUDY) -> Figure:
    """Return curves of the runs in `run_dirs`, which are taken as `find_runs` does.

    Runs of several levels get a panel each. Where none of a panel's runs is a baseline, the
    committed one under `results` is drawn dashed, if there is any.
    Raises ValueError: no such folder, no run in it, a damaged table.
    """
    panels = [list(runs) for _, runs in itertools.groupby(find_runs(run_dirs), key=_panel_key)]
    if not panels:
        raise ValueError("there is no run to draw")
    with house_style():
        figure, axes = new_figure(len(panels), PANELS_PER_ROW, width=6.4, height=4.0)
        notes = [_draw_panel(a, runs, results) for a, runs in zip(axes, panels, strict=True)]
        _make_room_for_legends(figure, axes)
        add_caption(figure, itertools.chain.from_iterable(notes))
    return figure


def committed_baseline(runs: list[Run], results: Path) -> list[Run]:
    """The committed baselines of the level, backend and presets of `runs`; often none.

    They lie in `<results>/<level>/<preset>/none/seed_<n>`.
    """
    folders = {results / run.level / run.preset / BASELINE for run in runs}
    configs = [path for folder in folders for path in folder.glob(f"seed_*/{CONFIG_FILE}")]
    committed = find_runs(path.parent for path in configs)
    return [run for run in committed if run.backend == runs[0].backend]


def choose_bins(runs: list[Run]) -> int:
    """How many bins the longest run is cut into: 100, or fewer where episodes are few."""
    longest = max(run.frames for run in runs)
    densities = [run.returns.episodes.sum() / run.frames for run in runs if run.frames > 0]
    if not densities:
        return 1
    episodes = float(np.median(densities)) * longest  # of a typical run of full length
    return next((b for b in BIN_CHOICES if episodes >= b * EPISODES_PER_BIN), 1)


def seed_curves(runs: Iterable[Run], bin_width: float, bins: int) -> FloatArray:
    """Mean return in each bin, [runs, bins]; NaN where a run has no episode.

    A bin of which a run has trained less than half does not count: its mean would rest on a few
    episodes and show as a spike at the end of the curve.
    """
    centres = bin_centres(bin_width, bins)
    curves = []
    for run in runs:
        returns = run.returns
        curve = binned_means(returns.frames, returns.mean_return, returns.episodes, bin_width, bins)
        curves.append(np.where(centres <= run.frames, curve, np.nan))
    return np.array(curves)


def _panel_key(run: Run) -> tuple[str, str]:
    return run.level, run.backend


def _draw_panel(axes: Axes, runs: list[Run], results: Path) -> list[str]:
    """Draw one level; return the sentences that explain what is seen."""
    level, backend = _panel_key(runs[0])
    axes.set_title(level, loc="left", fontweight="bold")
    presets = ", ".join(sorted({run.preset for run in runs}))
    axes.set_title(f"{backend}, {presets}", loc="right", fontsize=9, color="0.35")
    axes.set_xlabel("environment frames (millions)")
    axes.set_ylabel("return per episode")
    begun = [run for run in runs if len(run.returns.frames)]
    if not begun:
        axes.text(0.5, 0.5, "no finished episode yet", transform=axes.transAxes, ha="center")
        return _draw_references(axes, level)
    longest = max(run.frames for run in begun)
    bins = choose_bins(begun)
    notes: list[str] = []
    for arm in group_arms(begun):
        notes += draw_arm(axes, arm, longest / bins, bins)
    if all(run.aux != BASELINE for run in runs):
        notes += _draw_committed(axes, begun, results, longest, longest / bins)
    notes += finish_panel(axes, level, longest)
    _add_legend(axes)
    width = longest / bins / MILLION
    return [f"Curves: mean return of the episodes in bins of {width:.3g} M frames.", *notes]


def draw_arm(
    axes: Axes, arm: Arm, bin_width: float, bins: int, every_seed: bool = False
) -> list[str]:
    """Draw the arm's return in `bins` bins; return what explains it. `every_seed`: `draw_seeds`."""
    return draw_seeds(
        axes,
        x=bin_centres(bin_width, bins) / MILLION,
        curves=seed_curves(arm.runs, bin_width, bins),
        colour=arm.colour,
        line_style=arm.line_style,
        label=arm.label_with_seeds,
        every_seed=every_seed,
    )


def finish_panel(axes: Axes, level: str, frames: float) -> list[str]:
    """Put what others reach on `level` behind what is drawn over `frames` frames; set the limits.

    Published curves do not dictate the height: one that leaves the panel is named in the sentences
    that are returned.
    """
    references = [reference.mean_return for reference in REFERENCE_RETURNS.get(level, ())]
    bottom = min(0.0, axes.dataLim.y0, *references)
    top = max(axes.dataLim.y1, *references, bottom + 1e-3)
    published = published_curves(level, frames)
    draw_published(axes, published)
    highest = {curve.method: float(curve.mean_return.max()) for curve in published}
    room = top + PUBLISHED_HEADROOM * (top - bottom)
    top = max(top, min(room, max(highest.values(), default=top)))
    axes.set_xlim(0, frames / MILLION)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10]))
    axes.set_ylim(bottom - 0.02 * (top - bottom), top + 0.04 * (top - bottom))
    notes = _draw_references(axes, level) + ([PUBLISHED_NOTE] if published else [])
    above = [f"{name} (up to {high:.3g})" for name, high in highest.items() if high > top]
    return notes + ([f"Above the panel of {level}: {', '.join(above)}."] if above else [])


def _add_legend(axes: Axes) -> None:
    """Below the panel, where it covers no curve; in two columns unless its lines are long."""
    labels = axes.get_legend_handles_labels()[1]
    columns = 2 if max(map(len, labels)) <= LEGEND_LETTERS else 1
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=axes.transAxes + ScaledTranslation(-0.1, -0.5, axes.figure.dpi_scale_trans),
        borderaxespad=0,
        ncols=columns,
        handlelength=2.2,
        columnspacing=1.5,
    )


def _make_room_for_legends(figure: Figure, axes: Sequence[Axes]) -> None:
    """Make the figure higher by its tallest legend in each row, so that panels keep their size."""
    legends = [legend for a in axes if (legend := a.get_legend()) is not None]
    tallest = max((legend.get_window_extent().height for legend in legends), default=0.0)
    rows = math.ceil(len(axes) / PANELS_PER_ROW)
    figure.set_figheight(figure.get_figheight() + rows * tallest / figure.dpi)


def _draw_committed(
    axes: Axes, runs: list[Run], results: Path, longest: float, bin_width: float
) -> list[str]:
    """Overlay the committed baseline, dashed, over the frames that `runs` cover."""
    notes: list[str] = []
    for arm in group_arms(committed_baseline(runs, results)):
        other = differing_settings(arm.runs[0], runs[0])
        caveat = f" (differs in {', '.join(other)})" if other else ""
        notes.append(f"Dashed: committed baseline{caveat}.")
        # An exported curve cannot be cut finer than it was binned.
        width = max(bin_width, *(run.bin_width for run in arm.runs))
        dashed = replace(arm, label=f"{arm.label}, committed baseline", line_style="--")
        notes += draw_arm(axes, dashed, width, math.ceil(longest / width))
    return notes


def _draw_references(axes: Axes, level: str) -> list[str]:
    """Draw what policies reach that do not learn; return the sentence that explains it, if any.

    Lines that lie close together share their place in the margin.
    """
    references = sorted(REFERENCE_RETURNS.get(level, ()), key=lambda r: -r.mean_return)
    if not references:
        return []
    heights = [reference.mean_return for reference in references]
    texts = [f"{reference.policy}\n{reference.mean_return:.2f}" for reference in references]
    low, high = axes.get_ylim()
    if heights[0] - heights[-1] < (high - low) / 8:
        draw_level_lines(axes, heights, "\n".join(texts))
    else:
        for height, text in zip(heights, texts, strict=True):
            draw_level_lines(axes, [height], text)
    return ["Dotted, grey: policies that do not learn, in the real DeepMind Lab."]


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine("python -m analysis.curves", "Draw the return curves of runs.")
    parser.add_figure("return_curves.png")
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    plot_level(arguments.runs, arguments.out)
    print(arguments.out)


if __name__ == "__main__":
    sys.exit(main())
