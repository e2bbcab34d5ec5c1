"""A run's records: rows, statistics, and what a resumed run does with them."""

import csv
import math

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents.episodes import Episode
from records import metrics as metrics_module
from records.metrics import EMPTY, Metrics
from records.tables import append_rows, cut_rows

EPISODES = [
    Episode(10.0, 13, [3.0, 1.0, 2.0]),
    Episode(0.0, 11, []),
    Episode(5.0, 7, [7.0]),
    Episode(10.0, 5, [5.0, 5.0]),
]


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_row_holds_the_means_since_the_last_row(tmp_path):
    metrics = Metrics(tmp_path, every_frames=100)
    assert not metrics.due(99)
    metrics.add(60, EPISODES[:1])
    metrics.add(120, EPISODES[1:3])
    assert metrics.due(120)
    learned = {"loss": 0.5, "aux/loss_by_horizon": [2.0, 3.0], "aux/accuracy_by_horizon": [0.5, 1]}
    metrics.write(120, learned)
    assert not metrics.due(199)
    assert metrics.due(200)
    metrics.write(200, {})
    first, second = rows(tmp_path / "progress.csv")
    assert (first["frames"], first["episodes"], first["loss"]) == ("120", "3", "0.5")
    assert float(first["return_mean"]) == 5.0
    assert float(first["length_mean"]) == pytest.approx(31 / 3)
    assert float(first["return_std"]) == pytest.approx(math.sqrt(50 / 3))
    assert float(first["success_first_seconds"]) == 5.0  # of 3 and 7
    assert float(first["success_later_seconds"]) == 1.5  # of 1 and 2
    assert (second["episodes"], second["return_mean"], second["loss"]) == ("0", "", "")
    assert rows(tmp_path / "aux_by_horizon.csv") == [
        {"frames": "120", "k": "1", "loss": "2.0", "accuracy": "0.5"},
        {"frames": "120", "k": "2", "loss": "3.0", "accuracy": "1"},
    ]
    episodes = rows(tmp_path / "episodes.csv")
    assert episodes[0] == {
        "frames": "60",
        "return": "10.0",
        "length": "13",
        "successes": "3",
        "first_success_seconds": "3.0",
        "later_success_seconds": "1.5",
    }
    assert (episodes[1]["successes"], episodes[1]["first_success_seconds"]) == ("0", "")


@pytest.mark.parametrize(("updates", "speed"), [([70, 110], 40 / 2), ([110], 110 / 9)])
def test_first_update_is_left_out_of_the_speed_where_there_are_more(
    updates, speed, tmp_path, monkeypatch
):
    clock = iter([100.0, 107.0, 109.0, 115.0])
    monkeypatch.setattr(metrics_module.time, "monotonic", lambda: next(clock))
    metrics = Metrics(tmp_path, every_frames=100)  # at 100 s
    metrics.add(updates[0], [])  # 107 s
    for frames in updates[1:]:
        metrics.add(frames, [])  # reads no clock
    row = metrics.write(updates[-1], {})  # 109 s
    assert row["frames_per_second"] == round(speed, 1)
    metrics.add(230, [])
    assert metrics.write(230, {})["frames_per_second"] == round((230 - updates[-1]) / 6, 1)


def test_resumed_records_equal_uninterrupted_ones(tmp_path):
    """A checkpoint between two rows, then rows that the killed run wrote beyond it."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        metrics = Metrics(folder, every_frames=100)
        metrics.add(60, EPISODES[:1])
        metrics.write(100, {"loss": 1.0})
        metrics.add(130, EPISODES[1:2])
        state = metrics.state_dict()
        metrics.add(160, EPISODES[2:3])
        metrics.write(200, {"loss": 2.0})
        metrics.add(260, EPISODES[3:])
        metrics.write(300, {"loss": 3.0})
    (killed / "progress.csv").open("a").write("400,12.5")  # cut off within a row
    metrics = Metrics(killed, 100, state)
    assert [row["frames"] for row in rows(killed / "progress.csv")] == ["100"]
    assert [row["frames"] for row in rows(killed / "episodes.csv")] == ["60"]
    metrics.add(160, EPISODES[2:3])
    metrics.write(200, {"loss": 2.0})
    metrics.add(260, EPISODES[3:])
    metrics.write(300, {"loss": 3.0})
    assert (whole / "episodes.csv").read_bytes() == (killed / "episodes.csv").read_bytes()
    clock = {"seconds", "frames_per_second"}
    for a, b in zip(rows(whole / "progress.csv"), rows(killed / "progress.csv"), strict=True):
        assert {k: v for k, v in a.items() if k not in clock} == {
            k: v for k, v in b.items() if k not in clock
        }
    events = EventAccumulator(str(killed)).Reload()
    losses = [(e.step, e.value) for e in events.Scalars("train/loss")]
    assert losses == [(100, 1), (200, 2), (300, 3)]


def test_the_recent_return_is_of_the_last_hundred_episodes(tmp_path):
    metrics = Metrics(tmp_path, every_frames=10**6)
    assert metrics.recent_return is None
    metrics.add(50, [Episode(1000.0 if k < 7 else float(k), 5, []) for k in range(107)])
    metrics.state_dict()
    assert metrics.recent_return == np.mean(range(7, 107))


def test_an_evaluation_after_the_last_row_stays_in_tensorboard(tmp_path):
    metrics = Metrics(tmp_path, every_frames=100)
    metrics.write(100, {"loss": 1.0})
    metrics.write_evaluation(150, EPISODES)
    Metrics(tmp_path, 100, metrics.state_dict()).write(200, {"loss": 2.0})
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [e.step for e in events.Scalars("evaluation/return_mean")] == [150]
    assert [e.step for e in events.Scalars("train/loss")] == [100, 200]


def test_what_was_not_measured_is_no_point_in_tensorboard(tmp_path):
    metrics = Metrics(tmp_path, every_frames=100)
    metrics.write(100, {"loss": 1.0, "aux/accuracy": math.nan})
    metrics.write(200, {"loss": 2.0, "aux/accuracy": 0.5})
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [e.step for e in events.Scalars("aux/accuracy")] == [200]
    assert [row["aux/accuracy"] for row in rows(tmp_path / "progress.csv")] == ["nan", "0.5"]


def test_scalars_stand_in_groups_in_tensorboard(tmp_path):
    metrics = Metrics(tmp_path, every_frames=100)
    metrics.add(50, EPISODES)
    metrics.write(100, {"loss": 1.0, "aux/accuracy": 0.5})
    tags = EventAccumulator(str(tmp_path)).Reload().Tags()["scalars"]
    assert {tag for tag in tags if tag.startswith("time/")} == {
        "time/seconds",
        "time/frames_per_second",
    }
    assert {"rollout/return_mean", "rollout/episodes", "train/loss", "aux/accuracy"} <= set(tags)
    assert all("/" in tag for tag in tags)


def test_a_loss_by_horizon_needs_no_accuracy(tmp_path):
    metrics = Metrics(tmp_path, every_frames=100)
    metrics.write(100, {"aux/loss_by_horizon": [2.0, 3.0]})
    assert [(row["loss"], row["accuracy"]) for row in rows(tmp_path / "aux_by_horizon.csv")] == [
        ("2.0", "nan"),
        ("3.0", "nan"),
    ]


def test_seconds_go_on_after_a_resume(tmp_path):
    state = {**EMPTY, "row_frames": 100, "seconds": 50.0, "since_row": 7.0}
    row = Metrics(tmp_path, 100, state).write(200, {})
    assert 57.0 <= row["seconds"] < 60.0
    assert row["frames_per_second"] <= 14.3  # 100 frames in 7 seconds


def test_new_run_removes_rows_of_an_old_one(tmp_path):
    append_rows(tmp_path / "progress.csv", [{"frames": 7, "old": 1}])
    Metrics(tmp_path, 100)
    assert not (tmp_path / "progress.csv").exists()


def test_cut_drops_what_was_half_written(tmp_path):
    path = tmp_path / "rows.csv"
    for text in ("frames,a\n1,2\n20,3\n", "frames,a\n1,2\n1", "frames,a\n1,2\n2\n"):
        path.write_text(text)
        cut_rows(path, 10)
        assert path.read_text() == "frames,a\n1,2\n"
    path.write_text("frames,a\n1,2\nx,3\n\0\0\0")  # a crash may leave pages that were not written
    cut_rows(path, 10)
    assert path.read_text() == "frames,a\n1,2\n"
    path.write_text("fra")
    cut_rows(path, 10)
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("frames,a\n1,2\nx,3\n5,4\n", "line 3 is not a row"),
        ("frames,a\n1,2\n\0\0\n5,4\n", "line 3 is not a row"),
        ("\0rames,a\n1,2\n", "its first line must name the columns"),
        ("frames\n1,2\n5,4\n", "none of its lines is a row"),
        ("frames;a\n1;2\n", "none of its lines is a row"),
        ('"frames","a"\n"1","2"\n', "none of its lines is a row"),
        ("frames,a\n1.0,2\n", "none of its lines is a row"),
    ],
)
def test_damage_before_a_row_that_stays_is_named(text, expected, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"rows\.csv is damaged: {expected}"):
        cut_rows(path, 10)
    assert path.read_text() == text


@pytest.mark.parametrize(
    "changes",
    [
        {"seconds": "7"},
        {"seconds": math.nan},
        {"row_frames": -7},
        {"records": None},
        {"records": [[1, 2.0]]},
        {"records": [[1, 2.0, 3, ["x"]]]},
        {"recent_returns": ["x"]},
        {"more": 1},
    ],
)
def test_state_of_another_form_is_refused(changes, tmp_path):
    with pytest.raises(ValueError, match="the checkpoint's metrics"):
        Metrics(tmp_path, 100, {**EMPTY, **changes})


def test_later_rows_may_lack_a_key_but_not_bring_a_new_one(tmp_path):
    path = tmp_path / "rows.csv"
    append_rows(path, [{"frames": 1, "a": 2}])
    append_rows(path, [{"frames": 2}])
    assert path.read_text() == "frames,a\n1,2\n2,\n"
    with pytest.raises(ValueError, match=r"rows\.csv has no column 'b': a metric must be there f"):
        append_rows(path, [{"frames": 3, "b": 2}])
