"""The look of the figures, and saving them so that equal data give equal files."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.statistics import MIN_SEEDS_FOR_INTERVAL, FloatArray, aggregate_seeds
from records.whole_files import check_replaceable, naming, replaced_when_complete

_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.3",
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.7,
    "xtick.color": "0.3",
    "ytick.color": "0.3",
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fontsize": 9,
    "lines.solid_capstyle": "round",
    "text.parse_math": False,  # a tag may hold dollar signs
    "svg.hashsalt": "analysis",  # ids inside an SVG would be random otherwise
}
# What matplotlib would stamp into a file: the time of day and its own version.
_NO_STAMP: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    ".svg": {"Date": None, "Creator": None},
}
DOTS_PER_INCH = 200
MILLION = 1e6  # environment frames are shown in millions


def house_style() -> AbstractContextManager[None]:
    """Draw inside this: matplotlib's defaults and our changes, whatever the user has set."""
    return matplotlib.style.context(_STYLE, after_reset=True)


def check_figure_path(path: Path) -> None:
    """Raise ValueError unless `path` ends like a figure, OSError unless it can be written."""
    if path.suffix.lower() not in _NO_STAMP:
        raise ValueError(f"{path} must end with one of {', '.join(_NO_STAMP)}")
    check_replaceable(path)


def new_figure(panels: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with `panels` axes in rows of `columns`, each `width` x `height` inches.

    Made without pyplot, which would keep it in a global list and may look for a display.
    """
    columns = min(panels, columns)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = np.asarray(figure.subplots(rows, columns, squeeze=False)).ravel()
    for unused in axes[panels:]:
        unused.remove()
    return figure, list(axes[:panels])


def add_caption(figure: Figure, sentences: Iterable[str]) -> None:
    """Write how to read the figure below it, in small print; a repeated sentence once."""
    letters = int(17 * figure.get_figwidth())  # that fit on a line of this size
    text = textwrap.fill(" ".join(dict.fromkeys(sentences)), letters)
    caption = figure.supxlabel(text, fontsize=7.5, color="0.35", x=0.01)
    caption.set_horizontalalignment("left")


def draw_seeds(
    axes: Axes,
    x: FloatArray,
    curves: FloatArray,
    colour: Any,
    line_style: Any,
    label: str,
    every_seed: bool = False,
) -> list[str]:
    """Draw one line per seed and their summary; return the sentences that explain them.

    `x` [N], `curves` [S, N] with NaN where a seed has nothing. The summary covers only the points
    where all seeds have something: elsewhere it would jump with the seeds that take part. With a
    band, single seeds are drawn only where they have not all come as far, or with `every_seed`.
    """
    known = ~np.isnan(curves)
    complete = known.all(axis=0)
    summary = aggregate_seeds(curves)
    style = {"color": colour, "linestyle": line_style}
    axes.plot(
        x[complete],
        summary.centre[complete],
        linewidth=2.0,
        marker="o" if complete.sum() == 1 else None,  # a line of one point would not show
        label=label,
        zorder=3,
        **style,
    )
    if summary.low is not None and summary.high is not None:
        band = (x[complete], summary.low[complete], summary.high[complete])
        axes.fill_between(*band, color=colour, alpha=0.18, linewidth=0)
        notes = ["Band: 95 % bootstrap interval of the interquartile mean (IQM) over seeds."]
    else:
        notes = [f"Fewer than {MIN_SEEDS_FOR_INTERVAL} seeds: no interval."]
    alone = summary.low is None or (known.any(axis=0) & ~complete).any() or every_seed
    if len(curves) > 1 and alone:
        for curve, there in zip(curves, known, strict=True):
            axes.plot(x[there], curve[there], linewidth=0.8, alpha=0.45, zorder=2, **style)
        notes.insert(0, f"Thin: seeds; thick: their {summary.statistic}, where all have data.")
    return notes


def draw_level_lines(axes: Axes, heights: Sequence[float], text: str) -> None:
    """Draw dotted lines across at `heights`, named in the right margin.

    The text stands beside a single line, and on the lowest of several, which it lists from above.
    """
    for height in heights:
        axes.axhline(height, color="0.45", linewidth=1.0, linestyle=":", zorder=1)
    axes.annotate(
        text,
        (1.0, min(heights)),
        xycoords=axes.get_yaxis_transform(),
        xytext=(4, 0),
        textcoords="offset points",
        va="center" if len(heights) == 1 else "bottom",
        fontsize=8,
        color="0.35",
        annotation_clip=False,
    )


def save_figure(figure: Figure, path: Path) -> None:
    """Write the figure whole or not at all. Raises ValueError for an unknown ending, OSError."""
    check_figure_path(path)
    with naming(path), replaced_when_complete(path) as temporary, house_style():
        figure.savefig(temporary, dpi=DOTS_PER_INCH, metadata=_NO_STAMP[path.suffix.lower()])
