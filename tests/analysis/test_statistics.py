import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from analysis.statistics import (
    Estimate,
    aggregate_seeds,
    bin_centres,
    binned_means,
    binned_sums,
    difference_of_seeds,
    estimate_of_seeds,
    interquartile_mean,
    probability_of_improvement,
    weighted_mean,
)

NAN = float("nan")


def test_bins_hold_what_ends_in_them_with_their_upper_edge() -> None:
    frames = np.array([1.0, 10.0, 11.0, 20.0, 35.0, 51.0])
    values = np.array([3.0, 5.0, 7.0, 11.0, 13.0, 1000.0])
    means = binned_means(frames, values, np.ones(6), bin_width=10.0, bins=5)
    np.testing.assert_array_equal(means, [4.0, 9.0, NAN, 13.0, NAN])
    np.testing.assert_array_equal(
        binned_sums(frames, values, bin_width=10.0, bins=5), [8.0, 18.0, 0.0, 13.0, 0.0]
    )
    np.testing.assert_array_equal(bin_centres(10.0, 3), [5.0, 15.0, 25.0])


def test_binned_means_weigh_rows_and_leave_out_unknown_values() -> None:
    frames, weights = np.array([3.0, 4.0, 5.0]), np.array([1.0, 3.0, 100.0])
    means = binned_means(frames, np.array([2.0, 6.0, NAN]), weights, bin_width=7.0, bins=1)
    np.testing.assert_array_equal(means, [5.0])


@given(longest=st.integers(1, 10**9), bins=st.integers(1, 100))
def test_the_last_frame_falls_into_the_last_bin(longest: int, bins: int) -> None:
    sums = binned_sums(np.array([float(longest)]), np.ones(1), longest / bins, bins)
    assert sums[-1] == 1


def test_weighted_mean() -> None:
    assert weighted_mean(np.array([2.0, NAN, 8.0]), np.array([2.0, 7.0, 1.0])) == 4.0
    assert np.isnan(weighted_mean(np.array([NAN]), np.array([1.0])))
    assert np.isnan(weighted_mean(np.empty(0), np.empty(0)))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([100.0, 1.0, 2.0, 3.0, -50.0], 2.0),  # one of five dropped at either end
        ([0.0, 0.0, 1.0, 2.0, 4.0, 5.0, 90.0, 99.0], 3.0),  # two of eight
    ],
)
def test_interquartile_mean_ignores_the_outer_quarters(
    values: list[float], expected: float
) -> None:
    assert interquartile_mean(np.array(values)) == pytest.approx(expected)


def test_four_seeds_have_a_mean_and_no_interval() -> None:
    curves = np.array([[1.0, 2.0], [3.0, 2.0], [5.0, 2.0], [11.0, NAN]])
    summary = aggregate_seeds(curves)
    assert summary.statistic == "mean"
    np.testing.assert_array_equal(summary.centre, [5.0, NAN])
    assert summary.low is None
    assert summary.high is None


def test_five_seeds_have_an_interquartile_mean_inside_their_interval() -> None:
    seeds = np.array([1.0, 2.0, 3.0, 4.0, 90.0])
    curves = np.stack([seeds, np.full(5, 7.0), np.append(seeds[:4], NAN)], axis=1)
    summary = aggregate_seeds(curves)
    assert summary.statistic == "IQM"
    assert summary.low is not None
    assert summary.high is not None
    np.testing.assert_array_equal(summary.centre, [3.0, 7.0, NAN])
    np.testing.assert_array_equal([summary.low[1], summary.high[1]], [7.0, 7.0])
    assert 1.0 <= summary.low[0] < 3.0 < summary.high[0] <= 90.0
    assert np.isnan([summary.low[2], summary.high[2]]).all()


def test_the_interval_is_a_function_of_the_data() -> None:
    curves = np.random.default_rng(3).normal(size=(7, 11))
    one, two = aggregate_seeds(curves), aggregate_seeds(curves)
    np.testing.assert_array_equal(one.low, two.low)
    np.testing.assert_array_equal(one.high, two.high)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Percentile intervals of few values are a little narrow: 85 % is a sound floor for 19."""
    curves = np.random.default_rng(5).normal(size=(19, 400))
    summary = aggregate_seeds(curves)
    assert summary.low is not None
    assert summary.high is not None
    covered = np.mean((summary.low < 0) & (summary.high > 0))
    assert 0.85 < covered < 0.99


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=9))
def test_the_interval_lies_within_the_seeds(values: list[float]) -> None:
    summary = aggregate_seeds(np.array(values)[:, None])
    assert summary.low is not None
    assert summary.high is not None
    assert min(values) - 1e-9 <= summary.low[0] <= summary.high[0] <= max(values) + 1e-9


def test_intervals_that_meet_are_not_separated() -> None:
    middle = Estimate(3.0, 2.0, 4.0)
    assert Estimate(6.0, 4.1, 7.0).side_of(middle) == 1
    assert Estimate(1.0, 0.0, 1.9).side_of(middle) == -1
    assert Estimate(5.0, 4.0, 6.0).side_of(middle) == 0
    assert Estimate(9.0).side_of(middle) == middle.side_of(Estimate(9.0)) == 0


def test_an_estimate_is_the_seeds_summary() -> None:
    few = estimate_of_seeds(np.array([1.0, 2.0, 6.0]))
    assert few.value == 3.0
    assert not few.has_interval
    five = estimate_of_seeds(np.array([1.0, 2.0, 3.0, 4.0, 90.0]))
    assert five.value == 3.0
    assert five.low < 3.0 < five.high


def test_a_difference_is_of_the_summaries_of_either_arm() -> None:
    few = difference_of_seeds(np.array([1.0, 2.0]), np.array([5.0, 6.0, 10.0]))
    assert few.value == -5.5
    assert not few.has_interval
    one, other = np.array([11.0, 12.0, 13.0, 14.0, 99.0]), np.array([-50.0, 2.0, 3.0, 4.0, 5.0])
    estimate = difference_of_seeds(one, other)
    assert estimate.value == 10.0
    # Wider than either arm's own interval, and the same backwards.
    own = estimate_of_seeds(one), estimate_of_seeds(other)
    assert estimate.high - estimate.low > max(arm.high - arm.low for arm in own)
    assert difference_of_seeds(other, one).value == -10.0
    assert difference_of_seeds(one, one).low < 0 < difference_of_seeds(one, one).high
    assert np.isnan(difference_of_seeds(np.array([NAN, *one]), other)).all()


def test_probability_of_improvement_counts_the_pairs_that_improve() -> None:
    tied = np.array([2.0, 3.0]), np.array([2.0, 1.0])  # 3 of 4 pairs, and half of one
    even = np.array([1.0, 5.0, 9.0]), np.array([5.0])
    assert probability_of_improvement([tied]).value == 0.875
    assert probability_of_improvement([even]).value == 0.5
    assert probability_of_improvement([tied, even]).value == (0.875 + 0.5) / 2
    assert not probability_of_improvement([tied]).has_interval


def test_probability_of_improvement_is_mann_and_whitneys_u() -> None:
    rng = np.random.default_rng(13)
    x, y = rng.normal(size=7), rng.normal(size=11)
    estimate = probability_of_improvement([(x, y)])
    assert estimate.value == pytest.approx(mannwhitneyu(x, y).statistic / 77)
    assert 0 < estimate.low < estimate.value < estimate.high < 1
    assert probability_of_improvement([(y, x)]).high == pytest.approx(1 - estimate.low)


def test_strata_narrow_the_interval_and_are_never_mixed() -> None:
    """Scores of different levels are not compared: here each level is undecided by itself."""
    one, two = np.arange(5.0), 1000 + np.arange(5.0)
    both = probability_of_improvement([(one, one), (two, two)])
    alone = probability_of_improvement([(one, one)])
    assert both.value == alone.value == 0.5
    assert both.high - both.low < alone.high - alone.low


def test_nothing_improves_without_scores() -> None:
    assert np.isnan(probability_of_improvement([]).value)
    assert np.isnan(probability_of_improvement([(np.array([NAN]), np.ones(1))]).value)


def test_how_often_five_seeds_tell_the_truth() -> None:
    """The shares that the module's docstring states, from 600 pairs of normal arms."""
    one, two = np.random.default_rng(17).normal(size=(2, 5, 600))
    a, b = aggregate_seeds(one), aggregate_seeds(two)
    assert a.low is not None
    assert a.high is not None
    assert b.low is not None
    assert b.high is not None
    assert 0.87 < np.mean((a.low < 0) & (a.high > 0)) < 0.93
    assert np.mean((a.low > b.high) | (a.high < b.low)) < 0.04
    assert 0.55 < np.mean(a.high < b.low + 2) < 0.65


@pytest.mark.slow
def test_intervals_of_five_seeds_separate_as_often_as_the_module_says() -> None:
    """Of equal arms, and of arms that are two standard deviations of a seed apart."""
    rng = np.random.default_rng(0)

    def estimates(mean: float) -> list[Estimate]:
        return [estimate_of_seeds(rng.normal(mean, 1.0, 5)) for _ in range(400)]

    one, equal, other = estimates(0.0), estimates(0.0), estimates(2.0)
    separated = [[a.side_of(b) != 0 for a, b in zip(one, x, strict=True)] for x in (equal, other)]
    assert np.mean(separated[0]) == pytest.approx(0.02, abs=0.02)
    assert np.mean(separated[1]) == pytest.approx(0.60, abs=0.08)
