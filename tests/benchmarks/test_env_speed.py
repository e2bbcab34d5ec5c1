import importlib.util
import json
import sys

import pytest

from benchmarks import env_speed, side_by_side
from envs import LEVELS


def test_json_is_one_object_with_the_speed_of_each_level(monkeypatch, capsys):
    monkeypatch.setattr(env_speed, "STEPS_PER_BLOCK", 21)
    monkeypatch.setattr(env_speed, "measure_others", lambda level: {"other": 3.0})
    monkeypatch.setattr(sys, "argv", ["env_speed", "--json", "--num-envs", "6", "--blocks", "2"])
    env_speed.main()
    results = json.loads(capsys.readouterr().out)
    assert set(results) == set(LEVELS)
    for result in results.values():
        assert result["agent_steps_per_s_per_core"] > 0.0
        assert result["frames_per_s_per_core"] == 4.0 * result["agent_steps_per_s_per_core"]
        assert result["two_thread_efficiency"] > 0.0
        assert result["other"] == 3.0


def test_two_batches_need_an_even_number(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["env_speed", "--num-envs", "3"])
    with pytest.raises(SystemExit):
        env_speed.main()
    assert "--num-envs is 3; it must be even" in capsys.readouterr().err


def test_other_backends_are_measured_where_they_are_installed(monkeypatch):
    monkeypatch.setattr(env_speed, "OTHER_STEPS", 3)
    installed = importlib.util.find_spec("miniworld") is not None
    speeds = env_speed.measure_others("seekavoid_arena_01")
    assert ("miniworld_agent_steps_per_s" in speeds) == installed
    assert all(speed > 0.0 for speed in speeds.values())


def test_some_levels_are_measured_alone(monkeypatch, capsys):
    monkeypatch.setattr(env_speed, "measure", lambda level, *_: {"length": len(level)})
    monkeypatch.setattr(env_speed, "measure_others", lambda level: {})
    monkeypatch.setattr(sys, "argv", ["env_speed", "--levels", *LEVELS[1:3]])
    env_speed.main()
    printed = capsys.readouterr().out
    assert [level for level in LEVELS if level in printed] == list(LEVELS[1:3])


def test_the_picture_for_the_readme_is_drawn(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["side_by_side", "--out", str(tmp_path)])
    side_by_side.main()
    assert (tmp_path / "room_watermaze.png").stat().st_size > 10_000
