"""The search's triples: within their ranges, spread over them, and those that the plans hold."""

import math
from pathlib import Path

import pytest

from studies.draw import ENTROPY_COST, LEARNING_RATE, RMSPROP_EPSILON, draw
from studies.plan import read_plan

PLANS = Path(__file__).parent.parent.parent / "studies" / "plans"


def values(variants):
    """[count][3] numbers: entropy cost, learning rate, epsilon."""
    return [[float(s.partition("=")[2]) for s in settings] for settings in variants.values()]


def test_triples_are_spread_over_the_ranges():
    entropy_costs, learning_rates, epsilons = zip(*values(draw(8, seed=3)), strict=True)
    for drawn, (low, high) in ((entropy_costs, ENTROPY_COST), (learning_rates, LEARNING_RATE)):
        places = sorted(math.log(x / low) / math.log(high / low) for x in drawn)
        # a Sobol sequence has one of eight points in each eighth; two digits are kept of each
        assert places == pytest.approx([(i + 0.5) / 8 for i in range(8)], abs=1 / 16 + 0.02)
    assert sorted(epsilons) == sorted(2 * RMSPROP_EPSILON)


@pytest.mark.parametrize(
    ("plan", "arguments"),
    [
        ("search", {"count": 8, "seed": 1}),
        ("search_lasertag", {"count": 4, "seed": 1, "entropy_cost": (5e-5, 3e-4)}),
    ],
)
def test_plans_hold_what_is_drawn(plan, arguments):
    drawn = draw(**arguments)
    assert values(read_plan(PLANS / f"{plan}.yaml").variants) == values(drawn)
    assert draw(**{**arguments, "seed": 2}) != drawn
