"""What one run reached: its final return, its whole curve as one number, its successes."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.runs import Run, column_names, find_runs, read_table
from analysis.statistics import FloatArray, binned_means, binned_sums, mean_of_known, weighted_mean
from records.file_names import PROGRESS_FILE

FINAL_SHARE = 0.1  # of a run's frames, at their end
AREA_PARTS = 20
TRAILING_BINS = 100  # of which FINAL_SHARE is a whole number


def finished_runs(run_dirs: Iterable[Path]) -> tuple[list[Run], list[str]]:
    """The finished runs in `run_dirs`, as `find_runs` finds them, and a sentence on the others.

    Only a run that has come to its end has a final return. Raises ValueError: as `find_runs`, no
    run is finished.
    """
    runs = find_runs(run_dirs)
    done = [run for run in runs if run.frames >= run.total_frames]
    if not done:
        raise ValueError("none of the runs is finished")
    open_runs = [
        f"{run.level} {run.arm} seed {run.seed} "
        f"({run.frames / 1e6:.3g} of {run.total_frames / 1e6:.3g} M frames)"
        for run in runs
        if run not in done
    ]
    return done, [f"Left out, unfinished: {'; '.join(open_runs)}."] if open_runs else []


def final_return(run: Run) -> float:
    """Mean return over the last tenth of the run's frames; NaN if no episode ended there."""
    returns, late = run.returns, _late(run)
    return weighted_mean(returns.mean_return[late], returns.episodes[late])


def final_seconds(run: Run) -> tuple[float, float]:
    """Mean seconds to first and to later successes in the last tenth; NaN where there are none."""
    returns, late = run.returns, _late(run)
    return (
        weighted_mean(returns.first_seconds[late], returns.first_count[late]),
        weighted_mean(returns.later_seconds[late], returns.later_count[late]),
    )


def success_share(run: Run) -> float:
    """Share of the last tenth's episodes that had a success; NaN if no episode ended there.

    0 on a level that knows no successes, too: a run's records cannot tell that from failure.
    """
    returns, late = run.returns, _late(run)
    episodes = returns.episodes[late].sum()
    return float(returns.first_count[late].sum() / episodes) if episodes else float("nan")


def final_entropy(run: Run) -> float:
    """The policy's mean entropy (nats) over the last tenth; NaN if it is not recorded."""
    return final_mean(run, "entropy")


def final_mean(run: Run, name: str) -> float:
    """Mean over the last tenth of a column of progress.csv; NaN if it is not recorded."""
    frames, values = progress_columns(run, ("frames", name))
    return mean_of_known(values[frames > (1 - FINAL_SHARE) * run.frames])


def progress_columns(run: Run, names: Sequence[str]) -> list[FloatArray]:
    """Columns of progress.csv, [N] each; empty where the run has not recorded all of them."""
    path = run.folder / PROGRESS_FILE
    if not path.is_file() or not set(names) <= set(column_names(path)):
        return [np.empty(0) for _ in names]
    return list(read_table(path, names).values())


def area(run: Run) -> float:
    """Area under the return curve divided by its length: the mean return over training.

    The mean of the mean returns in 20 equal parts of the run's frames, so that many short episodes
    count no more than a few long ones. A part in which no episode ended is left out.
    """
    returns = run.returns
    parts = binned_means(
        returns.frames,
        returns.mean_return,
        returns.episodes,
        run.frames / AREA_PARTS,
        AREA_PARTS,
    )
    return mean_of_known(parts)


def trailing_returns(run: Run) -> tuple[FloatArray, FloatArray]:
    """Mean return over the tenth of the run's frames before each of N moments.

    Returns the moments (frames) and the means, [N] each: the first moment is a tenth of the run,
    the last its end, where the mean is `final_return`. NaN where no episode ended.
    """
    returns, width = run.returns, run.frames / TRAILING_BINS
    known = ~np.isnan(returns.mean_return)
    frames, episodes = returns.frames[known], returns.episodes[known]
    window = np.ones(round(FINAL_SHARE * TRAILING_BINS))
    totals, counts = (
        np.convolve(binned_sums(frames, values, width, TRAILING_BINS), window, mode="valid")
        for values in (episodes * returns.mean_return[known], episodes)
    )
    means = np.divide(totals, counts, out=np.full(len(totals), np.nan), where=counts > 0)
    return width * np.arange(len(window), TRAILING_BINS + 1, dtype=np.float64), means


def _late(run: Run) -> NDArray[np.bool_]:
    return run.returns.frames > (1 - FINAL_SHARE) * run.frames
