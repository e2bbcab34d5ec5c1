import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.search import BOTH, main, report, search_figure
from analysis.trials import read_trials, sign_test

MakeRun = Callable[..., Path]


@pytest.fixture
def make_trial(make_run: MakeRun) -> Callable[..., Path]:
    """A run of one point, named by a number, with a constant return and an entropy of 1.5."""

    def make(aux: str, point: int, value: float, **changes: object) -> Path:
        settings: dict[str, object] = {
            "agent__entropy_cost": 0.001 * point,
            "agent__learning_rate": 0.0002,
            "agent__rmsprop_epsilon": 1e-5,
            "agent__max_grad_norm": None,
            "tag": f"point-{point}",
        }
        rows = [(50 * i, value) for i in range(1, 21)]
        folder = make_run(aux, 201, rows, **(settings | changes))
        (folder / "progress.csv").write_text("frames,entropy\n500,2\n1000,1.5\n")
        return folder

    return make


@pytest.fixture
def search(make_trial: Callable[..., Path], tmp_path: Path) -> Path:
    """Two pairs on one level, one on another, and a run without a partner."""
    make_trial("none", 2, 11.0)
    make_trial("cpc", 2, 13.0)
    make_trial("none", 3, 17.0)
    make_trial("cpc", 3, 7.0)
    make_trial("none", 5, 3.0, level="seekavoid_arena_01")
    make_trial("cpc", 5, 19.0, level="seekavoid_arena_01")
    make_trial("cpc", 7, 2.0)
    return tmp_path / "runs"


def test_runs_of_equal_points_are_pairs(search: Path) -> None:
    trials, notes = read_trials([search])
    pairs = [trial for trial in trials if trial.is_pair]
    assert [(pair.level, pair.point) for pair in pairs] == [
        ("room_watermaze", (0.002, 0.0002, 1e-5, math.inf)),
        ("room_watermaze", (0.003, 0.0002, 1e-5, math.inf)),
        ("seekavoid_arena_01", (0.005, 0.0002, 1e-5, math.inf)),
    ]
    assert [pair.scores("final_return") for pair in pairs] == [(11, 13), (17, 7), (3, 19)]
    assert [pair.difference("mean_return") for pair in pairs] == pytest.approx([2, -10, 16])
    assert pairs[0].outcomes["cpc"].entropy == 1.5
    (note,) = notes
    assert note == "Without a partner: room_watermaze 0.007, 0.0002, 1e-05, inf (A2C + CPC only)."


def test_seeds_of_one_point_are_averaged(make_trial: Callable[..., Path], tmp_path: Path) -> None:
    make_trial("none", 2, 11.0)
    make_trial("cpc", 2, 13.0)
    make_trial("cpc", 2, 17.0, root="runs/more")
    (pair,), _ = read_trials([tmp_path / "runs"])
    assert pair.scores("final_return") == (11, 15)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([1.0, 2.0, 3.0, -1.0], (3, 4, 0.625)),  # 2 * (1 + 4) / 16
        ([1.0, 2.0, 3.0, 0.0, 5.0, 7.0], (5, 5, 0.0625)),  # a tie does not count
        ([-1.0, np.nan], (0, 1, 1.0)),
    ],
)
def test_the_sign_test(differences: list[float], expected: tuple[int, int, float]) -> None:
    assert sign_test(differences) == pytest.approx(expected)


def test_without_a_decided_pair_there_is_no_p() -> None:
    assert np.isnan(sign_test([0.0])[2])


def test_the_tables(search: Path) -> None:
    text = report(*read_trials([search]))
    lines = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert cells[1:6] == [
        ["room_watermaze", "2", "1 of 2", "1", "1 of 2", "1"],
        ["seekavoid_arena_01", "1", "1 of 1", "1", "1 of 1", "1"],
        ["all levels", "3", "2 of 3", "1", "2 of 3", "1"],
        ["levels, by most pairs", "2", "1 of 1", "1", "1 of 1", "1"],  # room_watermaze ties
        ["points, by most pairs", "3", "2 of 3", "1", "2 of 3", "1"],
    ]
    best = ["0.003, 0.0002, 1e-05, inf", "17.00"]
    assert cells[7] == ["room_watermaze", "A2C", *best, *best]
    best = ["0.002, 0.0002, 1e-05, inf", "13.00"]
    assert cells[8] == ["room_watermaze", "A2C + CPC", *best, *best]
    assert cells[9][:4] == ["room_watermaze", BOTH, "0.002, 0.0002, 1e-05, inf", "12.00"]
    scores = ["17.00", "7.00", "-10.00"]
    assert cells[15] == [
        *("room_watermaze", "0.003", "0.0002", "1e-05", "inf", "1.50", "1.50"),
        *scores,
        *scores,
    ]


def test_a_point_on_several_levels_counts_once(
    make_trial: Callable[..., Path], tmp_path: Path
) -> None:
    for level, with_cpc in (("room_watermaze", 3.0), ("seekavoid_arena_01", 5.0), ("third", 1.0)):
        make_trial("none", 2, 2.0, level=level)
        make_trial("cpc", 2, with_cpc, level=level)
    text = report(*read_trials([tmp_path / "runs"]))
    assert "| all levels | 3 | 2 of 3 | 1 | 2 of 3 | 1 |" in text
    assert "| levels, by most pairs | 3 | 2 of 3 | 1 | 2 of 3 | 1 |" in text
    assert "| points, by most pairs | 1 | 1 of 1 | 1 | 1 of 1 | 1 |" in text


def test_the_best_point_for_both_arms_need_be_neither_arms_best(
    make_trial: Callable[..., Path], tmp_path: Path
) -> None:
    for aux, scores in {"none": (7.0, 5.0, 1.0), "cpc": (1.0, 5.5, 8.0)}.items():
        for point, score in zip((2, 3, 5), scores, strict=True):
            make_trial(aux, point, score)
    text = report(*read_trials([tmp_path / "runs"]))
    assert "| room_watermaze | A2C | 0.002, 0.0002, 1e-05, inf | 7.00 |" in text
    assert "| room_watermaze | A2C + CPC | 0.005, 0.0002, 1e-05, inf | 8.00 |" in text
    assert f"| room_watermaze | {BOTH} | 0.003, 0.0002, 1e-05, inf | 5.25 |" in text


def test_a_score_that_is_unknown_is_never_the_best(
    make_trial: Callable[..., Path], tmp_path: Path
) -> None:
    for aux in ("none", "cpc"):
        make_trial(aux, 2, 1.0)
        folder = make_trial(aux, 3, 1.0)
        (folder / "episodes.csv").write_text(
            "frames,return,successes,first_success_seconds,later_success_seconds\n500,9,0,,\n"
        )
    text = report(*read_trials([tmp_path / "runs"]))
    best = "| 0.002, 0.0002, 1e-05, inf | 1.00 | 0.003, 0.0002, 1e-05, inf | 9.00 |"
    assert f"| room_watermaze | A2C {best}" in text
    assert "| – | – | – | 9.00 | 9.00 | 0.00 |" in text


def test_the_figure_sets_the_arms_against_each_other(search: Path) -> None:
    figure = search_figure(read_trials([search])[0])
    first, second = figure.axes
    points = [np.asarray(dots.get_offsets()).tolist() for dots in first.collections]
    assert points == [[[11, 13], [17, 7]], [[3, 19]]]
    assert first.get_xlim() == first.get_ylim()
    assert (first.get_xlabel(), first.get_ylabel()) == ("A2C", "A2C + CPC")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "room_watermaze",
        "seekavoid_arena_01",
    ]
    assert second.get_title("left") == "mean return over training"


def test_runs_that_differ_elsewhere_are_refused(make_trial: Callable[..., Path]) -> None:
    runs = [make_trial("none", 2, 1.0), make_trial("cpc", 2, 1.0)]
    other = make_trial("none", 3, 1.0, agent__network__encoder="deep")
    with pytest.raises(ValueError, match=r"differ in agent\.network\.encoder, not in"):
        read_trials([*runs, other])
    other = make_trial("cpc", 5, 1.0, aux__weight=0.5)
    with pytest.raises(ValueError, match=r"differ in aux\.weight, not in"):
        read_trials([*runs, other])


def test_the_command(search: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "search.png"
    assert main([str(search), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.startswith(out.with_suffix(".md").read_text())
    with open(out.with_suffix(".csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7
    assert rows[0] == {
        "level": "room_watermaze",
        "entropy_cost": "0.002",
        "learning_rate": "0.0002",
        "rmsprop_epsilon": "1e-05",
        "max_grad_norm": "inf",
        "aux": "none",
        "entropy": "1.5",
        "final_return": "11",
        "mean_return": "11",
    }


def test_bad_input_is_one_sentence(
    make_trial: Callable[..., Path],
    make_run: MakeRun,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    alone = str(make_trial("none", 2, 1.0))
    bare = str(make_run("none", 1, [(1000, 1.0)]))
    taken = tmp_path / "search.md"
    taken.mkdir()
    for arguments, complaint in (
        ([alone], "there is no pair: A2C and A2C + CPC of one level with equal agent.entropy_cost"),
        ([bare], "has no setting 'agent.entropy_cost'"),
        ([alone, "--out", "search.gif"], "must end with one of .png, .pdf, .svg"),
        ([alone, "--out", str(taken.with_suffix(".png"))], f"{taken} is a folder; it must be a"),
    ):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert complaint in captured.err
        assert captured.err.count("\n") == 1
