from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.runs import open_run
from analysis.scores import final_return, final_seconds
from analysis.table import main, markdown_table

MakeRun = Callable[..., Path]


def rows(last_return: float) -> list[tuple[float | None, ...]]:
    """An early episode that must not count, and three in the last tenth of 1000 frames."""
    return [
        (900, 99.0, 7, 3, 1.0, 1.0),
        (901, 0.0, 7, 0, None, None),
        (950, 5.0, 7, 1, 4.0, None),
        (1000, last_return, 7, 4, 6.0, 2.0),
    ]


def cells(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_only_the_last_tenth_of_the_frames_counts(make_run: MakeRun) -> None:
    run = open_run(make_run("none", 1, rows(25.0)))
    assert final_return(run) == 10.0
    assert final_seconds(run) == (5.0, 2.0)


def test_a_run_without_late_episodes_has_no_number(make_run: MakeRun) -> None:
    run = open_run(make_run("none", 1))
    assert np.isnan([final_return(run), *final_seconds(run)]).all()
    assert cells(markdown_table([run.folder]))[0][4] == "–"


def test_few_seeds_have_a_mean_and_no_interval(make_run: MakeRun) -> None:
    folders = [make_run("none", 1, rows(25.0)), make_run("none", 3, rows(55.0))]
    folders.append(make_run("cpc_action", 1, rows(85.0)))
    level = "room_watermaze, labsim, a2c_laptop"
    assert cells(markdown_table(folders)) == [
        [level, "A2C", "2", "0.0", "mean 15.00", "–", "10.00, 20.00", "1, 3", "5.00", "2.00"],
        [level, r"A2C + CPC\|A", "1", "0.0", "30.00", "–", "30.00", "1", "5.00", "2.00"],
    ]


def test_five_seeds_have_an_interquartile_mean_and_an_interval(make_run: MakeRun) -> None:
    values = (1.0, 4.0, 7.0, 10.0, 100.0)
    folders = [make_run("none", seed, rows(3 * v - 5)) for seed, v in enumerate(values, 1)]
    (line,) = cells(markdown_table(folders))
    assert line[4] == "IQM 7.00"
    low, high = (float(end) for end in line[5].split(" to "))
    assert 1.0 <= low < 7.0 < high <= 100.0


def test_unequal_lengths_are_told(make_run: MakeRun) -> None:
    folders = [make_run("none", s, [(s * 10_000_000, 1.0)]) for s in (2, 1)]
    assert cells(markdown_table(folders))[0][3] == "10.0–20.0"


def test_ctrl_c_is_one_line(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(run_dirs: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("analysis.table.markdown_table", interrupted)
    assert main([str(make_run("none", 1))]) == 130
    assert capsys.readouterr() == ("", "Ended by SIGINT.\n")


def test_the_command_prints_the_same_table_whatever_the_order(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(make_run(aux, 1, rows(25.0))) for aux in ("none", "cpc")]
    assert main(folders) == 0
    first = capsys.readouterr().out
    assert main(folders[::-1]) == 0
    assert capsys.readouterr().out == first
    assert main(["/nonexistent"]) == 2
