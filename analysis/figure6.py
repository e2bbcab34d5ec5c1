"""Figure 6 of the CPC paper, reproduced: A2C and A2C + CPC on the five levels, and a table.

Run as `python -m analysis.figure6 [RUN...] [--out FIGURE]`. Without folders it reads
benchmarks/results/study. It draws FIGURE (a panel per level, A2C black, A2C + CPC red, each seed
thin) and writes the numbers beside it, for people as .md and for programs as .csv. Runs that are
not finished are left out; levels and arms that are missing are named in one line.
"""

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.arms import COLOURS, NAMES
from analysis.command_line import CommandLine
from analysis.comparison import (
    BY_FINAL_RETURN,
    COMPARED,
    CPC,
    HELPS,
    HURTS,
    NO_DIFFERENCE,
    OVER_TRAINING,
    LevelComparison,
    compare_levels,
    improvement,
)
from analysis.curves import STUDY, choose_bins, draw_arm, finish_panel
from analysis.figure import MILLION, add_caption, house_style, new_figure
from analysis.published import published_curves, published_handles
from analysis.report import NOTHING, check_report_path, markdown, number, save_report, with_interval
from analysis.scores import FINAL_SHARE
from analysis.statistics import MIN_SEEDS_FOR_INTERVAL, Estimate

MOST_BINS = 50  # that are told apart in a small panel
SIDES = {1: "above", -1: "below", 0: "no"}
ARMS_HEADER = (
    "level",
    "arm",
    "seeds",
    "frames (M)",
    "final return",
    "of each seed",
    "mean return over training",
    "episodes with a success",
    "first success (s)",
    "later success (s)",
)
COMPARISON_HEADER = (
    "level",
    "verdict",
    "final returns separated",
    "difference, final return",
    "P(improvement), final return",
    "means over training separated",
    "difference, mean over training",
    "P(improvement), mean over training",
    "CPC has A2C's final return after",
)
ARMS_NOTE = (
    "Final return: mean over the training episodes (sampled actions) of the last "
    f"{FINAL_SHARE:.0%} of the frames; there is no held-out evaluation. Mean return over "
    "training: the area under the return curve divided by its length. Over seeds: mean, or with "
    f"{MIN_SEEDS_FOR_INTERVAL} seeds or more interquartile mean and its 95 % bootstrap interval, "
    "which is too narrow with so few: of five normally distributed seeds it holds the truth in "
    "90 % of cases. Successes are those of the last tenth: share and seconds are plain means over "
    "seeds, the seconds over those that had any."
)
COMPARISON_NOTE = (
    f'Verdict: where the 95 % intervals of the final return are separated, "{HELPS}" or "{HURTS}" '
    f'{BY_FINAL_RETURN}; else {OVER_TRAINING}, if those of the mean are; else "{NO_DIFFERENCE}". '
    "Separated: CPC's interval lies wholly above or below A2C's, as they do in 60 % of cases where "
    "arms are two standard deviations of a seed apart. There is no correction for multiple "
    "comparisons: with two scores on several levels one may be separated by chance. Difference: "
    "CPC's interquartile mean minus A2C's (of fewer than five seeds: means), seeds resampled "
    "within arms. "
    "P(improvement): how probably a seed of A2C + CPC beats one of A2C; all levels: their mean, "
    "seeds resampled within levels and arms. An interval of 1.00 to 1.00 says that no two seeds "
    "overlap, not that none could. "
    "After: the frames, and their share of the run, at which CPC's return over the tenth of "
    "training before first reaches what A2C's is at the end; both are those of the seeds together, "
    "and there is no interval. Where both arms have levelled off, it means little."
)


def comparison_figure(levels: Sequence[LevelComparison]) -> Figure:
    """A panel per level and one legend for all."""
    with house_style():
        columns = 2 if len(levels) < 4 else 3
        figure, axes = new_figure(len(levels) + 1, columns, width=3.6, height=2.9)
        notes: list[str] = []
        for level, panel in zip(levels, axes, strict=False):
            notes += _draw_level(panel, level)
        for first in axes[: len(levels) : columns]:
            first.set_ylabel("return per episode")
        _draw_legend(axes[-1], levels)
        add_caption(figure, [*notes, _seeds_text(levels)])
    return figure


def _draw_level(axes: Axes, level: LevelComparison) -> list[str]:
    axes.set_title(level.level, loc="left", fontweight="bold", fontsize=10)
    axes.set_xlabel("environment frames (millions)", fontsize=9)
    arms = [scores.arm for scores in level.scores.values()]
    runs = [run for arm in arms for run in arm.runs]
    bins = min(MOST_BINS, choose_bins(runs))
    notes = []
    for arm in arms:
        solid = replace(arm, line_style="-")
        notes += draw_arm(axes, solid, level.frames / bins, bins, every_seed=True)
    return notes + finish_panel(axes, level.level, level.frames)


def _draw_legend(axes: Axes, levels: Sequence[LevelComparison]) -> None:
    """All panels' legend, in a cell of its own."""
    arms = [aux for aux in COMPARED if any(aux in level.scores for level in levels)]
    handles = [Line2D([], [], color=COLOURS[aux], linewidth=2.0, label=NAMES[aux]) for aux in arms]
    published = [c for level in levels for c in published_curves(level.level, level.frames)]
    axes.axis("off")
    axes.legend(handles=[*handles, *published_handles(published)], loc="center left")


def _seeds_text(levels: Sequence[LevelComparison]) -> str:
    """How many seeds there are, by arm and level unless all have as many."""
    counts = [[len(scores.arm.runs) for scores in level.scores.values()] for level in levels]
    different = {count for of_level in counts for count in of_level}
    if len(different) == 1:
        return f"Seeds: {different.pop()} per arm and level."
    texts = [
        f"{level.level} {' and '.join(map(str, of_level))}"
        for level, of_level in zip(levels, counts, strict=True)
    ]
    return f"Seeds: {'; '.join(texts)}."


def report(levels: Sequence[LevelComparison], notes: Iterable[str]) -> str:
    """Both tables in Markdown, with what they mean, and `notes`."""
    arms = [_arm_row(level, aux) for level in levels for aux in level.scores]
    comparisons = [_comparison_row(level) for level in levels]
    if sum(level.both is not None for level in levels) > 1:
        overall = [improvement(levels, score) for score in ("final_returns", "areas")]
        row = [NOTHING] * len(COMPARISON_HEADER)
        row[0], row[4], row[7] = "all levels", *map(with_interval, overall)
        comparisons.append(tuple(row))
    tables = markdown(COMPARISON_HEADER, comparisons), markdown(ARMS_HEADER, arms)
    return "\n\n".join([tables[0], COMPARISON_NOTE, tables[1], ARMS_NOTE, *notes])


def _arm_row(level: LevelComparison, aux: str) -> tuple[str, ...]:
    scores = level.scores[aux]
    return (
        level.level,
        NAMES[aux],
        str(len(scores.arm.runs)),
        f"{level.frames / MILLION:.3g}",
        with_interval(scores.final),
        ", ".join(map(number, scores.final_returns)),
        with_interval(scores.area),
        number(scores.success_share) if level.knows_successes else NOTHING,
        *map(number, scores.seconds),
    )


def _comparison_row(level: LevelComparison) -> tuple[str, ...]:
    final, whole = (NOTHING, NOTHING) if level.sides is None else (SIDES[s] for s in level.sides)
    difference_final, difference_area = map(with_interval, level.differences)
    improved_final, improved_area = map(with_interval, level.improvement)
    return (
        level.level,
        level.verdict,
        final,
        difference_final,
        improved_final,
        whole,
        difference_area,
        improved_area,
        _frames_text(level),
    )


def _frames_text(level: LevelComparison) -> str:
    if level.both is None:
        return NOTHING
    frames = level.frames_to_baseline
    if math.isnan(frames):
        return "not reached"
    return f"{frames / MILLION:.1f} M ({frames / level.frames:.0%})"


def records(levels: Sequence[LevelComparison]) -> list[dict[str, Any]]:
    """The same numbers for a CSV: a row per level and arm, the comparison beside A2C + CPC."""
    return [_record(level, aux) for level in levels for aux in level.scores]


def _record(level: LevelComparison, aux: str) -> dict[str, Any]:
    scores = level.scores[aux]
    record = {
        "level": level.level,
        "aux": aux,
        "seeds": len(scores.arm.runs),
        "frames": round(level.frames),
        **_columns("final_return", scores.final),
        "final_return_of_seeds": " ".join(f"{x:.6g}" for x in scores.final_returns),
        **_columns("mean_return", scores.area),
        "success_share": scores.success_share if level.knows_successes else math.nan,
        "first_success_seconds": scores.seconds[0],
        "later_success_seconds": scores.seconds[1],
    }
    compared = aux == CPC and level.both is not None
    unknown = (Estimate(math.nan), Estimate(math.nan))
    difference_final, difference_whole = level.differences if compared else unknown
    final, whole = level.improvement if compared else unknown
    sides = level.sides if compared else None
    return record | {
        "frames_to_final_return_of_none": level.frames_to_baseline if compared else math.nan,
        **_columns("difference_final_return", difference_final),
        **_columns("difference_mean_return", difference_whole),
        **_columns("improvement_final_return", final),
        **_columns("improvement_mean_return", whole),
        "separated_final_return": None if sides is None else SIDES[sides[0]],
        "separated_mean_return": None if sides is None else SIDES[sides[1]],
        "verdict": level.verdict if compared else None,
    }


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = CommandLine(
        "python -m analysis.figure6", "Reproduce figure 6 of the CPC paper.", default=STUDY
    )
    parser.add_figure("figure6.png", beside="; tables go beside it")
    return parser.execute(_command, argv)


def _command(arguments: argparse.Namespace) -> None:
    check_report_path(arguments.out)
    levels, notes = compare_levels(arguments.runs)
    text = report(levels, notes)
    written = save_report(arguments.out, comparison_figure(levels), text, records(levels))
    print(text, *written, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
