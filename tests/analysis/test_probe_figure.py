"""The table and the figure of scores that are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from analysis.probe_figure import main, probe_figure
from analysis.probe_table import (
    TRAINED,
    UNTRAINED,
    Networks,
    Row,
    Summary,
    markdown_table,
    networks,
    read_rows,
    summarise,
    write_rows,
)

LEVEL = "room_watermaze"
A2C = Networks("A2C", "none", TRAINED)


def row(arm: str, seed: int, code: str, fact: str, value: float, **changes: Any) -> Row:
    number = "reward" not in fact
    made = Row(
        LEVEL, arm, "cpc" if "CPC" in arm else "none", seed, 70, "trained", code, fact,
        "R2" if number else "balanced accuracy", 0.0 if number else 0.5,
        value, value - 0.125, value + 0.125, 13, 53,
    )  # fmt: skip
    return made._replace(**changes)


def rows_of(seeds: int) -> list[Row]:
    """Of both arms; c is 0.25 above z, A2C + CPC 0.125 above A2C, each seed 1/64 above the last."""
    rows = []
    for fact, base in (("reward within 1 s", 0.5), ("position", 0.25)):
        for code, more in (("z", 0.0), ("c", 0.25)):
            for seed in range(seeds):
                value = base + more + seed / 64
                rows.append(row("A2C", seed, code, fact, value))
                rows.append(row("A2C + CPC", seed, code, fact, value + 0.125))
                rows.append(row("A2C", seed, code, fact, value - 0.25, network=UNTRAINED))
                rows.append(row("A2C + CPC", seed, code, fact, value - 0.125, network=UNTRAINED))
    return rows


def test_one_run_has_its_interval_over_episodes() -> None:
    assert summarise(rows_of(1), A2C, "c", "position") == Summary(0.5, 0.375, 0.625, 1, 1)


def test_few_runs_have_their_mean_and_range() -> None:
    expected = Summary(0.25 + 1 / 64, 0.25, 0.28125, 3, 3)
    assert summarise(rows_of(3), A2C, "z", "position") == expected


def test_untrained_networks_stand_beside_those_of_their_arm() -> None:
    rows = rows_of(1)
    untrained = A2C._replace(network=UNTRAINED)
    assert summarise(rows, untrained, "z", "position") == Summary(0.0, -0.125, 0.125, 1, 1)
    assert networks(rows)[:2] == [untrained, A2C]
    assert untrained.label == "A2C, untrained"


def test_five_runs_have_an_interquartile_mean_and_an_interval() -> None:
    rows = [
        row("A2C", seed, "z", "position", v) for seed, v in enumerate((0.0, 0.2, 0.3, 0.4, 9.0))
    ]
    value, low, high, *_ = summarise(rows, A2C, "z", "position")
    assert value == pytest.approx(0.3)
    assert 0.0 <= low < 0.3 < high < 9.0


def test_runs_without_a_score_do_not_count() -> None:
    nothing = row("A2C", 7, "z", "position", np.nan)
    rows = rows_of(3)
    both = [summarise(given, A2C, "z", "position") for given in (rows, [*rows, nothing])]
    assert both[1] == both[0]._replace(runs=4)
    assert "(0.25 to 0.28, 3 of 4)" in markdown_table([*rows, nothing])
    assert np.isnan(summarise([nothing], A2C, "z", "position").value)


def test_table_has_numbers_first_and_a_column_per_arm_and_code() -> None:
    unknown = [row("A2C", 7, "z", fact, np.nan, chance=np.nan) for fact in ("health", "position")]
    lines = markdown_table([*unknown, *rows_of(1)]).splitlines()
    assert lines[0] == f"### {LEVEL}, 70 frames"
    further = markdown_table([*rows_of(1), row("A2C", 2, "z", "position", 0.5, frames=7000)])
    assert further.startswith(f"### {LEVEL}, 70 to 7,000 frames\n")
    names = ["A2C, untrained", "A2C", "A2C + CPC, untrained", "A2C + CPC"]
    columns = [f"{name}: {code}" for name in names for code in "zc"]
    assert lines[2].strip("| ").split(" | ")[2:] == columns
    cells = [line.strip("| ").split(" | ") for line in lines[4:7]]
    assert [line[:2] for line in cells] == [
        ["health", "R2, –"],
        ["position", "R2, 0.00"],
        ["reward within 1 s", "balanced accuracy, 0.50"],
    ]  # fmt: skip
    assert cells[1][4:6] == ["0.25 (0.12 to 0.38, 1 of 2)", "0.50 (0.38 to 0.62)"]
    assert cells[0][2:] == ["–"] * 8


def test_the_file_keeps_what_it_is_given(tmp_path: Path) -> None:
    rows = [*rows_of(1), row("A2C, tag=a,b", 1, "z", "health", np.nan)]
    write_rows(tmp_path / "probes.csv", rows)
    for one, other in zip(read_rows(tmp_path / "probes.csv"), rows, strict=True):
        np.testing.assert_equal(one, other)


def points(axes: Axes) -> dict[str, list[float]]:
    """Where the panel's single markers stand, from above; "z" is hollow."""
    dots = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
    places = {line: [float(np.asarray(x)[0]) for x in line.get_data()] for line in dots}
    dots.sort(key=lambda line: places[line][1])
    return {
        code: [
            places[line][0]
            for line in dots
            if (line.get_markerfacecolor() == "white") == (code == "z")
        ]
        for code in ("z", "c")
    }


def test_figure_shows_every_arm_of_every_fact() -> None:
    numbers, classes = probe_figure(rows_of(1)).axes
    assert [text.get_text() for text in numbers.get_yticklabels()] == ["position"]
    assert [text.get_text() for text in classes.get_yticklabels()] == ["reward within 1 s"]
    # From above: A2C untrained and trained, A2C + CPC untrained and trained; 0.4 is an edge.
    assert points(numbers) == {"z": [0, 0.25, 0.125, 0.375], "c": [0.25, 0.5, 0.375, 0.625]}
    assert points(classes) == {"z": [0.4, 0.5, 0.4, 0.625], "c": [0.5, 0.75, 0.625, 0.875]}
    legend = classes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        *("A2C, untrained", "A2C", "A2C + CPC, untrained", "A2C + CPC", "z", "c"),
    ]


def test_levels_have_a_row_of_panels_each() -> None:
    other = [one._replace(level="elsewhere") for one in rows_of(1)]
    titles = [axes.get_title(loc="left") for axes in probe_figure([*rows_of(1), *other]).axes]
    assert titles == ["elsewhere", "", LEVEL, ""]


def test_command_draws_equal_files_and_prints_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "probes.csv"
    write_rows(file, rows_of(2))
    for name in ("one.png", "two.png"):
        assert main([str(file), "--out", str(tmp_path / name)]) == 0
    assert markdown_table(rows_of(2)) in capsys.readouterr().out
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "level,arm\nx,y\n"])
def test_another_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    file = tmp_path / "other.csv"
    file.write_text(content)
    assert main([str(file), "--out", str(tmp_path / "x.png")]) == 2
    assert "other.csv holds no scores of probes\n" in capsys.readouterr().err
    assert main([str(tmp_path / "none.csv")]) == 2
