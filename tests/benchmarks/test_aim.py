import numpy as np
import pytest

from benchmarks import aim
from envs.labsim.levels.lasertag_fighters import FIGHTER
from envs.labsim.levels.lasertag_three_opponents_small import LasertagThreeOpponentsSmall
from tests.tiny_run import write_run

LASERTAG = "env=lasertag_three_opponents_small"


def test_a_bot_is_ahead_if_it_lives_where_the_agent_looks_and_no_wall_is_between():
    fighters = np.zeros((5, 4), FIGHTER)
    fighters["x"], fighters["y"], fighters["alive"] = 150.0, 250.0, True
    fighters["yaw"][:, 0] = -180.0  # to the west
    fighters["x"][:, 1] = 450.0  # behind the agent
    fighters["x"][:, 2] = 850.0
    fighters["y"][:, 3] = 950.0  # to the right
    assert not aim.ahead(fighters, np.zeros((5, 11, 11), np.bool_)).any()
    fighters["yaw"][:, 0] = [5.0, -5.0, 7.0, 95.0, 0.0]  # degrees off: 5, 5, 7; 5 off bot 3; 0
    fighters["alive"][1, 1:3] = False
    cells = np.zeros((5, 11, 11), np.bool_)
    cells[4] = True  # walls all around
    assert aim.ahead(fighters, cells).tolist() == [True, False, False, True, False]


@pytest.mark.slow
def test_who_acts_at_random_fires_in_a_ninth_of_all_steps(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(LasertagThreeOpponentsSmall, "episode_steps", 61)
    untrained, random = (aim.play(run, 3) for run in (write_run(LASERTAG), aim.RANDOM))
    for played in (untrained, random):
        assert played["fires else"] == pytest.approx(1 / 9, abs=0.09)
        assert 0 < played["units"] < 21  # a step's way is 20.5 at most
        assert played["empty"] == 0  # there are 100 shots
    aim.main([str(aim.RANDOM), "--episodes", "1"])
    assert capsys.readouterr().out.count("\n") == 3


def test_runs_of_other_levels_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="was trained on seekavoid_arena_01; needed is lasertag"):
        aim.play(write_run("env=seekavoid_arena_01"), 2)
