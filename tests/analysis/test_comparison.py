from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from analysis.comparison import LevelComparison, compare_levels, improvement

MakeRun = Callable[..., Path]
SPREAD = (0.0, 1.0, 2.0, 3.0, 4.0)  # of five seeds


def make_arm(
    make_run: MakeRun, aux: str, before: float, at_end: float, spread: Sequence[float] = SPREAD
) -> None:
    """A run per value of `spread`, which is added to the return before and in the last tenth."""
    for seed, more in enumerate(spread, 1):
        rows = [(50 * i, (before if i <= 18 else at_end) + more) for i in range(1, 21)]
        make_run(aux, seed, rows)


def compare(tmp_path: Path) -> LevelComparison:
    (level,), _ = compare_levels([tmp_path / "runs"])
    return level


def test_scores_are_summarised_over_seeds(make_run: MakeRun, tmp_path: Path) -> None:
    make_arm(make_run, "cpc", 10, 20, spread=(0.0, 1.0, 2.0, 3.0, 94.0))
    scores = compare(tmp_path).scores["cpc"]
    np.testing.assert_allclose(scores.final_returns, [20, 21, 22, 23, 114])
    np.testing.assert_allclose(scores.areas, [11, 12, 13, 14, 105])
    assert scores.final.value == 22
    assert scores.area.value == 13
    assert scores.final.low < 22 < scores.final.high


@pytest.mark.parametrize(
    ("before", "at_end", "sides", "verdict"),
    [
        (10, 30, (1, 0), "CPC helps by final return"),  # against 10 and 20 of A2C
        (10, 10, (-1, 0), "CPC hurts by final return"),
        (20, 20, (0, 1), "CPC helps over training"),
        (2, 20, (0, -1), "CPC hurts over training"),
        (30, 10, (-1, 1), "CPC hurts by final return"),  # which decides
        (10.5, 20.5, (0, 0), "no difference seen"),
    ],
)
def test_the_verdict_follows_from_separated_intervals(
    make_run: MakeRun,
    tmp_path: Path,
    before: float,
    at_end: float,
    sides: tuple[int, int],
    verdict: str,
) -> None:
    make_arm(make_run, "none", 10, 20)
    make_arm(make_run, "cpc", before, at_end)
    level = compare(tmp_path)
    assert level.sides == sides
    assert level.verdict == verdict
    final, whole = (difference.value for difference in level.differences)
    assert final == pytest.approx(at_end - 20)
    assert whole == pytest.approx(0.9 * (before - 10) + 0.1 * (at_end - 20))


def test_fewer_than_five_seeds_have_no_verdict(make_run: MakeRun, tmp_path: Path) -> None:
    make_arm(make_run, "none", 10, 20)
    make_arm(make_run, "cpc", 90, 90, SPREAD[:4])
    level = compare(tmp_path)
    assert level.sides is None
    assert level.verdict == "fewer than 5 seeds"
    assert level.improvement[0].value == 1.0
    assert not level.improvement[0].has_interval


def test_improvement_is_counted_within_levels(make_run: MakeRun, tmp_path: Path) -> None:
    for aux, value in (("none", 5.0), ("cpc", 7.0)):
        make_run(aux, 1, [(1000, value)])
    for aux, value in (("none", 700.0), ("cpc", 500.0)):
        make_run(aux, 1, [(1000, value)], level="seekavoid_arena_01")
    make_run("none", 1, [(1000, 1.0)], level="rooms_keys_doors_puzzle")  # has no partner
    levels, _ = compare_levels([tmp_path / "runs"])
    assert improvement(levels, "final_returns").value == 0.5
    assert [level.improvement[0].value for level in levels[:2]] == [1.0, 0.0]
    assert np.isnan(levels[2].improvement[0].value)


def test_frames_to_the_baselines_final_return(make_run: MakeRun, tmp_path: Path) -> None:
    """A2C ends at (19 + 20) / 2; twice as steep, CPC has (20 + 22) / 2 in frames 451 to 550."""
    for aux, slope in (("none", 1.0), ("cpc", 2.0)):
        make_run(aux, 1, [(50 * i, slope * i) for i in range(1, 21)])
    assert compare(tmp_path).frames_to_baseline == pytest.approx(550)


def test_a_baseline_that_was_better_before_takes_all_its_frames(
    make_run: MakeRun, tmp_path: Path
) -> None:
    make_run("none", 1, [(50 * i, 9.0 if i <= 10 else 4.0) for i in range(1, 21)])
    make_run("cpc", 1, [(50 * i, float(i)) for i in range(1, 21)])
    assert compare(tmp_path).frames_to_baseline == pytest.approx(250)  # (4 + 5) / 2


def test_a_return_that_is_never_reached_takes_no_frames(make_run: MakeRun, tmp_path: Path) -> None:
    make_arm(make_run, "none", 10, 20)
    make_arm(make_run, "cpc", 10, 12)
    assert np.isnan(compare(tmp_path).frames_to_baseline)


def test_a_seed_without_a_final_return_has_no_verdict(make_run: MakeRun, tmp_path: Path) -> None:
    make_arm(make_run, "none", 10, 20)
    make_arm(make_run, "cpc", 10, 20, SPREAD[:4])
    make_run("cpc", 5, [(500, 7.0)])
    run = tmp_path / "runs/labsim/room_watermaze/a2c_laptop/cpc/seed_5"
    (run / "progress.csv").write_text("frames\n1000\n")  # no episode ended since
    assert compare(tmp_path).verdict == "a seed without a final return"


def test_what_else_the_arms_differ_in_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("none", 1, [(1000, 1.0)])
    make_run("cpc", 1, [(1000, 1.0)], agent__learning_rate=7e-4)
    _, notes = compare_levels([tmp_path / "runs"])
    assert notes[0] == "room_watermaze: the arms also differ in agent.learning_rate."


def test_a_seed_that_never_succeeds_counts(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("none", 1, [(1000, 5, 7, 1, 4.0, None)])
    make_run("none", 2, [(1000, 0, 7, 0, None, None)])
    level = compare(tmp_path)
    assert level.knows_successes
    assert level.scores["none"].success_share == 0.5
    make_run("none", 1, [(1000, 5.0)], level="seekavoid_arena_01")
    assert not compare_levels([tmp_path / "runs"])[0][1].knows_successes


def test_successes_are_means_over_seeds(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("none", 1, [(950, 5, 7, 1, 4.0, None), (1000, 10, 7, 2, 6.0, 3.0)])
    make_run("none", 2, [(950, 0, 7, 0, None, None), (1000, 5, 7, 1, 9.0, None)])
    scores = compare(tmp_path).scores["none"]
    assert scores.success_share == 0.75
    assert scores.seconds == (7.0, 3.0)


def test_what_is_missing_or_left_out_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    done = [(1000, 1.0)]
    for aux in ("none", "cpc"):
        make_run(aux, 1, done, level="seekavoid_arena_01")
    make_run("cpc", 1, done)
    make_run("cpc_action", 1, done)
    make_run("none", 1, [(10, 1.0)])
    make_run("none", 1, done, level="a_new_level")
    levels, notes = compare_levels([tmp_path / "runs"])
    assert [level.level for level in levels] == [  # the paper's first, in its order
        "room_watermaze",
        "seekavoid_arena_01",
        "a_new_level",
    ]
    assert levels[0].verdict == "one arm only"
    assert notes == [
        "Left out, unfinished: room_watermaze none seed 1 (1e-05 of 0.001 M frames).",
        "Left out, neither A2C nor A2C + CPC: cpc_action.",
        "Missing: room_watermaze (A2C), explore_goal_locations_small (both arms), "
        "lasertag_three_opponents_small (both arms), rooms_keys_doors_puzzle (both arms), "
        "a_new_level (A2C + CPC).",
    ]


def test_arms_that_cannot_be_compared_are_refused(make_run: MakeRun, tmp_path: Path) -> None:
    one = make_run("none", 1, [(2000, 1.0)])
    two = make_run("none", 1, [(2000, 1.0)], tag="x")
    long = make_run("cpc", 1, [(2000, 1.0)], total_frames=2000)
    with pytest.raises(ValueError, match=r"several arms of A2C \(A2C; A2C \[x\]\); give the"):
        compare_levels([one, two])
    with pytest.raises(ValueError, match=r"room_watermaze are of unequal length: 0\.001 and"):
        compare_levels([one, long])
    with pytest.raises(ValueError, match=r"none of the runs is A2C or A2C \+ CPC"):
        compare_levels([make_run("cpc_action", 1, [(1000, 1.0)])])
