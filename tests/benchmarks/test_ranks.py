"""The prediction for more ranks, from what two of them have measured."""

import pytest

from benchmarks.ranks import LATENCY_S, predicted_efficiency, report

SIZE = 13e6  # bytes


def test_prediction_has_the_right_limits():
    only_envs = {"size": 0.0, "fixed_s": 0.0, "per_env_s": 1e6}
    assert predicted_efficiency(7, 21, 10, **only_envs) == pytest.approx(1, abs=1e-6)
    assert predicted_efficiency(7, 23, 10, **only_envs) == pytest.approx(23 / 28, abs=1e-6)
    assert predicted_efficiency(3, 2, 10, **only_envs) is None  # a rank without environments
    only_fixed = {"size": 0.0, "fixed_s": 1e6, "per_env_s": 0.0}
    assert predicted_efficiency(7, 21, 10, **only_fixed) == pytest.approx(1 / 7, abs=1e-6)


def test_prediction_counts_the_ring():
    """Two ranks send half the bytes twice, each over a link of 10 Gbit/s, and wait twice."""
    ring = SIZE / 1.25e9 + 2 * LATENCY_S
    found = predicted_efficiency(2, 2, 10, SIZE, fixed_s=0.0, per_env_s=ring)
    assert found == pytest.approx(2 * ring / 2 / (ring + ring))


def test_report_marks_what_is_predicted():
    one = {"steps_per_s": 800.0, "steps_per_update": 3200, "bytes": SIZE, "all_reduce_s": 0.02}
    found = dict.fromkeys(("ranks", "ranks_cpc", "deep", "deep_cpc", "many"), one)
    found |= {"threads": one | {"steps_per_s": 1000.0}}
    found |= {"few": one | {"steps_per_update": 400}}
    text = report(found, 2)
    assert "ratio 0.800." in text
    assert "The all-reduce is 0.50 % of an a2c update of 4.00 s." in text
    assert "An update takes 0.000 s + 0.1250 s per environment" in text.replace("an u", "An u")
    assert "| shallow | 13.0 | 20.0 |" in text
    assert "Predicted efficiency, not measured:" in text
    assert "| shallow | 32 | 10 | 0.99 |" in text
