"""What z and c know, by arm: a figure of probes' scores.

Run as `python -m analysis.probe_figure FILE.csv... [--out FILE]` to draw the scores that
`python -m analysis.probes` wrote, and to print their table.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.arms import COLOURS, OTHER_COLOUR
from analysis.command_line import CommandLine
from analysis.figure import (
    add_caption,
    check_figure_path,
    house_style,
    new_figure,
    save_figure,
)
from analysis.probe_table import (
    BALANCED_ACCURACY,
    CODES,
    INTERVAL_NOTE,
    NOTE,
    R2,
    UNTRAINED,
    Networks,
    Row,
    Summary,
    by_level,
    facts,
    markdown_table,
    networks,
    read_rows,
    summarise,
)

UNTRAINED_OPACITY = 0.35
MARKERS = "osD^v"  # of arms that share a colour
FILLED = {"z": False, "c": True}
SHIFT = {"z": -0.035, "c": 0.035}  # of a code in its arm's line: two intervals stay apart
LOWEST = {R2: -0.1, BALANCED_ACCURACY: 0.4}  # of the axes; what lies below is drawn there
AXIS_NAMES = {
    R2: "R2, held-out episodes",
    BALANCED_ACCURACY: "balanced accuracy, held-out episodes",
}
OUTSIDE_NOTE = "Dotted: chance. What lies left of a panel is drawn on its edge."
FACT_HEIGHT = 0.8  # of the lines of a fact's arms, in units of the distance between facts


def plot_probes(rows: Sequence[Row], out_path: Path) -> None:
    """Save `probe_figure` of `rows` as `out_path` (.png, .pdf or .svg).

    Raises ValueError for an unknown ending, OSError.
    """
    check_figure_path(out_path)
    save_figure(probe_figure(rows), out_path)


def probe_figure(rows: Sequence[Row]) -> Figure:
    """A row of two panels per level: numbers and classes; a group of lines per fact.

    An arm's line leads from what z knows to what c knows.
    """
    levels = by_level(rows)
    most = max(len(facts(own)) * len(networks(own)) for _, own in levels)
    with house_style():
        figure, axes = new_figure(2 * len(levels), columns=2, width=5.2, height=1.2 + 0.17 * most)
        pairs = zip(axes[::2], axes[1::2], strict=True)
        for (level, own), pair in zip(levels, pairs, strict=True):
            names = {
                measure: [fact for fact, first in facts(own).items() if first.measure == measure]
                for measure in (R2, BALANCED_ACCURACY)
            }
            places = max(map(len, names.values()))
            for panel, measure in zip(pair, names, strict=True):
                _draw_panel(panel, own, measure, names[measure], places)
            pair[0].set_title(level, loc="left", fontweight="bold")
            _add_legend(pair[1], own)
        add_caption(figure, [NOTE, f"Pale bars: {INTERVAL_NOTE}", OUTSIDE_NOTE])
    return figure


def _draw_panel(
    axes: Axes, rows: Sequence[Row], measure: str, names: Sequence[str], places: int
) -> None:
    """Draw the facts `names` of one measure, from above, where there is room for `places`."""
    looks = _looks(rows)
    for place, fact in enumerate(names):
        for line, (of, look) in enumerate(looks.items()):
            y = place + FACT_HEIGHT * ((line + 0.5) / len(looks) - 0.5)
            ends = {code: summarise(rows, of, code, fact) for code in CODES}
            _draw_line(axes, y, ends, look, LOWEST[measure])
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(places - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(LOWEST[measure] - 0.02, 1.02)
    axes.set_xlabel(AXIS_NAMES[measure])
    chances = {first.chance for first in facts(rows).values() if first.measure == measure}
    for chance in filter(math.isfinite, chances):
        axes.axvline(chance, color="0.45", linewidth=1.0, linestyle=":", zorder=1)
    for border in np.arange(1, min(len(names) + 1, places)) - 0.5:
        axes.axhline(border, color="0.9", linewidth=0.7, zorder=0)


def _draw_line(
    axes: Axes, y: float, ends: dict[str, Summary], look: tuple[str, str, float], lowest: float
) -> None:
    """Draw z and c of an arm's networks for one fact, their intervals, and a line between them."""
    colour, marker, opacity = look
    values = [max(summary.value, lowest) for summary in ends.values()]
    heights = [y + SHIFT[code] for code in ends]
    axes.plot(values, heights, color=colour, linewidth=1.0, alpha=0.6 * opacity, zorder=2)
    for code, summary in ends.items():
        height = y + SHIFT[code]
        interval = np.maximum([summary.low, summary.high], lowest)
        axes.plot(
            interval, [height] * 2, color=colour, linewidth=2.0, alpha=0.3 * opacity, zorder=2
        )
        face = colour if FILLED[code] else "white"
        axes.plot(
            max(summary.value, lowest), height, marker, color=colour, markerfacecolor=face,
            markersize=5, markeredgewidth=1.2, zorder=3, alpha=opacity,
        )  # fmt: skip


def _looks(rows: Sequence[Row]) -> dict[Networks, tuple[str, str, float]]:
    """Colour, marker and opacity of each arm's networks; the untrained ones are pale."""
    markers: dict[str, dict[str, str]] = {}  # of arms, by colour
    looks = {}
    for of in networks(rows):
        colour = COLOURS.get(of.aux, OTHER_COLOUR)
        alike = markers.setdefault(colour, {})
        marker = alike.setdefault(of.arm, MARKERS[len(alike) % len(MARKERS)])
        looks[of] = colour, marker, UNTRAINED_OPACITY if of.network == UNTRAINED else 1.0
    return looks


def _add_legend(axes: Axes, rows: Sequence[Row]) -> None:
    handles = [
        Line2D([], [], color=colour, marker=marker, alpha=opacity, label=of.label)
        for of, (colour, marker, opacity) in _looks(rows).items()
    ]
    for code, filled in FILLED.items():
        face = "0.3" if filled else "white"
        handles.append(
            Line2D([], [], color="0.3", linestyle="", marker="o", markerfacecolor=face, label=code)
        )
    axes.legend(handles=handles, loc="lower right")


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine(
        "python -m analysis.probe_figure",
        "Draw scores of probes, and print their table.",
        name="files",
        metavar="FILE.csv",
        help="what `python -m analysis.probes` wrote; several are shown together",
    )
    parser.add_figure("probes.png")
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    rows = [row for file in arguments.files for row in read_rows(file)]
    plot_probes(rows, arguments.out)
    print(markdown_table(rows))
    print(arguments.out)


if __name__ == "__main__":
    sys.exit(main())
