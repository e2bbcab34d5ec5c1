"""Variants ranked over levels by the area under the return curve: which setting suits them all?

Run as `python -m analysis.rank RUN... [--out FIGURE]`. A variant is an arm (auxiliary loss and tag)
that was trained on several levels; it prints a Markdown table. FIGURE shows each seed, a panel for
each level.
"""

import argparse
import itertools
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from analysis.arms import group_arms
from analysis.command_line import CommandLine
from analysis.comparison import check_equal_length, level_order
from analysis.figure import (
    add_caption,
    check_figure_path,
    house_style,
    new_figure,
    save_figure,
)
from analysis.report import NOTHING, markdown, number
from analysis.scores import area, finished_runs

NOTE = (
    "Each level: mean return over training (area under the return curve divided by its length), "
    "mean over seeds; in brackets its share of the level's best, where that is positive, the "
    "number of seeds, the lowest and the highest of them. Mean rank over levels, 1 being the best, "
    "among the variants that were trained on all of them."
)
Areas = Mapping[str, Mapping[str, Sequence[float]]]  # one per seed, by level and variant
Colours = Mapping[str, str]  # by variant


def read_areas(run_dirs: Iterable[Path]) -> tuple[Areas, Colours, list[str]]:
    """The mean return over training of each run, its variant's colour; what is left out, in words.

    `run_dirs` are taken as `find_runs` does. Raises ValueError: as `finished_runs`, runs of unequal
    length on a level.
    """
    runs, notes = finished_runs(run_dirs)
    areas, colours = {}, {}
    for level, group in itertools.groupby(sorted(runs, key=level_order), key=lambda run: run.level):
        arms = group_arms(group)
        check_equal_length(level, arms)
        areas[level] = {arm.label: [area(run) for run in arm.runs] for arm in arms}
        colours.update({arm.label: arm.colour for arm in arms})
    return areas, colours, notes


def mean_ranks(areas: Areas) -> dict[str, float]:
    """Mean over levels of each variant's rank by its mean area, 1 being the best.

    Equal areas share the mean of their ranks. Variants that some level lacks are left out.
    """
    variants = [
        v for v in next(iter(areas.values())) if all(v in level for level in areas.values())
    ]
    means = [[-np.mean(level[variant]) for variant in variants] for level in areas.values()]
    ranks = stats.rankdata(means, axis=1).mean(axis=0)  # [levels, variants] -> [variants]
    return dict(zip(variants, map(float, ranks), strict=True))


def rank_table(areas: Areas) -> str:
    """The variants in Markdown, those of the best mean rank first."""
    ranks = mean_ranks(areas)
    rows = []
    for variant in _best_first(areas, ranks):
        cells = [_cell(level, variant) for level in areas.values()]
        rows.append((variant, number(ranks.get(variant, math.nan)), *cells))
    return f"{markdown(('variant', 'mean rank', *areas), rows)}\n\n{NOTE}"


def _cell(level: Mapping[str, Sequence[float]], variant: str) -> str:
    if variant not in level:
        return NOTHING
    seeds = level[variant]
    own, best = float(np.mean(seeds)), max(np.mean(areas) for areas in level.values())
    share = f"{own / best:.2f}, " if best > 0 else ""
    of_seeds = "1 seed"
    if len(seeds) > 1:
        of_seeds = f"{len(seeds)} seeds, {number(min(seeds))} to {number(max(seeds))}"
    return f"{number(own)} ({share}{of_seeds})"


def _best_first(areas: Areas, ranks: Mapping[str, float]) -> list[str]:
    variants = dict.fromkeys(variant for level in areas.values() for variant in level)
    return sorted(variants, key=lambda v: ranks.get(v, math.inf))


def rank_figure(areas: Areas, colours: Colours) -> Figure:
    """Each seed a dot and their mean a line, in the order of the table; a panel for each level."""
    variants = _best_first(areas, mean_ranks(areas))
    with house_style():
        size = {"width": 4.4, "height": 0.9 + 0.26 * len(variants)}
        figure, panels = new_figure(len(areas), columns=2, **size)
        for axes, (level, by_variant) in zip(panels, areas.items(), strict=True):
            _draw_level(axes, by_variant, variants, colours)
            axes.set_title(level, loc="left", fontweight="bold")
        add_caption(figure, ["Dots: seeds; lines: their mean."])
    return figure


def _draw_level(
    axes: Axes,
    by_variant: Mapping[str, Sequence[float]],
    variants: Sequence[str],
    colours: Colours,
) -> None:
    for place, variant in enumerate(variants):
        seeds = by_variant.get(variant, [])
        colour = colours[variant]
        axes.scatter(seeds, [place] * len(seeds), s=22, alpha=0.7, linewidth=0, color=colour)
        if len(seeds):
            mean = float(np.mean(seeds))
            axes.plot([mean, mean], [place - 0.3, place + 0.3], linewidth=2.0, color=colour)
    axes.set(xlabel="mean return over training", ylim=(len(variants) - 0.5, -0.5))
    axes.set_yticks(range(len(variants)), variants)
    axes.grid(visible=False, axis="y")


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine("python -m analysis.rank", "Rank variants over levels by their curves.")
    parser.add_figure()
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    if arguments.out is not None:
        check_figure_path(arguments.out)
    areas, colours, notes = read_areas(arguments.runs)
    print(rank_table(areas), *notes, sep="\n\n")
    if arguments.out is not None:
        save_figure(rank_figure(areas, colours), arguments.out)


if __name__ == "__main__":
    sys.exit(main())
