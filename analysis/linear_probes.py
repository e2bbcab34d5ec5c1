"""What a linear probe can read from a code: facts of episodes that the probe was not fitted to.

Ridge regression for numbers, logistic regression for classes, on standardised features. Steps of an
episode are alike, so whole episodes are left out: each is predicted by a probe of the others, whose
strength of regularisation was chosen on these alone, with whole episodes left out again.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from analysis.probe_table import BALANCED_ACCURACY, R2
from analysis.statistics import BOOTSTRAP_RESAMPLES, CONFIDENCE_LEVEL, FloatArray

FOLDS = 4  # of the episodes, each left out once
CHOICE_FOLDS = 3  # of the rest, to choose the regularisation
MAX_DEVIATIONS = 10.0  # of a standardised feature; what lies further off is moved there
MIN_EPISODES = 12  # in which a fact is known, and each of its classes occurs
RIDGE_STRENGTHS = (1e0, 1e1, 1e2, 1e3, 1e4)
LOGISTIC_STRENGTHS = (1e-4, 1e-2, 1e0)  # inverse, as scikit-learn has it


class Score(NamedTuple):
    """How well a probe does on episodes that it was not fitted to."""

    measure: str  # R2 or BALANCED_ACCURACY
    chance: float  # what a probe of nothing reaches; it and the next three: NaN where there are
    value: float  # too few episodes to tell
    low: float  # ends of the bootstrap interval over episodes
    high: float
    episodes: int
    rows: int


def probe(code: NDArray[np.float32], fact: NDArray, episode: NDArray[np.int64]) -> Score:
    """Score of a linear probe that reads `fact` from `code` [N, D].

    `fact`: numbers, float64 [N, k], or classes, int64 [N]; rows with a NaN, or class -1, are left
    out. `episode` [N] says which rows belong together. R2 is the part of the numbers' variance that
    the probe explains, over all k together; balanced accuracy the mean over classes of the part of
    their rows that it recognises.
    """
    numbers = np.issubdtype(fact.dtype, np.floating)
    known = ~np.isnan(fact).any(axis=1) if numbers else fact >= 0
    code, fact, episode = (
        code[known],
        fact[known],
        np.unique(episode[known], return_inverse=True)[1],
    )
    count = int(episode.max(initial=-1)) + 1
    classes = np.unique(fact)
    measure = R2 if numbers else BALANCED_ACCURACY
    chance = value = low = high = float("nan")
    if _enough(fact, episode, count):
        chance = 0.0 if numbers else 1 / len(classes)
        predicted = held_out_predictions(code, fact, episode)
        if numbers:
            sums = _sums(_number_terms(fact, predicted), episode, count)
            value, low, high = _with_interval(sums, _explained_variance)
        else:
            sums = _sums(_class_terms(fact, predicted, classes), episode, count)
            value, low, high = _with_interval(sums, _balanced_accuracy)
    return Score(measure, chance, value, low, high, count, len(fact))


def held_out_predictions(
    code: NDArray[np.float32], fact: NDArray, episode: NDArray[np.int64]
) -> NDArray:
    """What probes that have not seen a row's episode predict for it, shaped as `fact`."""
    # A unit that hardly fires in the episodes seen may lie thousands of their standard deviations
    # away in another, and one such row decides R2.
    cut = FunctionTransformer(np.clip, kw_args={"a_min": -MAX_DEVIATIONS, "a_max": MAX_DEVIATIONS})
    if np.issubdtype(fact.dtype, np.floating):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), cut, Ridge()),
            {"ridge__alpha": RIDGE_STRENGTHS},
            scoring=make_scorer(r2_score, multioutput="variance_weighted"),
            cv=GroupKFold(CHOICE_FOLDS),
        )
        folds = GroupKFold(FOLDS)
    else:
        # Rare classes count as much as common ones; episodes are dealt out so that all have them.
        logistic = LogisticRegression(solver="newton-cholesky", class_weight="balanced")
        search = GridSearchCV(
            make_pipeline(StandardScaler(), cut, logistic),
            {"logisticregression__C": LOGISTIC_STRENGTHS},
            scoring="balanced_accuracy",
            cv=StratifiedGroupKFold(CHOICE_FOLDS),
        )
        folds = StratifiedGroupKFold(FOLDS)
    code = code.astype(np.float64)
    predicted = np.empty_like(fact)
    with warnings.catch_warnings():
        # Newton's last steps, far below what decides a class.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for seen, left_out in folds.split(code, fact, episode):
            search.fit(code[seen], fact[seen], groups=episode[seen])
            predicted[left_out] = search.predict(code[left_out]).reshape(fact[left_out].shape)
    return predicted


def _enough(fact: NDArray, episode: NDArray[np.int64], count: int) -> bool:
    """Whether the fact varies, in enough episodes to leave some out again and again."""
    if np.issubdtype(fact.dtype, np.floating):
        return count >= MIN_EPISODES and bool((fact != fact[0]).any())
    classes = np.unique(fact)
    return len(classes) > 1 and all(
        len(np.unique(episode[fact == one])) >= MIN_EPISODES for one in classes
    )


def _sums(terms: FloatArray, episode: NDArray[np.int64], count: int) -> FloatArray:
    """Sums of the rows' terms [N, m] over each episode, [count, m]."""
    sums = np.zeros((count, terms.shape[1]))
    np.add.at(sums, episode, terms)
    return sums


def _number_terms(fact: FloatArray, predicted: FloatArray) -> FloatArray:
    """Per row: 1, the squared error, the squared norm, the numbers; [N, 3 + k]."""
    error = ((predicted - fact) ** 2).sum(axis=1)
    fact = fact - fact.mean(axis=0)  # or the variance is a small difference of large sums
    return np.column_stack([np.ones(len(fact)), error, (fact**2).sum(axis=1), fact])


def _explained_variance(sums: FloatArray) -> FloatArray:
    """R2 from sums of `_number_terms` [..., 3 + k]; NaN where nothing varies."""
    rows, error, norm = sums[..., 0], sums[..., 1], sums[..., 2]
    variation = norm - (sums[..., 3:] ** 2).sum(axis=-1) / rows
    return 1.0 - error / np.where(variation > 0.0, variation, np.nan)


def _class_terms(
    fact: NDArray[np.int64], predicted: NDArray[np.int64], classes: NDArray[np.int64]
) -> FloatArray:
    """Per row: which class it has, and which it has and was recognised; [N, 2 * classes]."""
    has = fact[:, None] == classes
    return np.hstack([has, has & (predicted == fact)[:, None]]).astype(np.float64)


def _balanced_accuracy(sums: FloatArray) -> FloatArray:
    """Mean recall of the classes from sums of `_class_terms` [..., 2 * classes]."""
    rows, hits = np.split(sums, 2, axis=-1)
    # A resample may lack a class: then the others tell.
    return np.nanmean(hits / np.where(rows > 0.0, rows, np.nan), axis=-1)


def _with_interval(
    sums: FloatArray, statistic: Callable[[FloatArray], FloatArray]
) -> tuple[float, float, float]:
    """Statistic of all episodes' sums [E, m], and its percentile-bootstrap interval over them."""
    count = len(sums)
    draws = np.random.default_rng(0).multinomial(
        count, np.full(count, 1 / count), BOOTSTRAP_RESAMPLES
    )
    tail = (1 - CONFIDENCE_LEVEL) / 2
    low, high = np.nanquantile(statistic(draws @ sums), [tail, 1 - tail])
    return float(statistic(sums.sum(axis=0))), float(low), float(high)
