from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.runs import open_run
from analysis.scores import (
    area,
    final_entropy,
    final_return,
    finished_runs,
    success_share,
    trailing_returns,
)

MakeRun = Callable[..., Path]
# Each twentieth of 1000 frames returns its number; the first has three short episodes more.
RAMP = [(10, 1.0), (20, 1.0), (30, 1.0), *((50 * i, float(i)) for i in range(1, 21))]


def test_the_area_is_the_mean_over_frames_not_over_episodes(make_run: MakeRun) -> None:
    assert area(open_run(make_run(episodes=RAMP))) == pytest.approx(10.5)


def test_parts_without_an_episode_are_left_out(make_run: MakeRun) -> None:
    assert area(open_run(make_run(episodes=[(700, 2.0), (1000, 5.0)]))) == pytest.approx(3.5)
    assert np.isnan(area(open_run(make_run("none", 2))))


def test_trailing_returns_look_back_a_tenth_of_the_run(make_run: MakeRun) -> None:
    run = open_run(make_run(episodes=RAMP))
    moments, returns = trailing_returns(run)
    np.testing.assert_allclose(moments, np.arange(100, 1001, 10))
    assert returns[0] == pytest.approx((4 * 1 + 2) / 5)
    assert returns[45] == pytest.approx((10 + 11) / 2)  # frames 451 to 550
    assert returns[-1] == pytest.approx(final_return(run)) == pytest.approx(19.5)


def test_trailing_returns_are_unknown_where_no_episode_ended(make_run: MakeRun) -> None:
    returns = trailing_returns(open_run(make_run(episodes=[(100, 3.0), (1000, 5.0)])))[1]
    assert returns[9] == 3.0
    assert np.isnan(returns[10:-1]).all()
    assert returns[-1] == 5.0


def test_success_share_counts_episodes_not_successes(make_run: MakeRun) -> None:
    early = [(900, 9, 7, 1, 1.0, None)]
    late = [(910, 0, 7, 0, None, None), (950, 30, 7, 6, 2.0, 1.0), (1000, 0, 7, 0, None, None)]
    assert success_share(open_run(make_run(episodes=early + late))) == pytest.approx(1 / 3)
    failed = [*early, (1000, 0, 7, 0, None, None)]
    assert success_share(open_run(make_run("none", 2, episodes=failed))) == 0
    assert np.isnan(success_share(open_run(make_run("none", 3))))


def test_final_entropy_is_of_the_last_tenth(make_run: MakeRun) -> None:
    folder = make_run(episodes=[(1000, 1.0)])
    assert np.isnan(final_entropy(open_run(folder)))
    (folder / "progress.csv").write_text("frames,entropy\n900,2\n950,1.5\n1000,0.5\n")
    assert final_entropy(open_run(folder)) == 1.0


def test_only_finished_runs_are_scored(make_run: MakeRun) -> None:
    done = make_run("none", 1, [(1000, 1.0)])
    running = make_run("cpc", 3, [(250, 1.0)], tag="x")
    runs, notes = finished_runs([done, running])
    assert [run.folder for run in runs] == [done]
    assert notes == [
        "Left out, unfinished: room_watermaze cpc-x seed 3 (0.00025 of 0.001 M frames)."
    ]
    assert finished_runs([done])[1] == []
    with pytest.raises(ValueError, match="none of the runs is finished"):
        finished_runs([running])
