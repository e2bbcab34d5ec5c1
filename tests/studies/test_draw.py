"""The search's points: within their ranges, spread over them, and those that the plans hold."""

import itertools
import math
from pathlib import Path

import pytest

from studies.draw import ENTROPY_COST, LEARNING_RATE, MAX_GRAD_NORM, RMSPROP_EPSILON, draw
from studies.plan import read_plan

PLANS = Path(__file__).parent.parent.parent / "studies" / "plans"


def values(variants):
    """[count][4] values: entropy cost, learning rate, epsilon, clip (null: none)."""
    texts = [[s.partition("=")[2] for s in settings] for settings in variants.values()]
    return [[*map(float, text[:3]), text[3]] for text in texts]


def test_points_are_spread_over_the_ranges():
    columns = list(zip(*values(draw(8, seed=3)), strict=True))
    entropy_costs, learning_rates, epsilons, clips = columns
    for drawn, (low, high) in ((entropy_costs, ENTROPY_COST), (learning_rates, LEARNING_RATE)):
        places = sorted(math.log(x / low) / math.log(high / low) for x in drawn)
        # a Sobol sequence has one of eight points in each eighth; two digits are kept of each
        assert places == pytest.approx([(i + 0.5) / 8 for i in range(8)], abs=1 / 16 + 0.02)
    pairs = itertools.product(RMSPROP_EPSILON, MAX_GRAD_NORM)
    assert sorted(zip(epsilons, clips, strict=True)) == sorted(pairs)


@pytest.mark.parametrize(
    ("plan", "arguments"),
    [
        ("search", {"count": 8, "seed": 1}),
        ("search_lasertag", {"count": 4, "seed": 2, "entropy_cost": (5e-5, 3e-4)}),
    ],
)
def test_plans_hold_what_is_drawn(plan, arguments):
    drawn = draw(**arguments)
    assert values(read_plan(PLANS / f"{plan}.yaml").variants) == values(drawn)
    assert draw(**{**arguments, "seed": 3}) != drawn
