"""The arithmetic behind figures and tables: binned means, interquartile means, intervals.

A claim about a method rests on seeds, not on episodes, so every interval here is over seeds, and
there is none for fewer than five of them. They are percentile bootstraps, which for five seeds are
narrower than they say: of normally distributed seeds they cover the truth in 90 % of cases. Two
arms that do not differ have separated intervals in 2 % of cases; arms that differ by two standard
deviations of a seed, in 60 %.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]

MIN_SEEDS_FOR_INTERVAL = 5
CONFIDENCE_LEVEL = 0.95
BOOTSTRAP_RESAMPLES = 2000


class Aggregate(NamedTuple):
    """Seeds summarised point by point."""

    statistic: str  # "mean" or "IQM" (interquartile mean)
    centre: FloatArray  # [N]
    low: FloatArray | None  # [N], ends of the bootstrap interval; None below five seeds
    high: FloatArray | None  # [N]


class Estimate(NamedTuple):
    """A number that seeds support, with its 95 % interval; NaN ends below five seeds."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    @property
    def has_interval(self) -> bool:
        """Whether there were seeds enough for an interval."""
        return not np.isnan(self.low)

    def side_of(self, other: "Estimate") -> int:
        """1 if this interval lies wholly above the other, -1 if below, 0 if they meet or lack."""
        return int(self.low > other.high) - int(self.high < other.low)


def statistic_name(seeds: int) -> str:
    """How `aggregate_seeds` summarises that many seeds."""
    return "mean" if seeds < MIN_SEEDS_FOR_INTERVAL else "IQM"


def weighted_mean(values: FloatArray, weights: FloatArray) -> float:
    """Sum(weights * values) / sum(weights) over the rows [N] whose value is not NaN; else NaN."""
    known = ~np.isnan(values)
    total = float(weights[known].sum())
    return float((weights[known] * values[known]).sum()) / total if total > 0 else float("nan")


def mean_of_known(values: FloatArray) -> float:
    """Mean of the values [N] that are not NaN; NaN if there is none."""
    return weighted_mean(values, np.ones_like(values))


def bin_centres(bin_width: float, bins: int) -> FloatArray:
    """Middle of each bin of `binned_sums`, [bins], environment frames."""
    return bin_width * (np.arange(bins, dtype=np.float64) + 0.5)


def binned_sums(frames: FloatArray, values: FloatArray, bin_width: float, bins: int) -> FloatArray:
    """Sum of `values` in each of `bins` bins of environment frames.

    Bin i covers (i * bin_width, (i + 1) * bin_width]: an episode belongs to the frames that led up
    to its end. Inputs are [N]; rows beyond the last bin are left out.
    """
    # The subtracted sliver keeps frames == bins * bin_width in the last bin despite rounding.
    index = np.maximum(np.ceil(frames / bin_width - 1e-9).astype(np.int64) - 1, 0)
    inside = index < bins
    return np.bincount(index[inside], values[inside], minlength=bins).astype(np.float64)


def binned_means(
    frames: FloatArray, values: FloatArray, weights: FloatArray, bin_width: float, bins: int
) -> FloatArray:
    """Weighted mean of `values` in each bin of `binned_sums`; NaN where a bin holds nothing.

    Rows [N] whose value is NaN are left out.
    """
    known = ~np.isnan(values)
    frames, values, weights = frames[known], values[known], weights[known]
    totals = binned_sums(frames, weights, bin_width, bins)
    sums = binned_sums(frames, weights * values, bin_width, bins)
    return np.divide(sums, totals, out=np.full(bins, np.nan), where=totals > 0)


def interquartile_mean(values: FloatArray, axis: int = 0) -> FloatArray:
    """Mean of what is left after dropping the lowest and highest quarter (Agarwal et al. 2021).

    Each quarter is rounded down to whole values: five seeds lose one at either end.
    """
    return np.asarray(stats.trim_mean(values, 0.25, axis=axis))


def centre_of_seeds(curves: FloatArray) -> FloatArray:
    """Mean of `curves` [S, N] over fewer than five seeds, else interquartile mean, [N].

    A point where any seed is NaN is NaN.
    """
    if statistic_name(len(curves)) == "mean":
        return curves.mean(axis=0)
    known = ~np.isnan(curves).any(axis=0)
    centre = np.full(curves.shape[1], np.nan)
    if known.any():
        centre[known] = interquartile_mean(curves[:, known])
    return centre


def aggregate_seeds(curves: FloatArray) -> Aggregate:
    """Summarise `curves` [S, N], one row per seed, at each of the N points.

    Fewer than five seeds: their mean, no interval. Five or more: the interquartile mean and its
    percentile-bootstrap 95 % interval, seeds being resampled whole. A fixed generator makes the
    interval a function of the data. A point where any seed is NaN is NaN.
    """
    statistic, centre = statistic_name(len(curves)), centre_of_seeds(curves)
    if statistic == "mean":
        return Aggregate(statistic, centre, None, None)
    low, high = (np.full(curves.shape[1], np.nan) for _ in range(2))
    known = ~np.isnan(centre)
    if known.any():
        low[known], high[known] = _bootstrap_interval([curves[:, known]], interquartile_mean)
    return Aggregate(statistic, centre, low, high)


def estimate_of_seeds(values: FloatArray) -> Estimate:
    """`aggregate_seeds` of one number per seed, [S]."""
    summary = aggregate_seeds(values[:, None])
    if summary.low is None or summary.high is None:
        return Estimate(float(summary.centre[0]))
    return Estimate(float(summary.centre[0]), float(summary.low[0]), float(summary.high[0]))


def difference_of_seeds(one: FloatArray, other: FloatArray) -> Estimate:
    """By how much the seeds of one arm [S1] score higher than those of another [S2].

    The difference of their means, or from five seeds each of their interquartile means with an
    interval that resamples the seeds of either arm. NaN with a score that is NaN.
    """
    if min(len(one), len(other)) < MIN_SEEDS_FOR_INTERVAL:
        return Estimate(float(one.mean() - other.mean()))
    if np.isnan([*one, *other]).any():
        return Estimate(float("nan"))
    low, high = _bootstrap_interval([one, other], _difference)
    return Estimate(float(_difference(one, other, axis=0)), float(low), float(high))


def _difference(one: FloatArray, other: FloatArray, axis: int) -> FloatArray:
    return interquartile_mean(one, axis) - interquartile_mean(other, axis)


def probability_of_improvement(strata: Sequence[tuple[FloatArray, FloatArray]]) -> Estimate:
    """How probably a seed of the one arm scores higher than one of the other.

    P(x > y) + P(x = y) / 2 over all pairs of a stratum's scores x [S1] and y [S2], which is Mann
    and Whitney's U / (S1 * S2), averaged over the strata (levels); Agarwal et al. 2021. The
    interval resamples the seeds of each arm within each stratum; none where an arm has fewer than
    five. NaN without strata or with a score that is NaN.
    """
    samples = [scores for pair in strata for scores in pair]
    if not samples or any(np.isnan(scores).any() for scores in samples):
        return Estimate(float("nan"))
    value = float(_mean_improvement(*samples))
    if min(map(len, samples)) < MIN_SEEDS_FOR_INTERVAL:
        return Estimate(value)
    low, high = _bootstrap_interval(samples, _mean_improvement)
    return Estimate(value, float(low), float(high))


def _mean_improvement(*samples: FloatArray, axis: int = -1) -> FloatArray:
    """Mean over strata of P(x > y) + P(x = y) / 2; `samples` are x, y, x, y, ..."""
    shares = []
    for x, y in zip(samples[::2], samples[1::2], strict=True):
        x, y = np.moveaxis(x, axis, -1)[..., None], np.moveaxis(y, axis, -1)[..., None, :]
        shares.append(((x > y) + 0.5 * (x == y)).mean(axis=(-2, -1)))
    return np.mean(shares, axis=0)


def _bootstrap_interval(
    samples: Sequence[FloatArray], statistic: Callable[..., FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Percentile interval of `statistic` of samples that are resampled along their first axis."""
    interval = stats.bootstrap(
        tuple(samples),
        statistic,
        axis=0,
        vectorized=True,
        method="percentile",
        confidence_level=CONFIDENCE_LEVEL,
        n_resamples=BOOTSTRAP_RESAMPLES,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return interval.low, interval.high
