import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.statistics import (
    aggregate_seeds,
    bin_centres,
    binned_means,
    binned_sums,
    interquartile_mean,
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
