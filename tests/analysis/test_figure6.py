import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.colors import to_hex

from analysis.comparison import compare_levels
from analysis.figure6 import comparison_figure, main, report
from tests.analysis.drawn import caption, heights, legend_texts, thin

MakeRun = Callable[..., Path]


@pytest.fixture
def study(make_run: MakeRun, tmp_path: Path) -> Path:
    """Five seeds of both arms on one level, of which CPC's are better, and A2C alone on another."""
    for aux, value in (("none", 10.0), ("cpc", 30.0)):
        for seed in range(1, 6):
            make_run(aux, seed, [(20 * i, value + seed) for i in range(1, 51)], tag="best")
    make_run("none", 1, [(20 * i, 7.0) for i in range(1, 51)], level="seekavoid_arena_01")
    return tmp_path / "runs"


def test_each_level_is_a_panel_and_each_seed_a_line(study: Path) -> None:
    levels, _ = compare_levels([study])
    figure = comparison_figure(levels)
    first, second, legend = figure.axes
    assert [axes.get_title("left") for axes in (first, second)] == [
        "room_watermaze",
        "seekavoid_arena_01",
    ]
    assert [heights(line)[0] for line in thin(first)] == [*range(11, 16), *range(31, 36)]
    thick = [line for line in first.get_lines() if line.get_linewidth() == 2]
    assert [to_hex(line.get_color()) for line in thick] == ["#000000", "#d62728"]
    assert [heights(line)[0] for line in thick] == [13, 33]
    assert len(first.collections) == 2
    assert not second.collections
    assert legend_texts(legend) == ["A2C", "A2C + CPC"]
    assert "Seeds: room_watermaze 5 and 5; seekavoid_arena_01 1." in caption(figure)


def test_lines_that_lie_close_together_share_a_place(study: Path) -> None:
    second = comparison_figure(compare_levels([study])[0]).axes[1]
    assert "blind walker\n1.48\nrandom\n0.90" in [text.get_text() for text in second.texts]


def test_the_tables_say_what_the_arms_reached(study: Path) -> None:
    levels, notes = compare_levels([study])
    lines = [line for line in report(levels, notes).splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    improved = "1.00 (1.00 to 1.00)"
    difference = cells[2][3]
    assert re.fullmatch(r"20.00 \(1[78].\d\d to 2[12].\d\d\)", difference)
    assert cells[2] == [
        "room_watermaze",
        "CPC helps by final return",
        *("above", difference, improved),
        *("above", difference, improved),
        "0.0 M (10%)",
    ]
    assert cells[3][:2] == ["seekavoid_arena_01", "one arm only"]
    assert cells[6][:5] == ["room_watermaze", "A2C", "5", "0.001", cells[6][4]]
    assert cells[6][4].startswith("13.00 (")
    assert cells[6][5] == "11.00, 12.00, 13.00, 14.00, 15.00"
    assert cells[8][4:] == ["7.00", "7.00", "7.00", "–", "–", "–"]


def test_the_command_leaves_a_figure_and_tables(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "figure6.png"
    assert main([str(study), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert printed.endswith(f"{out}\n{out.with_suffix('.md')}\n{out.with_suffix('.csv')}\n")
    assert printed.startswith(out.with_suffix(".md").read_text())
    assert "Missing: explore_goal_locations_small (both arms), seekavoid_arena_01 (A2C + CPC)" in (
        printed
    )
    with open(out.with_suffix(".csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["level"], row["aux"], row["seeds"]) for row in rows] == [
        ("room_watermaze", "none", "5"),
        ("room_watermaze", "cpc", "5"),
        ("seekavoid_arena_01", "none", "1"),
    ]
    assert [row["final_return"] for row in rows] == ["13", "33", "7"]
    assert [row["verdict"] for row in rows] == ["", "CPC helps by final return", ""]
    assert [row["difference_mean_return"] for row in rows] == ["", "20", ""]
    assert [row["frames_to_final_return_of_none"] for row in rows] == ["", "100", ""]
    assert rows[0]["final_return_of_seeds"] == "11 12 13 14 15"
    assert rows[2]["final_return_low"] == ""


def test_bad_input_is_one_sentence(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = str(make_run("none", 1, [(1000, 1.0)]))
    taken = tmp_path / "a.png"
    taken.mkdir()
    (tmp_path / "b.csv").mkdir()
    for arguments, complaint in (
        ([str(tmp_path / "nowhere")], "there is no folder"),
        ([done, "--out", "figure.gif"], "must end with one of .png, .pdf, .svg"),
        ([done, "--out", str(taken)], f"{taken} is a folder; it must be a regular file"),
        ([done, "--out", str(taken.with_name("b.png"))], "b.csv is a folder; it must be a regular"),
        ([str(make_run("none", 2, [(10, 1.0)]))], "none of the runs is finished"),
    ):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert complaint in captured.err
        assert captured.err.count("\n") == 1
        assert captured.out == ""


def test_without_a_folder_the_committed_study_is_read(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.figure6.STUDY", study)
    assert main(["--out", str(tmp_path / "figure6.svg")]) == 0
    assert (tmp_path / "figure6.md").is_file()
