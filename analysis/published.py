"""Other methods' learning curves on the real DeepMind Lab, drawn dotted behind ours.

The numbers are in published_curves.csv; published_curves.md says where they come from.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.figure import MILLION
from analysis.statistics import FloatArray

PUBLISHED_FILE = Path(__file__).with_name("published_curves.csv")
COLOURS = {"IMPALA": "#9467bd", "PPO": "#ff7f0e", "DreamerV3": "#17a2b8"}
PUBLISHED_NOTE = (
    "Dotted, coloured: published curves of the real DeepMind Lab (danijar/dreamerv3), means over "
    "seeds, with 15 actions instead of 9."
)


class PublishedCurve(NamedTuple):
    """Mean return per episode of one method on one level."""

    method: str
    seeds: int  # runs that the curve is the mean of
    frames: FloatArray  # [N], middles of the bins, environment frames
    mean_return: FloatArray  # [N]


def published_curves(level: str, frames: float) -> list[PublishedCurve]:
    """The curves of `level`, in the order of COLOURS, up to the last bin that ends by `frames`.

    Those of fewer than two bins, which make no line, are left out; often there is none.
    """
    with open(PUBLISHED_FILE, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["level"] == level]
    curves = []
    for method in COLOURS:
        own = [r for r in rows if r["method"] == method and float(r["frames_to"]) <= frames]
        if len(own) > 1:
            columns = ("frames_from", "frames_to", "return_mean")
            start, end, mean_return = (np.array([float(r[c]) for r in own]) for c in columns)
            curves.append(
                PublishedCurve(method, int(own[0]["seeds"]), (start + end) / 2, mean_return)
            )
    return curves


def draw_published(axes: Axes, curves: Iterable[PublishedCurve]) -> None:
    """Draw `curves` over millions of frames, behind all else."""
    for curve in curves:
        axes.plot(
            curve.frames / MILLION,
            curve.mean_return,
            label=_label(curve.method, [curve.seeds]),
            zorder=1.5,
            **_look(curve.method),
        )


def published_handles(curves: Iterable[PublishedCurve]) -> list[Line2D]:
    """What a legend for several panels shows of the curves drawn in them: a line per method."""
    curves = list(curves)
    handles = []
    for method in COLOURS:
        seeds = [curve.seeds for curve in curves if curve.method == method]
        if seeds:
            handles.append(Line2D([], [], label=_label(method, seeds), **_look(method)))
    return handles


def _look(method: str) -> dict[str, Any]:
    return {"color": COLOURS[method], "linestyle": (0, (1, 1.2)), "linewidth": 1.5}


def _label(method: str, seeds: Iterable[int]) -> str:
    """`method`, where it was measured and in how many seeds, which may depend on the level."""
    counts = " or ".join(map(str, sorted(set(seeds))))
    return f"{method}, real Lab ({counts} seed{'' if counts == '1' else 's'})"
