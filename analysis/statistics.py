"""The arithmetic behind figures and tables: binned means, interquartile means, intervals.

A claim about a method rests on seeds, not on episodes, so every interval here is over seeds, and
there is none for fewer than five of them.
"""

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


def statistic_name(seeds: int) -> str:
    """How `aggregate_seeds` summarises that many seeds."""
    return "mean" if seeds < MIN_SEEDS_FOR_INTERVAL else "IQM"


def weighted_mean(values: FloatArray, weights: FloatArray) -> float:
    """Sum(weights * values) / sum(weights) over the rows [N] whose value is not NaN; else NaN."""
    known = ~np.isnan(values)
    total = float(weights[known].sum())
    return float((weights[known] * values[known]).sum()) / total if total > 0 else float("nan")


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


def aggregate_seeds(curves: FloatArray) -> Aggregate:
    """Summarise `curves` [S, N], one row per seed, at each of the N points.

    Fewer than five seeds: their mean, no interval. Five or more: the interquartile mean and its
    percentile-bootstrap 95 % interval, seeds being resampled whole. A fixed generator makes the
    interval a function of the data. A point where any seed is NaN is NaN.
    """
    statistic = statistic_name(len(curves))
    if statistic == "mean":
        return Aggregate(statistic, curves.mean(axis=0), None, None)
    centre, low, high = (np.full(curves.shape[1], np.nan) for _ in range(3))
    known = ~np.isnan(curves).any(axis=0)
    if known.any():
        centre[known] = interquartile_mean(curves[:, known])
        interval = stats.bootstrap(
            (curves[:, known],),
            interquartile_mean,
            axis=0,
            vectorized=True,
            method="percentile",
            confidence_level=CONFIDENCE_LEVEL,
            n_resamples=BOOTSTRAP_RESAMPLES,
            rng=np.random.default_rng(0),
        ).confidence_interval
        low[known], high[known] = interval.low, interval.high
    return Aggregate(statistic, centre, low, high)
