import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from analysis import runs
from analysis.runs import (
    differing_settings,
    find_runs,
    matching_runs,
    open_run,
    read_table,
)

MakeRun = Callable[..., Path]
INFINITE = "{seed: .inf, preset: p, aux: {name: none}, env: {level: x, backend: labsim}}"
RUN = "seed: 1\npreset: p\nenv: {level: x, backend: labsim}\n"


def test_a_run_knows_what_it_is(make_run: MakeRun) -> None:
    run = open_run(make_run("cpc", 3, tag="größe"))
    assert (run.level, run.backend, run.preset) == ("room_watermaze", "labsim", "a2c_laptop")
    assert (run.aux, run.arm, run.seed) == ("cpc", "cpc-größe", 3)
    assert run.settings["agent.network.encoder"] == "shallow"
    assert not {"device", "run_root", "log.every_frames"} & run.settings.keys()


def test_successes_are_counted_for_the_means_over_them(make_run: MakeRun) -> None:
    rows = [(10, 0, 7, 0, None, None), (20, 5, 7, 1, 2.5, None), (30, 20, 7, 4, 3.5, 1.25)]
    returns = open_run(make_run(episodes=rows)).returns
    np.testing.assert_array_equal(returns.mean_return, [0, 5, 20])
    np.testing.assert_array_equal(returns.successes, [0, 1, 4])
    np.testing.assert_array_equal(returns.first_seconds, [np.nan, 2.5, 3.5])
    np.testing.assert_array_equal(returns.first_count, [0, 1, 1])
    np.testing.assert_array_equal(returns.later_seconds, [np.nan, np.nan, 1.25])
    np.testing.assert_array_equal(returns.later_count, [0, 0, 3])


@pytest.mark.parametrize("episodes", [None, ()])
def test_a_run_that_has_just_begun_is_empty(make_run: MakeRun, episodes: tuple | None) -> None:
    run = open_run(make_run(episodes=episodes))
    assert len(run.returns.frames) == 0
    assert run.frames == 0


def test_frames_count_beyond_the_last_episode(make_run: MakeRun) -> None:
    folder = make_run(episodes=[(10, 1)])
    assert open_run(folder).frames == 10
    (folder / "progress.csv").write_text("frames,entropy\n7,1.0\n13,0.5\n")
    assert open_run(folder).frames == 13


def test_a_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "episodes.csv"
    path.write_text("frames,return\r\n10,2.5\r\n20,3", newline="")
    np.testing.assert_array_equal(read_table(path, ("frames",))["frames"], [10])
    path.write_text("frames,ret")
    assert len(read_table(path, ("frames",))["frames"]) == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("frames,x\n1,2\n", "has no column 'return'"),
        ("frames,return\n1,\n2\n", "row without a number for 'return'"),
        ("frames,return\n1,two\n", "row without a number for 'return'"),
        ("frames,return\ninf,2\n", "row without a number for 'frames'"),
        ("frames,return\n,2\n", "row without a number for 'frames'"),
        ("frames,return\n1,\xff\n", "is no table of text"),
        (f"frames,return\n1,{'7' * 200_000}\n", "is no table of text"),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "episodes.csv"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=complaint) as error:
        read_table(path, ("frames", "return"))
    assert str(path) in str(error.value)


def test_runs_are_found_at_any_depth_once_and_in_order(make_run: MakeRun, tmp_path: Path) -> None:
    tenth, second = make_run("none", 10), make_run("none", 2)
    cpc = make_run("cpc", 1)
    found = find_runs([tmp_path / "runs", tenth, tenth / "..", cpc])
    assert [run.folder.resolve() for run in found] == [cpc, second, tenth]


def test_paths_without_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        find_runs([tmp_path / "nowhere"])
    with pytest.raises(ValueError, match="there is no run in"):
        find_runs([tmp_path])
    with pytest.raises(ValueError, match="is not the folder of a run"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        *("", "[1, 2]", "seed: 1\n", "a: [", "env: 3\nseed: 1\n", INFINITE),
        *(f"{RUN}aux: {{name: none, 1: 2}}", f"{RUN}aux: &a {{name: none, x: *a}}"),
        f"{RUN}aux: {{name: none}}\ntotal_frames: null",
    ],
)
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"read as settings|is not a run's configuration"):
        open_run(tmp_path)


def test_matching_runs_differ_in_seed_aux_and_machine_only(make_run: MakeRun) -> None:
    first = make_run("none", 1)
    same = [
        make_run("cpc", 2, aux__weight=0.5, device="cuda", threads=7, env__worker_timeout_s=3.0),
        make_run("cpc", 3, tag="heavy", aux__weight=9.0, starts=[]),
        make_run("none", 4, agent__compile=True),
    ]
    make_run("cpc", 5, agent__learning_rate=0.001)
    make_run("cpc", 7, total_frames=2000)
    make_run("none", 11, level="other")
    make_run("none", 13, root="elsewhere")
    broken = make_run("none", 17)
    (broken / "config.yaml").write_text("a: [")
    (make_run("none", 19) / "config.yaml").write_text("aux: {1: 2}")
    (broken.parent / "seed_23" / "config.yaml").mkdir(parents=True)
    assert set(matching_runs(first)) == {first, *same}
    assert set(matching_runs(same[0])) == {first, *same}


def test_configurations_of_other_presets_are_not_read(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_run("none", 1), make_run("cpc", 2)
    preset = first.parents[1]
    shutil.copytree(preset, preset.with_name("a2c"))
    read: list[Path] = []

    def noted(folder: Path) -> runs.Run:
        read.append(folder)
        return open_run(folder)

    monkeypatch.setattr(runs, "open_run", noted)
    matching_runs(first)
    assert set(read) == {first, second}


def test_differing_settings_are_named(make_run: MakeRun) -> None:
    one = open_run(make_run("none", 1))
    two = open_run(make_run("cpc", 2, agent__learning_rate=0.001, env__num_envs=7))
    assert differing_settings(one, two) == ["agent.learning_rate", "env.num_envs"]


def test_older_runs_had_an_lstm_without_saying_so(make_run: MakeRun) -> None:
    older = open_run(make_run("none", 1))
    same = open_run(make_run("none", 2, agent__network__core="lstm"))
    other = open_run(make_run("none", 3, agent__network__core="none"))
    assert differing_settings(older, same) == []
    assert differing_settings(older, other) == ["agent.network.core"]
