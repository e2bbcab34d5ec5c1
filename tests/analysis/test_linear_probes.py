"""Probes of codes whose content is known."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV

from analysis.linear_probes import MIN_EPISODES, held_out_predictions, probe

EPISODES, STEPS, SIZE = 23, 29, 7
EPISODE = np.repeat(np.arange(EPISODES), STEPS)
RNG = np.random.default_rng(3)
NOISE = RNG.normal(size=(len(EPISODE), SIZE)).astype(np.float32)
NUMBERS = RNG.normal(size=(len(EPISODE), 2)) * (1.0, 5.0) + (100.0, 0.0)
CLASSES = RNG.choice(3, len(EPISODE), p=(0.7, 0.2, 0.1)).astype(np.int64)
CLASSES.reshape(EPISODES, STEPS)[:, :3] = range(3)  # every episode has all


def coded(values: NDArray) -> NDArray[np.float32]:
    """The values among other things, at scales of their own, in a linear code of SIZE + k units."""
    rotation, _ = np.linalg.qr(RNG.normal(size=(SIZE + values.shape[1],) * 2))
    mixed = np.hstack([NOISE, values]) @ rotation
    return (mixed * np.geomspace(1e-2, 1e2, mixed.shape[1])).astype(np.float32)


def test_a_linear_code_is_read() -> None:
    score = probe(coded(NUMBERS), NUMBERS, EPISODE)
    assert (score.measure, score.chance) == ("R2", 0.0)
    assert 0.99 < score.low <= score.value <= score.high <= 1.0
    assert (score.episodes, score.rows) == (EPISODES, len(EPISODE))
    one_hot = (CLASSES[:, None] == np.arange(3)).astype(np.float64)
    score = probe(coded(one_hot), CLASSES, EPISODE)
    assert (score.measure, score.chance) == ("balanced accuracy", pytest.approx(1 / 3))
    assert 0.99 < score.low <= score.value <= score.high <= 1.0


def test_noise_tells_nothing() -> None:
    score = probe(NOISE, NUMBERS, EPISODE)
    assert score.value == pytest.approx(0.0, abs=0.03)
    assert score.low < score.value < score.high
    score = probe(NOISE, CLASSES, EPISODE)
    assert score.value == pytest.approx(1 / 3, abs=0.1)
    assert score.low < score.value < score.high


def test_the_interval_holds_95_percent_of_resampled_episodes() -> None:
    code = coded(NUMBERS + 2.0 * RNG.normal(size=NUMBERS.shape))
    predicted = held_out_predictions(code, NUMBERS, EPISODE)
    draws = np.random.default_rng(3)
    rows = [np.flatnonzero(e == EPISODE) for e in range(EPISODES)]
    values = []
    for _ in range(1000):
        drawn = np.concatenate([rows[e] for e in draws.integers(0, EPISODES, EPISODES)])
        values.append(r2_score(NUMBERS[drawn], predicted[drawn], multioutput="variance_weighted"))
    score = probe(code, NUMBERS, EPISODE)
    low, high = np.quantile(values, [0.025, 0.975])
    width = high - low
    assert score.low == pytest.approx(low, abs=0.1 * width)
    assert score.high == pytest.approx(high, abs=0.1 * width)


def test_scores_are_scikit_learns() -> None:
    """Of the vector as a whole: a number that varies more counts more."""
    code = coded(NUMBERS + 2.0 * RNG.normal(size=NUMBERS.shape))
    predicted = held_out_predictions(code, NUMBERS, EPISODE)
    expected = r2_score(NUMBERS, predicted, multioutput="variance_weighted")
    value = probe(code, NUMBERS, EPISODE).value
    assert 0.1 < value < 0.95
    assert value == pytest.approx(expected)
    code[:, 0] += CLASSES
    predicted = held_out_predictions(code, CLASSES, EPISODE)
    expected = balanced_accuracy_score(CLASSES, predicted)
    assert probe(code, CLASSES, EPISODE).value == pytest.approx(expected)


def test_no_probe_has_seen_the_episodes_it_is_judged_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor were those by which its strength was chosen among those it was fitted to then."""
    seen: list[set[int]] = []
    fit, predict = GridSearchCV.fit, GridSearchCV.predict

    def spying_fit(search: Any, x: NDArray, y: NDArray, groups: NDArray) -> Any:
        seen.append(set(groups))
        for chosen, judged in search.cv.split(x, y, groups):
            assert not set(groups[chosen]) & set(groups[judged])
        return fit(search, x, y, groups=groups)

    def spying_predict(search: Any, x: NDArray) -> Any:
        left_out.append({int(row) // STEPS for row in x[:, 0]})
        return predict(search, x)

    monkeypatch.setattr(GridSearchCV, "fit", spying_fit)
    monkeypatch.setattr(GridSearchCV, "predict", spying_predict)
    code = np.arange(len(EPISODE), dtype=np.float32)[:, None]  # says which row it is
    for fact in (NUMBERS, CLASSES):
        seen.clear()
        left_out: list[set[int]] = []
        held_out_predictions(code, fact, EPISODE)
        for one, other in zip(seen, left_out, strict=True):
            assert not one & other
            assert one | other == set(range(EPISODES))
        assert sum(map(len, left_out)) == EPISODES


def test_what_marks_an_episode_tells_nothing_of_others() -> None:
    """Each episode has a code and a fact of its own: rows left out singly would be read easily."""
    marks = RNG.normal(size=(EPISODES, 31)).astype(np.float32)
    of_episodes = RNG.normal(size=(EPISODES, 1))
    value = probe(marks[EPISODE] + 0.01 * NOISE[:, :1], of_episodes[EPISODE], EPISODE).value
    assert -0.5 < value < 0.3  # of a weak probe: a strong one, chosen by rows, comes to -1


def test_a_unit_that_hardly_ever_fires_does_not_decide() -> None:
    """It seems to tell a little of one episode, and is far off in a row of another."""
    code = np.hstack([coded(NUMBERS), np.zeros((len(EPISODE), 1), np.float32)])
    code[EPISODE == 2, -1] = 1e-5 * NUMBERS[EPISODE == 2, 1]
    code[STEPS * 7, -1] = 1e3
    assert probe(code, NUMBERS + RNG.normal(size=NUMBERS.shape), EPISODE).value > 0.8


def test_rows_without_the_fact_are_left_out() -> None:
    numbers, classes = NUMBERS.copy(), CLASSES.copy()
    unknown = RNG.random(len(EPISODE)) < 0.4
    numbers[unknown, 0], classes[unknown] = np.nan, -1
    numbers[EPISODE == 5] = np.nan
    score = probe(coded(NUMBERS), numbers, EPISODE)
    assert score.value > 0.99
    assert (score.episodes, score.rows) == (EPISODES - 1, (~unknown & (EPISODE != 5)).sum())
    score = probe(NOISE, classes, EPISODE)
    assert score.rows == (~unknown).sum()
    assert score.chance == pytest.approx(1 / 3)


def test_too_few_episodes_have_no_score() -> None:
    def score(fact: NDArray, episodes: int) -> float:
        rows = np.isin(EPISODE, range(episodes))
        return probe(NOISE[rows], fact[rows], EPISODE[rows]).value

    assert not np.isnan(score(NUMBERS, MIN_EPISODES))
    assert not np.isnan(score(CLASSES, MIN_EPISODES))
    assert np.isnan(score(NUMBERS, MIN_EPISODES - 1))
    assert np.isnan(score(CLASSES, MIN_EPISODES - 1))
    assert np.isnan(score(np.full_like(NUMBERS, 7.0), EPISODES))  # does not vary
    assert np.isnan(score(np.full_like(NUMBERS, np.nan), EPISODES))
    assert np.isnan(score(np.full_like(CLASSES, -1), EPISODES))
    rare = np.where((CLASSES == 1) & (EPISODE >= MIN_EPISODES - 1), 0, CLASSES)
    assert np.isnan(score(rare, EPISODES))
