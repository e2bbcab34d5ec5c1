"""The trials of a search over hyper-parameters, paired: A2C and A2C + CPC with the same point.

A point is (entropy cost, learning rate, RMSProp's epsilon, clip of the gradient's norm); no clip is
inf.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from analysis.arms import BASELINE, NAMES
from analysis.comparison import COMPARED, CPC, level_order
from analysis.runs import Run, differing_settings
from analysis.scores import area, final_entropy, final_return, finished_runs

CLIP = "agent.max_grad_norm"
SEARCHED = ("agent.entropy_cost", "agent.learning_rate", "agent.rmsprop_epsilon", CLIP)
SCORES = {"final_return": "final return", "mean_return": "mean return over training"}
Point = tuple[float, float, float, float]


class Outcome(NamedTuple):
    """What one arm reached with one point, mean over its seeds."""

    entropy: float  # of the policy, nats, over the last tenth of training; NaN if not recorded
    final_return: float
    mean_return: float  # over training


@dataclass(frozen=True)
class Trial:
    """One level's outcomes with one point, by arm; a pair where there are both."""

    level: str
    point: Point
    outcomes: dict[str, Outcome]

    @property
    def is_pair(self) -> bool:
        """Whether both arms were tried."""
        return len(self.outcomes) == 2

    def scores(self, name: str) -> tuple[float, float]:
        """A2C's and A2C + CPC's score of that name (a key of SCORES), of a pair."""
        return getattr(self.outcomes[BASELINE], name), getattr(self.outcomes[CPC], name)

    def difference(self, name: str) -> float:
        """With CPC minus without, of a pair."""
        without, with_cpc = self.scores(name)
        return with_cpc - without


def read_trials(run_dirs: Iterable[Path]) -> tuple[list[Trial], list[str]]:
    """All trials by level and point, and sentences on what is left out.

    `run_dirs` are taken as `find_runs` does. Raises ValueError: as `finished_runs`, no pair, a run
    without the searched settings, runs of a level that differ in more than these.
    """
    finished, notes = finished_runs(run_dirs)
    runs = sorted((run for run in finished if run.aux in COMPARED), key=level_order)
    trials = []
    for level, group in itertools.groupby(runs, key=lambda run: run.level):
        level_runs = sorted(group, key=_point)
        _check_that_only_points_differ(level, level_runs)
        for point, same in itertools.groupby(level_runs, key=_point):
            tried = list(same)
            by_arm = {aux: [run for run in tried if run.aux == aux] for aux in COMPARED}
            outcomes = {aux: _outcome(seeds) for aux, seeds in by_arm.items() if seeds}
            trials.append(Trial(level, point, outcomes))
    if not any(trial.is_pair for trial in trials):
        raise ValueError(
            f"there is no pair: {NAMES[BASELINE]} and {NAMES[CPC]} of one level with equal "
            f"{', '.join(SEARCHED)}"
        )
    alone = [
        f"{trial.level} {point_text(trial.point)} ({NAMES[aux]} only)"
        for trial in trials
        for aux in trial.outcomes
        if not trial.is_pair
    ]
    return trials, notes + ([f"Without a partner: {'; '.join(alone)}."] if alone else [])


def _outcome(runs: Sequence[Run]) -> Outcome:
    scores = [(final_entropy(run), final_return(run), area(run)) for run in runs]
    return Outcome(*(float(mean) for mean in np.mean(scores, axis=0)))


def _point(run: Run) -> Point:
    try:
        entropy_cost, learning_rate, epsilon = (float(run.settings[key]) for key in SEARCHED[:3])
    except KeyError as error:
        raise ValueError(f"{run.folder} has no setting {error}, which the search is over") from None
    return entropy_cost, learning_rate, epsilon, float(run.settings.get(CLIP, math.inf))


def _check_that_only_points_differ(level: str, runs: Sequence[Run]) -> None:
    names: set[str] = set()
    for run in runs:
        first_of_arm = next(other for other in runs if other.aux == run.aux)
        names |= set(differing_settings(runs[0], run)) - set(SEARCHED)
        names |= {key for key, _ in _aux_settings(run) ^ _aux_settings(first_of_arm)}
    if names:
        raise ValueError(
            f"the runs of {level} differ in {', '.join(sorted(names))}, "
            "not in the searched settings alone"
        )


def _aux_settings(run: Run) -> set[tuple[str, Any]]:
    return {item for item in run.settings.items() if item[0].startswith("aux.")}


def sign_test(differences: Sequence[float]) -> tuple[int, int, float]:
    """How often CPC won, of how many pairs that are no tie, and the two-sided p of a sign test.

    p is NaN without pairs: that many wins or losses, or more, if either were as likely.
    """
    wins, losses = (sum(sign * d > 0 for d in differences) for sign in (1, -1))
    p = stats.binomtest(wins, wins + losses).pvalue if wins + losses else float("nan")
    return wins, wins + losses, float(p)


def point_text(point: Point) -> str:
    """The four values, as a reader meets them."""
    return ", ".join(f"{value:.3g}" for value in point)
