from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from analysis.curves import return_figure
from analysis.published import published_curves, published_handles
from tests.analysis.drawn import caption, legend_texts

MakeRun = Callable[..., Path]
EXPLORE = "explore_goal_locations_small"


def test_curves_are_means_over_seeds_at_the_middle_of_their_bins() -> None:
    impala, ppo, dreamer = published_curves(EXPLORE, 5e6)
    assert (impala.method, impala.seeds) == ("IMPALA", 1)
    np.testing.assert_array_equal(impala.frames, [1.25e6, 3.75e6])
    np.testing.assert_array_equal(impala.mean_return, [10.785, 16.461])
    assert (ppo.method, ppo.seeds, dreamer.method, dreamer.seeds) == ("PPO", 5, "DreamerV3", 4)
    np.testing.assert_allclose(ppo.mean_return, [20.5, 56.0], atol=0.05)


@pytest.mark.parametrize(("frames", "bins"), [(4.9e6, 0), (7.5e6, 3), (1e8, 40), (1.3e8, 41)])
def test_curves_go_no_further_than_the_figure(frames: float, bins: int) -> None:
    curves = published_curves("room_watermaze", frames)
    assert max((len(curve.frames) for curve in curves), default=0) == bins


def test_other_levels_have_none() -> None:
    assert published_curves("seekavoid_arena_01", 1e9) == []


def test_a_legend_for_several_levels_names_a_method_once() -> None:
    curves = published_curves(EXPLORE, 1e7) + published_curves("rooms_keys_doors_puzzle", 1e7)
    assert [handle.get_label() for handle in published_handles(curves)] == [
        "IMPALA, real Lab (1 seed)",
        "PPO, real Lab (5 seeds)",
        "DreamerV3, real Lab (3 or 4 seeds)",
    ]


def test_they_are_drawn_but_do_not_dictate_the_height(make_run: MakeRun, tmp_path: Path) -> None:
    episodes = [(50_000 * i, 20.0) for i in range(1, 101)]
    figure = return_figure([make_run("none", 1, episodes, level=EXPLORE)], tmp_path)
    (axes,) = figure.axes
    assert legend_texts(axes) == [
        "A2C (1 seed)",
        "IMPALA, real Lab (1 seed)",
        "PPO, real Lab (5 seeds)",
        "DreamerV3, real Lab (4 seeds)",
    ]
    assert 30 < axes.get_ylim()[1] < 35
    assert f"Above the panel of {EXPLORE}: PPO (up to 56), DreamerV3 (up to 75.4)." in caption(
        figure
    )
    assert "Dotted, coloured: published curves of the real DeepMind Lab" in caption(figure)


def test_a_short_run_has_no_published_curve(make_run: MakeRun, tmp_path: Path) -> None:
    figure = return_figure([make_run("none", 1, [(1000, 1.0)], level=EXPLORE)], tmp_path)
    assert "coloured" not in caption(figure)
    assert not plt.get_fignums()
