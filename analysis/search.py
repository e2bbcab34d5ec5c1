"""The search over hyper-parameters: A2C and A2C + CPC with the same points, pair by pair.

Run as `python -m analysis.search RUN... [--out FIGURE]`. A point is (entropy cost, learning rate,
RMSProp's epsilon, clip of the gradient's norm); a pair is a level's two arms with the same point.
It prints, and writes beside FIGURE as .md and .csv: each pair, the best point of each arm and
level and of both arms together, and whether CPC wins more often than chance would have it (sign
test). FIGURE sets the pairs' scores against each other.
"""

import argparse
import itertools
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.arms import BASELINE, NAMES
from analysis.command_line import CommandLine
from analysis.comparison import COMPARED, CPC
from analysis.figure import add_caption, house_style, new_figure
from analysis.report import NOTHING, check_report_path, markdown, number, save_report
from analysis.scores import FINAL_SHARE
from analysis.trials import SCORES, SEARCHED, Trial, point_text, read_trials, sign_test

TESTS_HEADER = (
    "level",
    "pairs",
    "CPC wins, final return",
    "p",
    "CPC wins, mean return over training",
    "p",
)
TESTS_NOTE = (
    "Wins: pairs in which A2C + CPC scores higher, of those that are no tie. p: two-sided sign "
    "test, the chance of as lopsided a count or more if either arm were as likely to win. Pairs of "
    "one level, and pairs of one point, are not independent, so the p of all pairs is too small; "
    "in the last two rows a level, or a point, counts once, for the arm that wins most of its "
    "pairs."
)
BEST_HEADER = (
    "level",
    "arm",
    "best point by final return",
    "final return",
    "best point by mean return over training",
    "mean return over training",
)
BOTH = "both, mean of the arms"
BEST_NOTE = "Points: entropy cost, learning rate, RMSProp's epsilon, clip of the gradient's norm."
PAIRS_HEADER = (
    "level",
    "entropy cost",
    "learning rate",
    "epsilon",
    "clip",
    "entropy: A2C",
    "A2C + CPC",
    "final return: A2C",
    "A2C + CPC",
    "difference",
    "mean return: A2C",
    "A2C + CPC",
    "difference",
)
PAIRS_NOTE = (
    f"Entropy of the policy (nats) and final return: means over the last {FINAL_SHARE:.0%} of "
    "training. Mean return: over training, the area under the return curve divided by its length."
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def report(trials: Sequence[Trial], notes: Iterable[str]) -> str:
    """The three tables in Markdown, with what they mean, and `notes`."""
    pairs = [trial for trial in trials if trial.is_pair]
    return "\n\n".join(
        [
            markdown(TESTS_HEADER, _test_rows(pairs)),
            TESTS_NOTE,
            markdown(BEST_HEADER, _best_rows(trials)),
            BEST_NOTE,
            markdown(PAIRS_HEADER, map(_pair_row, pairs)),
            PAIRS_NOTE,
            *notes,
        ]
    )


def _test_rows(pairs: Sequence[Trial]) -> list[tuple[str, ...]]:
    by_level, by_point = defaultdict(list), defaultdict(list)
    for pair in pairs:
        by_level[pair.level].append(pair)
        by_point[pair.point].append(pair)
    # By name: groups of pairs, each of which counts once.
    rows = {level: [[pair] for pair in group] for level, group in by_level.items()}
    if len(by_level) > 1:
        rows["all levels"] = [[pair] for pair in pairs]
        rows["levels, by most pairs"] = list(by_level.values())
        rows["points, by most pairs"] = list(by_point.values())
    return [(name, str(len(groups)), *_tests(groups)) for name, groups in rows.items()]


def _tests(groups: Sequence[Sequence[Trial]]) -> Iterator[str]:
    """Of each score how many groups CPC wins, and the p; a group goes to who wins more pairs."""
    for score in SCORES:
        signs = [np.sign([pair.difference(score) for pair in group]) for group in groups]
        wins, decided, p = sign_test([float(np.nansum(group)) for group in signs])
        yield f"{wins} of {decided}"
        yield NOTHING if math.isnan(p) else f"{p:.2g}"


def _best_rows(trials: Sequence[Trial]) -> list[tuple[str, ...]]:
    rows = []
    for level, group in itertools.groupby(trials, key=lambda trial: trial.level):
        tried = list(group)
        for name, arms in {**{NAMES[aux]: [aux] for aux in COMPARED}, BOTH: COMPARED}.items():
            own = [trial for trial in tried if trial.outcomes.keys() >= set(arms)]
            if not own:
                continue
            row = [level, name]
            for score in SCORES:
                reached = [
                    float(np.mean([getattr(trial.outcomes[aux], score) for aux in arms]))
                    for trial in own
                ]
                best = int(np.argmax(np.nan_to_num(reached, nan=-np.inf)))
                row += [point_text(own[best].point), number(reached[best])]
            rows.append(tuple(row))
    return rows


def _pair_row(pair: Trial) -> tuple[str, ...]:
    row = [pair.level, *(f"{value:.3g}" for value in pair.point)]
    row += [number(pair.outcomes[aux].entropy) for aux in COMPARED]
    for score in SCORES:
        row += [*map(number, pair.scores(score)), number(pair.difference(score))]
    return tuple(row)


def records(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """A row per level, point and arm for a CSV."""
    return [
        {
            "level": trial.level,
            **{key.rpartition(".")[2]: v for key, v in zip(SEARCHED, trial.point, strict=True)},
            "aux": aux,
            **outcome._asdict(),
        }
        for trial in trials
        for aux, outcome in trial.outcomes.items()
    ]


def search_figure(trials: Sequence[Trial]) -> Figure:
    """A2C + CPC's score against A2C's, a marker per level; a panel for each kind of score."""
    pairs = [trial for trial in trials if trial.is_pair]
    with house_style():
        figure, axes = new_figure(len(SCORES), columns=2, width=4.4, height=4.6)
        for panel, (score, title) in zip(axes, SCORES.items(), strict=True):
            _draw_scores(panel, pairs, score)
            panel.set_title(title, loc="left", fontweight="bold")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
        add_caption(
            figure,
            [f"{len(pairs)} pairs of equal hyper-parameters. Above the line: better with CPC."],
        )
    return figure


def _draw_scores(axes: Axes, pairs: Sequence[Trial], score: str) -> None:
    for place, (level, group) in enumerate(itertools.groupby(pairs, key=lambda t: t.level)):
        x, y = np.array([pair.scores(score) for pair in group]).T
        marker = MARKERS[place % len(MARKERS)]
        axes.scatter(x, y, marker=marker, s=32, alpha=0.8, linewidth=0, label=level)
    values = np.array([pair.scores(score) for pair in pairs])
    low, high = min(0.0, np.nanmin(values)), np.nanmax(values)
    margin = 0.05 * ((high - low) or 1.0)
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color="0.45", linewidth=1.0, zorder=1)
    axes.set(xlim=limits, ylim=limits, xlabel=NAMES[BASELINE], ylabel=NAMES[CPC], aspect="equal")


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine("python -m analysis.search", "Compare the arms of a search pair by pair.")
    parser.add_figure("search.png", beside="; tables go beside it")
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    check_report_path(arguments.out)
    trials, notes = read_trials(arguments.runs)
    text = report(trials, notes)
    written = save_report(arguments.out, search_figure(trials), text, records(trials))
    print(text, *written, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
