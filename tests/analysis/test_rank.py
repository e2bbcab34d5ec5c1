from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.rank import main, mean_ranks, rank_table, read_areas

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
    areas, _ = read_areas([tmp_path / "runs"])
    lines = rank_table(areas).splitlines()
    assert lines[0] == "| variant | mean rank | room_watermaze | seekavoid_arena_01 |"
    assert lines[2:5] == [
        "| A2C + CPC [x] | 1.00 | 8.00 (1.00, 2 seeds) | -1.00 (1 seed) |",
        "| A2C [y] | 2.00 | 2.00 (0.25, 1 seed) | -3.00 (1 seed) |",
        "| A2C + CPC [z] | – | 4.00 (0.50, 1 seed) | – |",
    ]


def test_the_command(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    one = str(make_run("none", 1, [(2000, 1.0)]))
    assert main([one]) == 0
    assert "| A2C | 1.00 | 1.00 (1.00, 1 seed) |" in capsys.readouterr().out
    longer = str(make_run("cpc", 1, [(2000, 1.0)], total_frames=2000))
    assert main([one, longer]) == 2
    assert "runs of room_watermaze are of unequal length" in capsys.readouterr().err
