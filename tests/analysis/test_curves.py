from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from analysis.arms import group_arms
from analysis.curves import choose_bins, main, plot_level, return_figure, seed_curves
from analysis.export import export_run
from analysis.runs import find_runs, open_run
from tests.analysis.drawn import caption, heights, labelled, legend_texts, thin

MakeRun = Callable[..., Path]
RED, BLUE = "#d62728", "#1f77b4"


def episodes(values: list[float], per_bin: int = 10, width: int = 100) -> list[tuple[int, float]]:
    """`per_bin` episodes of the same return in each bin of `width` frames, the last at its end."""
    step = width // per_bin
    return [
        (i * width + j * step, value)
        for i, value in enumerate(values)
        for j in range(1, per_bin + 1)
    ]


def panel(run_dirs: list[Path], results: Path) -> Axes:
    (axes,) = return_figure(run_dirs, results).axes
    return axes


def test_one_seed_is_the_mean_of_its_bins_at_their_middle(
    make_run: MakeRun, tmp_path: Path
) -> None:
    folder = make_run("cpc", 1, episodes([3.0, 5.0, 2.0, 7.0, 11.0]))
    (line,) = labelled(panel([folder], tmp_path))
    np.testing.assert_allclose(np.asarray(line.get_xdata()) * 1e6, [50, 150, 250, 350, 450])
    np.testing.assert_allclose(heights(line), [3, 5, 2, 7, 11])
    assert to_hex(line.get_color()) == RED


def test_arms_have_the_colours_of_the_paper_and_name_their_seeds(
    make_run: MakeRun, tmp_path: Path
) -> None:
    for aux, seed in (("cpc_action", 1), ("cpc", 1), ("cpc", 2), ("none", 1)):
        make_run(aux, seed, episodes([3.0, 5.0]))
    axes = panel([tmp_path / "runs"], tmp_path)
    assert legend_texts(axes) == [
        "A2C (1 seed)",
        "A2C + CPC (mean of 2 seeds)",
        "A2C + CPC|A (1 seed)",
    ]
    assert [to_hex(line.get_color()) for line in labelled(axes)] == ["#000000", RED, BLUE]


def test_fewer_than_five_seeds_are_thin_lines_and_their_mean(
    make_run: MakeRun, tmp_path: Path
) -> None:
    for seed in (1, 2, 3):
        make_run("none", seed, episodes([3.0 * seed, 5.0 * seed]))
    figure = return_figure([tmp_path / "runs"], tmp_path)
    axes = figure.axes[0]
    np.testing.assert_allclose(heights(labelled(axes)[0]), [6, 10])
    np.testing.assert_allclose([heights(line) for line in thin(axes)], [[3, 5], [6, 10], [9, 15]])
    assert not axes.collections
    assert "Fewer than 5 seeds: no interval." in caption(figure)


def test_five_seeds_are_an_interquartile_mean_with_a_band(
    make_run: MakeRun, tmp_path: Path
) -> None:
    for seed, value in enumerate((1.0, 2.0, 3.0, 4.0, 90.0), 1):
        make_run("none", seed, episodes([value, 7.0]))
    figure = return_figure([tmp_path / "runs"], tmp_path)
    axes = figure.axes[0]
    np.testing.assert_allclose(heights(labelled(axes)[0]), [3, 7])
    assert not thin(axes)
    (band,) = axes.collections
    edge = np.asarray(band.get_paths()[0].vertices)[:, 1]
    assert edge.min() < 3 < edge.max()
    assert legend_texts(axes) == ["A2C (IQM of 5 seeds)"]
    assert "95 % bootstrap interval" in caption(figure)
    assert "no interval" not in caption(figure)


def test_the_mean_ends_where_the_shortest_seed_ends(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("none", 1, episodes([1.0, 1.0, 1.0, 1.0, 1.0]))
    make_run("none", 2, episodes([3.0, 3.0]))
    axes = panel([tmp_path / "runs"], tmp_path)
    np.testing.assert_allclose(heights(labelled(axes)[0]), [2, 2])
    assert [len(heights(line)) for line in thin(axes)] == [5, 2]


def test_five_seeds_of_unequal_length_show_their_lines_too(
    make_run: MakeRun, tmp_path: Path
) -> None:
    for seed in range(1, 6):
        make_run("none", seed, episodes([1.0] * (5 if seed < 5 else 2)))
    axes = panel([tmp_path / "runs"], tmp_path)
    assert len(thin(axes)) == 5
    assert len(heights(labelled(axes)[0])) == 2


def test_a_bin_that_is_less_than_half_trained_does_not_count(make_run: MakeRun) -> None:
    run = open_run(make_run("none", 1, [*episodes([3.0]), (149, 1000.0)]))
    np.testing.assert_array_equal(seed_curves([run], 100.0, 3)[0], [3, np.nan, np.nan])
    run = open_run(make_run("none", 2, [*episodes([3.0]), (150, 1000.0)]))
    np.testing.assert_array_equal(seed_curves([run], 100.0, 3)[0], [3, 1000, np.nan])


@pytest.mark.parametrize(("count", "bins"), [(1, 1), (19, 1), (20, 2), (250, 25), (5000, 100)])
def test_there_are_as_many_bins_as_the_episodes_support(
    make_run: MakeRun, count: int, bins: int
) -> None:
    run = open_run(make_run("none", 1, [(7 * i, 1.0) for i in range(1, count + 1)]))
    assert choose_bins([run]) == bins


def test_a_single_point_is_seen(make_run: MakeRun, tmp_path: Path) -> None:
    (line,) = labelled(panel([make_run("none", 1, [(100, 7.0)])], tmp_path))
    np.testing.assert_array_equal(heights(line), [7])
    assert line.get_marker() == "o"


def test_policies_that_do_not_learn_are_drawn_and_named(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run("none", 1, episodes([3.0]))
    axes = panel([folder], tmp_path)
    assert {0.78, 5.37} <= {heights(line)[0] for line in axes.get_lines()}
    assert {"random\n0.78", "blind walker\n5.37"} <= {text.get_text() for text in axes.texts}
    other = panel([make_run("none", 1, episodes([3.0]), level="unknown_level")], tmp_path)
    assert not other.texts


@pytest.fixture
def committed(make_run: MakeRun, tmp_path: Path) -> Path:
    """Results with one baseline: returns 2 and 4 in frames 1-200 and 201-400."""
    results = tmp_path / "results"
    for seed in (1, 2):
        folder = make_run("none", seed, episodes([2.0, 2.0, 4.0, 4.0]), root="published")
        export_run(open_run(folder), results)
    return results


def test_a_committed_baseline_is_dashed_where_there_is_no_other(
    make_run: MakeRun, tmp_path: Path, committed: Path
) -> None:
    make_run("cpc", 1, episodes([3.0, 5.0]))
    figure = return_figure([tmp_path / "runs"], committed)
    baseline = labelled(figure.axes[0])[-1]
    assert baseline.get_label() == "A2C, committed baseline (mean of 2 seeds)"
    assert baseline.get_linestyle() == "--"
    assert to_hex(baseline.get_color()) == "#000000"
    np.testing.assert_allclose(heights(baseline), [2, 2])  # no further than the run's 200 frames
    assert "Dashed: committed baseline." in caption(figure)

    make_run("none", 1, episodes([3.0, 5.0]))
    own = panel([tmp_path / "runs"], committed)
    assert legend_texts(own) == ["A2C (1 seed)", "A2C + CPC (1 seed)"]
    assert all(line.get_linestyle() != "--" for line in own.get_lines())


def test_a_committed_baseline_of_other_settings_says_so(make_run: MakeRun, committed: Path) -> None:
    folder = make_run("cpc", 1, episodes([3.0, 5.0]), agent__learning_rate=0.1)
    figure = return_figure([folder], committed)
    assert "Dashed: committed baseline (differs in agent.learning_rate)." in caption(figure)


@pytest.mark.parametrize("change", [{"preset": "a2c"}, {"env__backend": "dmlab"}])
def test_a_committed_baseline_of_another_preset_or_backend_is_not_drawn(
    make_run: MakeRun, committed: Path, change: dict[str, str]
) -> None:
    folder = make_run("cpc", 1, episodes([3.0, 5.0]), **change)
    assert legend_texts(panel([folder], committed)) == ["A2C + CPC (1 seed)"]


def test_an_empty_folder_of_baselines_is_no_baseline(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run("cpc", 1, episodes([3.0, 5.0]))
    (tmp_path / "results" / "room_watermaze" / "a2c_laptop" / "none").mkdir(parents=True)
    assert legend_texts(panel([folder], tmp_path / "results")) == ["A2C + CPC (1 seed)"]


def test_runs_without_episodes_leave_a_figure_that_says_so(
    make_run: MakeRun, tmp_path: Path
) -> None:
    empty = make_run("none", 1, None)
    axes = panel([empty], tmp_path)
    assert "no finished episode yet" in [text.get_text() for text in axes.texts]
    axes = panel([empty, make_run("cpc", 1, episodes([3.0]))], tmp_path)
    assert legend_texts(axes) == ["A2C + CPC (1 seed)"]


def test_levels_have_a_panel_each(make_run: MakeRun, tmp_path: Path) -> None:
    for level in ("room_watermaze", "other_level"):
        make_run("none", 1, episodes([3.0]), level=level)
    figure = return_figure([tmp_path / "runs"], tmp_path)
    assert [axes.get_title("left") for axes in figure.axes] == ["other_level", "room_watermaze"]


def test_arms_of_equal_name_are_told_apart_by_their_settings(make_run: MakeRun) -> None:
    folders = [
        make_run("cpc", 1),
        make_run("cpc", 2),
        make_run("cpc", 3, aux__weight=0.5),
        make_run("cpc", 5, tag="x", agent__learning_rate=0.1),
        make_run("curl", 1),
    ]
    arms = group_arms(find_runs(folders))
    assert [arm.label for arm in arms] == [
        "A2C + CPC, weight=0.03",
        "A2C + CPC, weight=0.5",
        "A2C + CPC [x]",
        "A2C + curl",
    ]
    assert [[run.seed for run in arm.runs] for arm in arms] == [[1, 2], [3], [5], [1]]
    assert len({(arm.colour, str(arm.line_style)) for arm in arms}) == 4


def test_a_seed_counts_once(make_run: MakeRun) -> None:
    short = make_run("none", 1, [(10, 1.0)])
    long = make_run("none", 1, [(20, 1.0)], root="copy")
    for order in ([short, long], [long, short]):
        (arm,) = group_arms(find_runs(order))
        assert [run.folder for run in arm.runs] == [long]


def test_a_tag_is_never_taken_for_a_formula(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run("cpc", 1, episodes([3.0]), tag=r"$\no$")
    plot_level([folder], tmp_path / "figure.png", tmp_path)
    assert legend_texts(panel([folder], tmp_path)) == [r"A2C + CPC [$\no$] (1 seed)"]


def test_figures_are_equal_for_equal_data(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run("cpc", 1, episodes([3.0, 5.0]), tag="größe")
    for suffix in ("png", "svg", "pdf"):
        one, two = tmp_path / f"one.{suffix}", tmp_path / f"two.{suffix}"
        plot_level([folder], one, tmp_path)
        plot_level([folder], two, tmp_path)
        assert one.read_bytes() == two.read_bytes()
    assert {path.name[:3] for path in tmp_path.glob("*.*")} == {"one", "two"}  # nothing temporary


def test_a_failure_leaves_the_old_figure(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "figure.png"
    out.write_text("old")

    def disk_full(_self: Any, path: Path, **_kwargs: Any) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", disk_full)
    with pytest.raises(OSError, match="No space left"):
        plot_level([make_run("none", 1, episodes([3.0]))], out, tmp_path)
    assert out.read_text() == "old"
    assert list(tmp_path.glob(".*")) == []


def test_the_command_draws_any_set_of_runs(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = make_run("none", 1, episodes([3.0])), make_run("cpc", 1, episodes([5.0]))
    out = tmp_path / "new" / "figure.png"
    assert main([str(one), str(two), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"{out}\n"


def test_bad_input_is_one_sentence(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run("none", 1, episodes([3.0]))
    damaged = make_run("none", 2)
    (damaged / "episodes.csv").write_text("frames,return\n1,2\n")
    (tmp_path / "file").write_text("")
    below_a_file = str(tmp_path / "file" / "figure.png")
    for arguments, complaint in (
        ([str(tmp_path / "nowhere")], "there is no folder"),
        (
            [str(run), "--out", str(tmp_path / "figure.gif")],
            "must end with one of .png, .pdf, .svg",
        ),
        ([str(damaged)], "has no column 'successes'"),
        ([str(run), "--out", below_a_file], f"Not a directory: {below_a_file}"),
    ):
        assert main(arguments) == 2
        captured = capsys.readouterr()
        assert complaint in captured.err
        assert captured.err.count("\n") == 1
        assert captured.out == ""
    for arguments in ([], [str(run), "--unknown"]):
        with pytest.raises(SystemExit) as error:
            main(arguments)
        assert error.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1
