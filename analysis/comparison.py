"""A2C against A2C + CPC on each level: what both reached, and whether they differ.

The rule of the verdict: where the two 95 % intervals of the final return are separated, they
decide; else those of the area under the curve; else no difference was seen. It says by which of the
two scores.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from analysis.arms import BASELINE, NAMES, Arm, group_arms
from analysis.runs import Run, differing_settings
from analysis.scores import (
    area,
    final_return,
    final_seconds,
    finished_runs,
    success_share,
    trailing_returns,
)
from analysis.statistics import (
    MIN_SEEDS_FOR_INTERVAL,
    Estimate,
    FloatArray,
    centre_of_seeds,
    difference_of_seeds,
    estimate_of_seeds,
    mean_of_known,
    probability_of_improvement,
)

CPC = "cpc"
COMPARED = (BASELINE, CPC)  # the two arms
# In the order of figure 6 of the CPC paper.
PAPER_LEVELS = (
    "room_watermaze",
    "explore_goal_locations_small",
    "seekavoid_arena_01",
    "lasertag_three_opponents_small",
    "rooms_keys_doors_puzzle",
)
HELPS, HURTS, NO_DIFFERENCE = "CPC helps", "CPC hurts", "no difference seen"
BY_FINAL_RETURN, OVER_TRAINING = "by final return", "over training"
TOO_FEW_SEEDS = f"fewer than {MIN_SEEDS_FOR_INTERVAL} seeds"
NO_FINAL_RETURN = "a seed without a final return"


@dataclass(frozen=True)
class ArmScores:
    """What the seeds of one arm reached on one level."""

    arm: Arm

    @cached_property
    def final_returns(self) -> FloatArray:
        """Mean return of the last tenth of training, one per seed, [S]."""
        return np.array([final_return(run) for run in self.arm.runs])

    @cached_property
    def areas(self) -> FloatArray:
        """Mean return over training, one per seed, [S]."""
        return np.array([area(run) for run in self.arm.runs])

    @cached_property
    def final(self) -> Estimate:
        """The seeds' final return."""
        return estimate_of_seeds(self.final_returns)

    @cached_property
    def area(self) -> Estimate:
        """The seeds' mean return over training."""
        return estimate_of_seeds(self.areas)

    @cached_property
    def success_share(self) -> float:
        """Share of the last tenth's episodes that had a success, mean over seeds."""
        return mean_of_known(np.array([success_share(run) for run in self.arm.runs]))

    @cached_property
    def seconds(self) -> tuple[float, float]:
        """Seconds to first and to later successes in the last tenth, means over seeds; or NaN."""
        first, later = np.array([final_seconds(run) for run in self.arm.runs]).T
        return mean_of_known(first), mean_of_known(later)

    @cached_property
    def trailing(self) -> tuple[FloatArray, FloatArray]:
        """`trailing_returns` of the seeds' summary: moments (frames) and returns, [N] each."""
        moments, curves = zip(*map(trailing_returns, self.arm.runs), strict=True)
        return moments[0], centre_of_seeds(np.array(curves))

    def frames_to(self, threshold: float) -> float:
        """Frames after which the return over the tenth of training before was `threshold`.

        NaN if it never was.
        """
        moments, returns = self.trailing
        reached = np.flatnonzero(returns >= threshold)
        return float(moments[reached[0]]) if len(reached) else float("nan")


@dataclass(frozen=True)
class LevelComparison:
    """One level's arms, "none" and "cpc" or one of them, trained for equally many frames."""

    level: str
    scores: Mapping[str, ArmScores]

    @property
    def frames(self) -> float:
        """Environment frames that the longest run has trained for."""
        return max(run.frames for scores in self.scores.values() for run in scores.arm.runs)

    @property
    def both(self) -> tuple[ArmScores, ArmScores] | None:
        """A2C and A2C + CPC, where there are both."""
        if len(self.scores) < 2:
            return None
        return self.scores[BASELINE], self.scores[CPC]

    @cached_property
    def knows_successes(self) -> bool:
        """Whether any run ever succeeded: some levels have no trials."""
        runs = [run for scores in self.scores.values() for run in scores.arm.runs]
        return any(run.returns.first_count.any() for run in runs)

    @cached_property
    def frames_to_baseline(self) -> float:
        """CPC's frames to A2C's final return (see `ArmScores.frames_to`); NaN without both arms."""
        if self.both is None:
            return float("nan")
        baseline, cpc = self.both
        return cpc.frames_to(baseline.trailing[1][-1])

    @cached_property
    def improvement(self) -> tuple[Estimate, Estimate]:
        """Probability that CPC improves the final return, and the area; NaN for one arm."""
        return improvement([self], "final_returns"), improvement([self], "areas")

    @cached_property
    def differences(self) -> tuple[Estimate, Estimate]:
        """CPC's final return minus A2C's, and the areas'; NaN for one arm."""
        if self.both is None:
            return Estimate(float("nan")), Estimate(float("nan"))
        baseline, cpc = self.both
        return (
            difference_of_seeds(cpc.final_returns, baseline.final_returns),
            difference_of_seeds(cpc.areas, baseline.areas),
        )

    @property
    def sides(self) -> tuple[int, int] | None:
        """For final return and area: is CPC's interval above (1), below (-1) or neither (0)?

        None where there are not two intervals.
        """
        if self.both is None or not all(scores.final.has_interval for scores in self.both):
            return None
        baseline, cpc = self.both
        return cpc.final.side_of(baseline.final), cpc.area.side_of(baseline.area)

    @property
    def verdict(self) -> str:
        """HELPS or HURTS and by which score, or NO_DIFFERENCE; or why there is no verdict."""
        if self.both is None:
            return "one arm only"
        if any(np.isnan(scores.final_returns).any() for scores in self.both):
            return NO_FINAL_RETURN
        if self.sides is None:
            return TOO_FEW_SEEDS
        final, whole = self.sides
        if final == whole == 0:
            return NO_DIFFERENCE
        score = BY_FINAL_RETURN if final else OVER_TRAINING
        return f"{HELPS if (final or whole) > 0 else HURTS} {score}"


def improvement(levels: Iterable[LevelComparison], score: str) -> Estimate:
    """Probability that CPC improves `score` ("final_returns" or "areas"), mean over `levels`.

    Levels with one arm are left out.
    """
    pairs = [level.both for level in levels if level.both is not None]
    return probability_of_improvement(
        [(getattr(cpc, score), getattr(baseline, score)) for baseline, cpc in pairs]
    )


def compare_levels(run_dirs: Iterable[Path]) -> tuple[list[LevelComparison], list[str]]:
    """The comparison of each level, and a sentence each on what is left out and what is missing.

    `run_dirs` are taken as `find_runs` does. Raises ValueError: as `finished_runs`, no run is A2C
    or A2C + CPC, several arms of one kind on a level, arms of unequal length.
    """
    finished, notes = finished_runs(run_dirs)
    runs = [run for run in finished if run.aux in COMPARED]
    if not runs:
        raise ValueError(f"none of the runs is {NAMES[BASELINE]} or {NAMES[CPC]}")
    if others := sorted({run.arm for run in finished if run not in runs}):
        notes.append(f"Left out, neither {NAMES[BASELINE]} nor {NAMES[CPC]}: {', '.join(others)}.")
    by_level = itertools.groupby(sorted(runs, key=level_order), key=lambda run: run.level)
    levels = [_compare(level, list(level_runs)) for level, level_runs in by_level]
    return levels, notes + _unlike(levels) + _missing(levels)


def _compare(level: str, runs: list[Run]) -> LevelComparison:
    scores: dict[str, ArmScores] = {}
    arms = group_arms(runs)
    for arm in arms:
        aux = arm.runs[0].aux
        if aux in scores:
            labels = [other.label for other in arms if other.runs[0].aux == aux]
            raise ValueError(
                f"{level} has several arms of {NAMES[aux]} ({'; '.join(labels)}); "
                "give the folders of one"
            )
        scores[aux] = ArmScores(arm)
    check_equal_length(level, arms)
    return LevelComparison(level, scores)


def check_equal_length(level: str, arms: Iterable[Arm]) -> None:
    """Raise ValueError unless all arms were trained for as many frames."""
    lengths = sorted({run.total_frames for arm in arms for run in arm.runs})
    if len(lengths) > 1:
        millions = " and ".join(f"{frames / 1e6:.3g}" for frames in lengths)
        raise ValueError(f"the runs of {level} are of unequal length: {millions} M frames")


def level_order(run: Run) -> tuple[int, str]:
    """Sorts runs by level: the paper's in its order, then others."""
    known = PAPER_LEVELS.index(run.level) if run.level in PAPER_LEVELS else len(PAPER_LEVELS)
    return known, run.level


def _unlike(levels: Iterable[LevelComparison]) -> list[str]:
    """A sentence for each level whose arms differ in more than the auxiliary loss."""
    sentences = []
    for level in levels:
        if level.both is not None:
            one, other = (scores.arm.runs[0] for scores in level.both)
            if names := differing_settings(one, other):
                sentences.append(f"{level.level}: the arms also differ in {', '.join(names)}.")
    return sentences


def _missing(levels: list[LevelComparison]) -> list[str]:
    there = {level.level: level.scores for level in levels}
    missing = []
    for name in dict.fromkeys((*PAPER_LEVELS, *there)):
        absent = [NAMES[aux] for aux in COMPARED if aux not in there.get(name, {})]
        if absent:
            missing.append(f"{name} ({'both arms' if len(absent) == 2 else absent[0]})")
    return [f"Missing: {', '.join(missing)}."] if missing else []
