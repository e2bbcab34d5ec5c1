"""The search's points: within their ranges, spread over them, and those that the plans hold."""

import itertools
import math
from pathlib import Path

import pytest

from studies.draw import ENTROPY_COST, LEARNING_RATE, MAX_GRAD_NORM, RMSPROP_EPSILON, draw, main
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--count", "-1"], "--count is -1; it must lie between 1 and 1000."),
        (["--count", "0"], "--count is 0; it must lie between 1 and 1000."),
        (["--count", "1001"], "--count is 1001; it must lie between 1 and 1000."),
        (["--seed", "-1"], "--seed is -1; it must be at least 0."),
        *(
            (
                ["--entropy-cost", *ends.split()],
                f"--entropy-cost is {ends}; it must be a lower and an upper end, "
                "between 1e-30 and 1e+30.",
            )
            for ends in ("0 1", "-1 1", "1 0.5", "nan 1", "1 inf", "1e-31 1")
        ),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(arguments, said, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", [said])


def test_command_prints_the_variants_of_a_plan(capsys):
    assert main(["--count", "4", "--entropy-cost", "1e-3", "1e-3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0].strip() for line in lines] == ["t1", "t2", "t3", "t4"]
    assert all("agent.entropy_cost=0.001," in line for line in lines)
