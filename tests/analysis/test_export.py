from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis.cpc_curves import chance_levels, read_horizons
from analysis.curves import seed_curves
from analysis.export import export_run, main
from analysis.runs import find_runs, open_run, read_table
from analysis.scores import (
    area,
    final_entropy,
    final_return,
    final_seconds,
    success_share,
    trailing_returns,
)
from analysis.table import markdown_table
from tests.analysis.conftest import write_csv

MakeRun = Callable[..., Path]
FRAMES = 700_000


@pytest.fixture
def run_folder(make_run: MakeRun) -> Path:
    """A run of 700,000 frames with random episodes and an auxiliary loss."""
    rng = np.random.default_rng(11)
    frames = np.sort(rng.integers(1, FRAMES, size=1301))
    successes = rng.integers(0, 5, size=1301)
    rows = [
        (
            int(f),
            5.5 * n,
            7,
            n,
            rng.uniform(1, 9) if n else None,
            rng.uniform(1, 9) if n > 1 else None,
        )
        for f, n in zip(frames, map(int, successes), strict=True)
    ]
    folder = make_run("cpc", 3, rows, tag="x", run_root="/home/somebody/runs")
    write_csv(
        folder / "progress.csv",
        ("frames", "seconds", "entropy", "aux/loss", "aux/bound", "aux/chance"),
        [(7000 * i, 1.0, 2.0, 3.0, 1.5, 0.125) for i in range(1, 101)],
    )
    write_csv(
        folder / "aux_by_horizon.csv",
        ("frames", "k", "loss", "accuracy"),
        [(7000 * i, k, i + k / 10, k / 10) for i in range(1, 101) for k in (1, 2, 3)],
    )
    return folder


def test_an_exported_run_reads_like_the_run(run_folder: Path, tmp_path: Path) -> None:
    run = open_run(run_folder)
    small = open_run(export_run(run, tmp_path / "results"))
    assert (
        small.folder == tmp_path / "results" / "room_watermaze" / "a2c_laptop" / "cpc-x" / "seed_3"
    )
    assert small.frames == run.frames == FRAMES
    assert small.bin_width == FRAMES / 100
    assert small.settings == run.settings
    for bins in (100, 25, 4):
        width = FRAMES / bins
        np.testing.assert_allclose(
            seed_curves([small], width, bins), seed_curves([run], width, bins), rtol=1e-5
        )
    assert final_return(small) == pytest.approx(final_return(run), rel=1e-5)
    assert final_seconds(small) == pytest.approx(final_seconds(run), rel=1e-5)
    for score in (area, final_entropy, success_share):
        assert score(small) == pytest.approx(score(run), rel=1e-5)
    np.testing.assert_allclose(trailing_returns(small), trailing_returns(run), rtol=1e-5)
    assert markdown_table([small.folder]) == markdown_table([run_folder])
    assert chance_levels(small) == chance_levels(run) == (0.125, 4.5)


def test_horizons_are_averaged_within_twenty_bins(run_folder: Path, tmp_path: Path) -> None:
    small = read_horizons(open_run(export_run(open_run(run_folder), tmp_path)))
    np.testing.assert_array_equal(small.frames, np.arange(1, 21) * FRAMES / 20)
    np.testing.assert_allclose(small.loss[0], [3.1, 3.2, 3.3])  # mean of 1..5, plus k / 10
    np.testing.assert_allclose(small.loss[19], [98.1, 98.2, 98.3])


def test_exported_files_are_small_and_name_no_folder(run_folder: Path, tmp_path: Path) -> None:
    folder = export_run(open_run(run_folder), tmp_path / "results")
    names = {"config.yaml", "curves.csv", "progress.csv", "aux_by_horizon.csv"}
    assert {path.name for path in folder.iterdir()} == names
    assert sum(path.stat().st_size for path in folder.iterdir()) < 20_000
    assert "somebody" not in (folder / "config.yaml").read_text()


def test_an_export_again_gives_the_same_files(run_folder: Path, tmp_path: Path) -> None:
    folder = export_run(open_run(run_folder), tmp_path / "one")
    again = export_run(open_run(folder), tmp_path / "two")
    assert (again / "curves.csv").read_text() == (folder / "curves.csv").read_text()


def test_bins_without_a_record_are_left_out(run_folder: Path, tmp_path: Path) -> None:
    """A short run has fewer rows than bins."""
    write_csv(run_folder / "progress.csv", ("frames", "entropy"), [(FRAMES, 2.0)])
    names = ("frames", "k", "loss", "accuracy")
    write_csv(run_folder / "aux_by_horizon.csv", names, [(FRAMES, 1, 3.0, 0.5)])
    folder = export_run(open_run(run_folder), tmp_path)
    assert (folder / "progress.csv").read_text() == f"frames,entropy\n{FRAMES},2\n"
    np.testing.assert_array_equal(read_horizons(open_run(folder)).loss, [[3.0]])


def test_a_baseline_has_no_horizons(make_run: MakeRun, tmp_path: Path) -> None:
    folder = export_run(open_run(make_run("none", 1, [(500, 2.0), (1000, 4.0)])), tmp_path)
    assert {path.name for path in folder.iterdir()} == {"config.yaml", "curves.csv"}
    table = read_table(
        folder / "curves.csv", ("frames_from", "frames_to", "episodes", "return_mean")
    )
    filled = table["episodes"] > 0
    np.testing.assert_array_equal(table["frames_from"][filled], [490, 990])
    np.testing.assert_array_equal(table["frames_to"][filled], [500, 1000])
    np.testing.assert_array_equal(table["return_mean"][filled], [2, 4])
    assert np.isnan(table["return_mean"][~filled]).all()


def test_the_command(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run("none", 1, [(10, 1.0)])
    make_run("none", 2, [(10, 1.0)])
    results = tmp_path / "results"
    assert main([str(tmp_path / "runs"), "--out", str(results)]) == 0
    assert [run.seed for run in find_runs([results])] == [1, 2]
    capsys.readouterr()
    assert main([str(make_run("none", 3)), "--out", str(results)]) == 2
    assert "has no finished episode" in capsys.readouterr().err
    assert main([str(tmp_path / "runs"), "--out", str(results)]) == 0
    assert "Left out: " in capsys.readouterr().out
    other = make_run("none", 1, [(10, 1.0)], root="other", env__backend="dmlab")
    assert main([str(other), "--out", str(results)]) == 2
    assert "another backend" in capsys.readouterr().err


def test_no_run_is_written_over(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither those that are exported, nor a full run that lies in their way."""
    root = make_run("none", 1, [(10, 1.0)]).parents[3]
    before = sorted((path, path.read_bytes()) for path in root.rglob("*") if path.is_file())
    elsewhere = make_run("none", 1, [(10, 7.0)], root="elsewhere").parents[3]
    for source in (root, elsewhere):
        assert main([str(source), "--out", str(root)]) == 2
        assert "is a run itself; choose another --out" in capsys.readouterr().err
    assert sorted((path, path.read_bytes()) for path in root.rglob("*") if path.is_file()) == before
    results = tmp_path / "results"
    assert main([str(root), "--out", str(results)]) == 0
    assert main([str(results), "--out", str(results)]) == 2


def test_two_runs_do_not_share_a_folder(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    roots = [
        make_run("none", 1, [(10, v)], root=root).parents[3] for v, root in ((1, "a"), (2, "b"))
    ]
    results = tmp_path / "results"
    assert main([*map(str, roots), "--out", str(results)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "would share a folder of --out" in line
    (kept,) = find_runs([results])
    assert final_return(kept) == 1.0


def test_a_damaged_run_does_not_keep_the_others(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (make_run("none", 1, [(10, 1.0)]) / "episodes.csv").write_bytes(b"frames,return\n\xff\n")
    make_run("none", 2, [(10, 1.0)])
    assert main([str(tmp_path / "runs"), "--out", str(tmp_path / "results")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "episodes.csv is damaged" in line
    assert [run.seed for run in find_runs([tmp_path / "results"])] == [2]
