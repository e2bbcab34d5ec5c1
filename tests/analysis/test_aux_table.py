from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.aux_table import final_accuracy, gradient_share, main, markdown_table
from analysis.runs import open_run

MakeRun = Callable[..., Path]
HEADER = "frames,grad_norm_a2c_trunk,grad_norm_aux_trunk,aux/accuracy,aux/chance"


def with_progress(folder: Path, *rows: str) -> Path:
    (folder / "progress.csv").write_text("\n".join([HEADER, *rows, ""]))
    return folder


def test_the_median_is_of_the_rows_that_have_both_norms(make_run: MakeRun) -> None:
    both = ("100,2,1,,", "300,1,9,,", "400,10,1,,")
    rows = (*both, "500,,,0.5,", "600,0,1,,", "700,,1,,", "800,1,,,")
    folder = with_progress(make_run("cpc", 1, [(1000, 1.0)]), *rows)
    assert gradient_share(open_run(folder)) == 0.5  # of 0.5, 9 and 0.1


def test_accuracy_is_of_the_last_tenth(make_run: MakeRun) -> None:
    rows = ("900,,,0.9,0.25", "950,,,0.5,0.02", "1000,,,0.7,0.02")
    folder = with_progress(make_run("cpc", 1, [(1000, 1.0)]), *rows)
    assert final_accuracy(open_run(folder)) == pytest.approx((0.6, 0.02))


def test_what_was_not_recorded_is_a_dash(make_run: MakeRun) -> None:
    folder = make_run("cpc", 1, [(1000, 1.0)])
    for progress in (None, "frames,grad_norm_a2c_trunk\n1000,1\n", f"{HEADER}\n1000,,,,\n"):
        if progress is not None:
            (folder / "progress.csv").write_text(progress)
        run = open_run(folder)
        assert np.isnan([gradient_share(run), *final_accuracy(run)]).all()
        assert "| 1 | – | – | – |" in markdown_table([folder])


def test_a_line_for_each_arm_with_an_auxiliary_loss(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    with_progress(make_run("cpc", 1, [(1000, 1.0)]), "1000,4,1,0.5,0.02")
    with_progress(make_run("cpc", 2, [(1000, 1.0)]), "1000,4,3,0.25,0.02")
    with_progress(make_run("cpc", 1, [(1000, 1.0)], tag="x"), "1000,1,2,0.125,0.5")
    root = make_run("none", 1, [(1000, 1.0)]).parents[1]
    assert main([str(root)]) == 0
    level = "| room_watermaze, labsim, a2c_laptop"
    assert capsys.readouterr().out.splitlines()[2:4] == [
        f"{level} | A2C + CPC | 2 | 0.50 (0.25 to 0.75) | 0.38 (0.25 to 0.50) | 0.02 |",
        f"{level} | A2C + CPC [x] | 1 | 2.00 | 0.12 | 0.50 |",
    ]


def test_a_baseline_alone_has_no_auxiliary_loss(make_run: MakeRun) -> None:
    with pytest.raises(ValueError, match="none of the runs has an auxiliary loss"):
        markdown_table([make_run("none", 1, [(1000, 1.0)])])
