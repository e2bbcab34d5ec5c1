"""Variants ranked over levels by the area under the return curve: which setting suits them all?

Run as `python -m analysis.rank RUN...`. A variant is an arm (auxiliary loss and tag) that was
trained on several levels; it prints a Markdown table.
"""

import argparse
import itertools
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from analysis.arms import group_arms
from analysis.command_line import CommandLine
from analysis.comparison import check_equal_length, level_order
from analysis.report import NOTHING, markdown, number
from analysis.scores import area, finished_runs

NOTE = (
    "Each level: mean return over training (area under the return curve divided by its length), "
    "mean over seeds; in brackets its share of the level's best, where that is positive, and the "
    "number of seeds. Mean rank over levels, 1 being the best, among the variants that were "
    "trained on all of them."
)
Areas = Mapping[str, Mapping[str, Sequence[float]]]  # one per seed, by level and variant


def read_areas(run_dirs: Iterable[Path]) -> tuple[Areas, list[str]]:
    """The mean return over training of each run, and sentences on what is left out.

    `run_dirs` are taken as `find_runs` does. Raises ValueError: as `finished_runs`, runs of unequal
    length on a level.
    """
    runs, notes = finished_runs(run_dirs)
    areas = {}
    for level, group in itertools.groupby(sorted(runs, key=level_order), key=lambda run: run.level):
        arms = group_arms(group)
        check_equal_length(level, arms)
        areas[level] = {arm.label: [area(run) for run in arm.runs] for arm in arms}
    return areas, notes


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
    variants = dict.fromkeys(variant for level in areas.values() for variant in level)
    rows = []
    for variant in sorted(variants, key=lambda v: ranks.get(v, math.inf)):
        cells = [_cell(level, variant) for level in areas.values()]
        rows.append((variant, number(ranks.get(variant, math.nan)), *cells))
    return f"{markdown(('variant', 'mean rank', *areas), rows)}\n\n{NOTE}"


def _cell(level: Mapping[str, Sequence[float]], variant: str) -> str:
    if variant not in level:
        return NOTHING
    own, best = np.mean(level[variant]), max(np.mean(seeds) for seeds in level.values())
    share = f"{own / best:.2f}, " if best > 0 else ""
    count = len(level[variant])
    return f"{own:.2f} ({share}{count} seed{'' if count == 1 else 's'})"


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine("python -m analysis.rank", "Rank variants over levels by their curves.")
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    areas, notes = read_areas(arguments.runs)
    print(rank_table(areas), *notes, sep="\n\n")


if __name__ == "__main__":
    sys.exit(main())
