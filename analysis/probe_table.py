"""Scores of probes: their CSV file, and the table that compares arms, codes and facts.

A row of the file is one probe: of a network of a run, one of its two codes, one fact.
"""

import csv
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis.report import NOTHING, markdown, number, write_csv
from analysis.statistics import MIN_SEEDS_FOR_INTERVAL, aggregate_seeds

R2, BALANCED_ACCURACY = "R2", "balanced accuracy"  # of numbers, of classes
CODES = ("z", "c")  # the encoder's embedding, the recurrent core's context
TRAINED, UNTRAINED = "trained", "untrained"  # networks
NOTE = (
    "Linear probes of the encoder's embedding z and the recurrent core's context c: R2 for numbers "
    "(0: nothing is known), balanced accuracy for classes, on episodes that the probe was not "
    "fitted to. An arm's untrained networks have its runs' settings and see its runs' episodes."
)
INTERVAL_NOTE = (
    "of one run the 95 % bootstrap interval over its episodes, of several the lowest and the "
    f"highest around their mean, of {MIN_SEEDS_FOR_INTERVAL} or more the bootstrap interval of "
    "their interquartile mean."
)


class Row(NamedTuple):
    """One probe; `chance` to `high` are NaN where there was too little to tell."""

    level: str
    arm: str  # label of the run's arm, of its untrained network too
    aux: str  # of the run
    seed: int
    frames: int  # that the run has trained
    network: str  # TRAINED or UNTRAINED
    code: str
    fact: str
    measure: str
    chance: float
    value: float
    low: float  # ends of the bootstrap interval over episodes
    high: float
    episodes: int
    rows: int


class Summary(NamedTuple):
    """A probe's value over the runs of an arm, and an interval around it; or NaN."""

    value: float
    low: float
    high: float
    known: int  # runs that have a value
    runs: int


class Networks(NamedTuple):
    """The networks of an arm, trained or not: a column of the table, a line of the figure."""

    arm: str
    aux: str
    network: str  # TRAINED or UNTRAINED

    @property
    def label(self) -> str:
        """What to call them."""
        return f"{self.arm}, {UNTRAINED}" if self.network == UNTRAINED else self.arm


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write `rows` as a CSV file. Raises OSError."""
    cells = ([f"{x:.4f}" if isinstance(x, float) else x for x in row] for row in rows)
    write_csv(path, Row._fields, cells)


def read_rows(path: Path) -> list[Row]:
    """What `write_rows` wrote. Raises ValueError: it is another file, or empty. OSError."""
    types = Row.__annotations__
    try:
        with open(path, newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file, strict=True))
        rows = [Row(*(types[name](line[name]) for name in Row._fields)) for line in lines]
    except (KeyError, TypeError, ValueError, csv.Error):
        rows = []
    if not rows:
        raise ValueError(f"{path} holds no scores of probes")
    return rows


def by_level(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """The rows of each level, in the order of their names."""
    ordered = sorted(rows, key=lambda row: row.level)
    return [(level, list(own)) for level, own in itertools.groupby(ordered, lambda row: row.level)]


def facts(rows: Iterable[Row]) -> dict[str, Row]:
    """The facts of a level's rows, numbers before classes, each with its first row.

    The first with a value, where there is one: chance is known there.
    """
    first: dict[str, Row] = {}
    for row in rows:
        if row.fact not in first or np.isnan(first[row.fact].value):
            first[row.fact] = row
    return dict(sorted(first.items(), key=lambda item: item[1].measure != R2))


def networks(rows: Iterable[Row]) -> list[Networks]:
    """The arms of a level's rows, each before its untrained networks."""
    arms = dict.fromkeys((row.arm, row.aux) for row in rows)
    return [Networks(*arm, network) for arm in arms for network in (UNTRAINED, TRAINED)]


def summarise(rows: Iterable[Row], of: Networks, code: str, fact: str) -> Summary:
    """The runs of an arm of one level together.

    One run: its value with the interval over episodes. Fewer than five: mean, lowest and highest.
    Five or more: interquartile mean and its bootstrap interval over runs. Runs without a value are
    left out.
    """
    wanted = (of.arm, of.network, code, fact)
    all_runs = [row for row in rows if (row.arm, row.network, row.code, row.fact) == wanted]
    own = [row for row in all_runs if not np.isnan(row.value)]
    counts = len(own), len(all_runs)
    if not own:
        return Summary(np.nan, np.nan, np.nan, *counts)
    if len(own) == 1:
        return Summary(own[0].value, own[0].low, own[0].high, *counts)
    values = np.array([[row.value] for row in own])
    together = aggregate_seeds(values)
    low = values.min(axis=0) if together.low is None else together.low
    high = values.max(axis=0) if together.high is None else together.high
    return Summary(float(together.centre[0]), float(low[0]), float(high[0]), *counts)


def markdown_table(rows: Sequence[Row]) -> str:
    """A table per level, a line per fact, a column per arm and code; and how to read them."""
    parts = []
    for level, own in by_level(rows):
        columns = [(of, code) for of in networks(own) for code in CODES]
        header = ["fact", "measure, chance", *(f"{of.label}: {code}" for of, code in columns)]
        lines = []
        for fact, first in facts(own).items():
            cells = [_cell(summarise(own, of, code, fact)) for of, code in columns]
            lines.append([fact, f"{first.measure}, {number(first.chance)}", *cells])
        parts += [f"### {level}, {_frames_text(own)}", markdown(header, lines)]
    note = (
        f"{NOTE} In brackets: {INTERVAL_NOTE} {NOTHING}: the fact is known, or varies, in too few "
        "episodes; 4 of 5: so it is in one run of five, which is left out."
    )
    return "\n\n".join([*parts, note]) + "\n"


def _frames_text(rows: Iterable[Row]) -> str:
    """How long the runs were trained: one number, unless some are further than others."""
    frames = sorted({row.frames for row in rows})
    return f"{' to '.join(f'{f:,}' for f in (frames[0], frames[-1])[: len(frames)])} frames"


def _cell(summary: Summary) -> str:
    if np.isnan(summary.value):
        return NOTHING
    share = f", {summary.known} of {summary.runs}" if summary.known < summary.runs else ""
    return f"{summary.value:.2f} ({summary.low:.2f} to {summary.high:.2f}{share})"
