"""What a figure shows."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D


def heights(line: Line2D) -> np.ndarray:
    return np.asarray(line.get_ydata(), dtype=np.float64)


def legend_texts(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def labelled(axes: Axes) -> list[Line2D]:
    return [line for line in axes.get_lines() if not str(line.get_label()).startswith("_")]


def thin(axes: Axes) -> list[Line2D]:
    return [line for line in axes.get_lines() if line.get_linewidth() < 1]


def caption(figure: Any) -> str:
    return " ".join(figure._supxlabel.get_text().split())
