from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from analysis.cpc_curves import (
    chance_levels,
    cpc_figure,
    gradient_share,
    main,
    plot_cpc,
    read_horizons,
    training_times,
)
from analysis.runs import open_run
from tests.analysis.conftest import write_csv

MakeRun = Callable[..., Path]
HORIZON = 3


def record(folder: Path, times: int, accuracy: float = 0.0) -> Path:
    """Accuracy at time i and horizon k: accuracy + i / 100 + k / 10; loss = 1 - accuracy."""
    rows = [
        (1_000_000 * i, k, 1 - (accuracy + i / 100 + k / 10), accuracy + i / 100 + k / 10)
        for i in range(1, times + 1)
        for k in range(1, HORIZON + 1)
    ]
    write_csv(folder / "aux_by_horizon.csv", ("frames", "k", "loss", "accuracy"), rows)
    return folder


def lines(axes: Axes) -> list[np.ndarray]:
    return [
        np.asarray(line.get_ydata()) for line in axes.get_lines() if line.get_linewidth() == 2.0
    ]


def test_start_middle_and_end_of_one_run(make_run: MakeRun) -> None:
    folder = record(make_run("cpc", 1), times=40)  # a twentieth is two times
    accuracy, loss = cpc_figure([folder]).axes
    base = np.array([0.1, 0.2, 0.3])
    expected = [base + 0.015, base + 0.205, base + 0.395]
    np.testing.assert_allclose(lines(accuracy), expected)
    np.testing.assert_allclose(lines(loss), [1 - values for values in expected])
    legend = accuracy.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "1–2 M frames",
        "20–21 M frames",
        "39–40 M frames",
    ]
    assert to_hex(accuracy.get_lines()[-1].get_color()) == "#d62728"
    assert accuracy.get_title("left") == "A2C + CPC (1 seed)"


def test_seeds_are_averaged_up_to_where_all_have_come(make_run: MakeRun) -> None:
    one = record(make_run("cpc", 1), times=7)
    two = record(make_run("cpc", 2), times=3, accuracy=0.2)
    accuracy, _ = cpc_figure([one, two]).axes
    base = np.array([0.1, 0.2, 0.3]) + 0.1
    np.testing.assert_allclose(lines(accuracy), [base + 0.01, base + 0.02, base + 0.03])


def test_seeds_that_log_at_different_frames_can_be_drawn(make_run: MakeRun) -> None:
    one, two = make_run("cpc", 1), make_run("cpc", 2)
    for folder, frames, accuracy in ((one, 20, 0.5), (two, 22, 0.25)):
        names = ("frames", "k", "loss", "accuracy")
        write_csv(folder / "aux_by_horizon.csv", names, [(frames, 1, 1.0, accuracy)])
    np.testing.assert_allclose(lines(cpc_figure([one, two]).axes[0]), [[0.375]])


def test_arms_have_a_row_each_and_runs_without_an_auxiliary_loss_none(make_run: MakeRun) -> None:
    folders = [
        make_run("none", 1),
        record(make_run("cpc", 1), 1),
        record(make_run("cpc_action", 1), 2),
    ]
    axes = cpc_figure(folders).axes
    assert [a.get_title("left") for a in axes[::2]] == [
        "A2C + CPC (1 seed)",
        "A2C + CPC|A (1 seed)",
    ]
    assert [len(lines(a)) for a in axes] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (1, [(0, 1)]),
        (2, [(0, 1), (1, 2)]),
        (3, [(0, 1), (1, 2), (2, 3)]),
        (100, [(0, 5), (47, 52), (95, 100)]),
    ],
)
def test_training_times(rows: int, expected: list[tuple[int, int]]) -> None:
    assert [(s.start, s.stop) for s in training_times(rows)] == expected


def test_chance_is_drawn_where_it_is_recorded(make_run: MakeRun) -> None:
    folder = record(make_run("cpc", 1), 3)
    assert chance_levels(open_run(folder)) is None
    write_csv(
        folder / "progress.csv",
        ("frames", "aux/loss", "aux/bound", "aux/chance"),
        [(1, 2.0, 1.0, 0.125), (2, None, None, None), (3, 1.0, 4.0, 0.375)],
    )
    assert chance_levels(open_run(folder)) == (0.25, 4.0)
    accuracy, loss = cpc_figure([folder]).axes
    assert [text.get_text() for text in accuracy.texts] == ["chance\n0.25"]
    assert [text.get_text() for text in loss.texts] == ["log N\n4.00"]


def test_the_gradients_share_is_a_ratio_of_means_over_seeds(make_run: MakeRun) -> None:
    folders = [record(make_run("cpc", seed), 3) for seed in (1, 2)]
    assert gradient_share(open_run(folders[0])) is None
    for folder, aux in zip(folders, (1.0, 2.0), strict=True):
        write_csv(
            folder / "progress.csv",
            ("frames", "grad_norm_aux_trunk", "grad_norm_a2c_trunk"),
            [(1, aux, 2.0), (2, None, None), (3, aux, 8.0)],
        )
    assert gradient_share(open_run(folders[1])) == 0.4
    caption = cpc_figure(folders).get_supxlabel()
    assert "core is 0.30 of A2C's" in " ".join(caption.split())


def test_an_unfinished_block_and_unmeasured_horizons_are_blank(make_run: MakeRun) -> None:
    folder = make_run("cpc", 1)
    (folder / "aux_by_horizon.csv").write_text(
        "frames,k,loss,accuracy\n5,1,0.5,0.25\n5,2,nan,nan\n10,1,0.75,0.125\n10,2,0.9"
    )
    curves = read_horizons(open_run(folder))
    np.testing.assert_array_equal(curves.frames, [5, 10])
    np.testing.assert_array_equal(curves.loss, [[0.5, np.nan], [0.75, np.nan]])
    np.testing.assert_allclose(lines(cpc_figure([folder]).axes[0]), [[0.25], [0.125]])


def test_the_file_is_equal_for_equal_data(make_run: MakeRun, tmp_path: Path) -> None:
    folder = record(make_run("cpc", 1), 3)
    plot_cpc([folder], tmp_path / "one.png")
    plot_cpc([folder], tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_the_command(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cpc.png"
    assert main([str(record(make_run("cpc", 1), 3)), "--out", str(out)]) == 0
    assert out.exists()
    capsys.readouterr()
    assert main([str(make_run("none", 1)), "--out", str(out)]) == 2
    assert "no auxiliary loss is recorded" in capsys.readouterr().err
