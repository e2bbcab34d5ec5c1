from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.arms import COLOURS
from analysis.rank import main, mean_ranks, rank_figure, rank_table, read_areas

MakeRun = Callable[..., Path]


def test_ranks_are_by_mean_area_and_shared_by_equals() -> None:
    areas = {
        "one": {"a": [3.0], "b": [5.0, 9.0], "c": [2.0]},
        "two": {"a": [-1.0], "b": [-1.0], "c": [-7.0]},
    }
    assert mean_ranks(areas) == {"a": 1.75, "b": 1.25, "c": 3.0}


def test_variants_that_a_level_lacks_have_no_rank() -> None:
    areas = {"one": {"a": [3.0], "b": [5.0]}, "two": {"a": [1.0], "c": [2.0]}}
    assert mean_ranks(areas) == {"a": 1.0}
    assert mean_ranks({"one": {"a": [3.0]}, "two": {"b": [3.0]}}) == {}


def test_the_table_has_the_best_first(make_run: MakeRun, tmp_path: Path) -> None:
    for aux, tag, values in (
        ("none", "y", (2.0,)),
        ("cpc", "x", (5.0, 11.0)),
        ("cpc", "z", (4.0,)),
    ):
        for seed, value in enumerate(values, 1):
            make_run(aux, seed, [(50 * i, value) for i in range(1, 21)], tag=tag)
    make_run("none", 1, [(1000, -3.0)], tag="y", level="seekavoid_arena_01")
    make_run("cpc", 1, [(1000, -1.0)], tag="x", level="seekavoid_arena_01")
    areas, colours, _ = read_areas([tmp_path / "runs"])
    assert colours["A2C [y]"] == COLOURS["none"]
    lines = rank_table(areas).splitlines()
    assert lines[0] == "| variant | mean rank | room_watermaze | seekavoid_arena_01 |"
    assert lines[2:5] == [
        "| A2C + CPC [x] | 1.00 | 8.00 (1.00, 2 seeds, 5.00 to 11.00) | -1.00 (1 seed) |",
        "| A2C [y] | 2.00 | 2.00 (0.25, 1 seed) | -3.00 (1 seed) |",
        "| A2C + CPC [z] | – | 4.00 (0.50, 1 seed) | – |",
    ]


def test_the_figure_has_a_dot_for_each_seed_and_the_best_on_top() -> None:
    areas = {
        "one": {"A2C": [3.0, 5.0], "A2C + CPC": [7.0, 8.0, 12.0], "A2C + CPC [x]": [1.0]},
        "two": {"A2C": [-1.0], "A2C + CPC": [2.0]},
    }
    colours = {"A2C": "#000000", "A2C + CPC": "#d62728", "A2C + CPC [x]": "#1f77b4"}
    one, two = rank_figure(areas, colours).axes
    assert [label.get_text() for label in one.get_yticklabels()] == [
        "A2C + CPC",
        "A2C",
        "A2C + CPC [x]",
    ]
    dots = [np.array(dots.get_offsets()).tolist() for dots in one.collections]
    assert dots == [[[7, 0], [8, 0], [12, 0]], [[3, 1], [5, 1]], [[1, 2]]]
    assert [float(np.array(line.get_xdata())[0]) for line in one.lines] == [9, 4, 1]
    assert [line.get_color() for line in one.lines] == ["#d62728", "#000000", "#1f77b4"]
    assert one.yaxis_inverted()
    assert len(two.lines) == 2


def test_the_command(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = str(make_run("none", 1, [(2000, 1.0)]))
    figure = tmp_path / "rank.png"
    assert main([one, "--out", str(figure)]) == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert "| A2C | 1.00 | 1.00 (1.00, 1 seed) |" in capsys.readouterr().out
    (tmp_path / "taken.png").mkdir()
    assert main([one, "--out", str(tmp_path / "taken.png")]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert f"{tmp_path / 'taken.png'} is a folder; it must be a regular file" in printed.err
    longer = str(make_run("cpc", 1, [(2000, 1.0)], total_frames=2000))
    assert main([one, longer]) == 2
    assert "runs of room_watermaze are of unequal length" in capsys.readouterr().err
