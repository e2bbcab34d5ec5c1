import csv
import json

import numpy as np
import pytest

import envs.labsim.vector_env
from benchmarks import cost
from benchmarks.cost import IMAGE, Point, Sweep, make_sized_envs, measure_here, sweeps
from configs import compose_runs
from envs import EnvConfig

SPEEDS = {"agent_steps_per_s": 4001.0, "memory_mib": 701.0, "resident_mib": 907.0, "processes": 3}


@pytest.fixture
def image_size(monkeypatch):
    """Whatever a test sets the engine's image to is undone."""
    monkeypatch.setattr(envs.labsim.vector_env, "HEIGHT", 72)
    monkeypatch.setattr(envs.labsim.vector_env, "WIDTH", 96)


@pytest.mark.parametrize("name", sweeps(4))
def test_every_sweep_has_valid_settings_and_the_preset_s_own_point(name):
    sweep = sweeps(4)[name]
    if sweep.setting == IMAGE:
        assert "72x96" in sweep.values
        return
    if name == "threads":
        assert sweep.values == ("1", "2", "4")
        return
    base = ["env=room_watermaze", "agent=a2c", f"aux={sweep.aux}"]
    (own,) = compose_runs(base)
    configs = [compose_runs([*base, f"{sweep.setting}={value}"])[0] for value in sweep.values]
    assert not any(request.error for request in configs)
    assert own.config in [request.config for request in configs]


def test_a_point_is_trained_and_measured(monkeypatch):
    monkeypatch.setattr(cost, "prepare_cpu", lambda threads: None)  # it is for the whole process
    result = measure_here(Sweep("env.num_envs", "none", ("2",), ""), "2", threads=1, seconds=0.0)
    assert result["agent_steps_per_s"] > 0
    assert 100 < result["memory_mib"] <= result["resident_mib"]


def test_images_of_other_sizes_show_the_same(image_size):
    images = []
    for height, width in ((72, 96), (36, 48)):
        batch = make_sized_envs((height, width), EnvConfig("room_watermaze"), 2, stagger=False)
        obs = np.zeros((2, height, width, 3), np.uint8)
        assert batch.single_observation_space.shape == obs.shape[1:]
        batch.reset_into([7, 11], obs)
        batch.close()
        images.append(obs.astype(float))
    large, small = images
    shrunk = large.reshape(2, 36, 2, 48, 2, 3).mean((2, 4))
    assert np.abs(shrunk - small).mean() < 12  # of 255; pictures of other places differ more
    assert np.abs(shrunk - small[::-1]).mean() > 20


def test_points_run_in_turn_and_are_written(monkeypatch, capsys, tmp_path):
    asked = []

    def fake(name, value, threads, seconds):
        asked.append((name, value))
        return Point(name, value, **SPEEDS)

    monkeypatch.setattr(cost, "measure", fake)
    figure = tmp_path / "cost.png"
    arguments = ["--sweeps", "anchors", "image", "--out", str(tmp_path), "--figure", str(figure)]
    cost.main([*arguments, "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert asked[:2] == [("anchors", "1"), ("anchors", "5")]
    assert [(point["sweep"], point["value"]) for point in printed] == asked
    lines = (tmp_path / "cost.csv").read_text().splitlines()
    assert lines[0].startswith("# ")  # the machine
    rows = list(csv.DictReader(lines[1:]))
    assert [(row["sweep"], row["value"]) for row in rows] == asked
    assert rows[0]["memory_mib"] == "701.0"
    assert figure.stat().st_size > 10_000


def test_a_point_comes_from_a_process_of_its_own(monkeypatch):
    commands = []

    def run(command, **kwargs):
        commands.append(command[1:])
        return type("Done", (), {"stdout": json.dumps(SPEEDS)})

    monkeypatch.setattr(cost.subprocess, "run", run)
    point = cost.measure("horizon", "5", threads=2, seconds=3.0)
    assert point == Point("horizon", "5", **SPEEDS)
    inner = ["-m", "benchmarks.cost", "--point", "horizon", "5", "--threads=2", "--seconds=3.0"]
    assert commands == [inner]


def test_the_process_of_a_point_prints_one_json_object(monkeypatch, capsys):
    monkeypatch.setattr(cost, "measure_here", lambda sweep, *rest: {"of": [sweep.setting, *rest]})
    cost.main(["--point", "horizon", "5", "--threads=2", "--seconds=3.0"])
    assert json.loads(capsys.readouterr().out) == {"of": ["aux.horizon", "5", 2, 3.0]}
