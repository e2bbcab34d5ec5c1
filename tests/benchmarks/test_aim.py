from pathlib import Path

import pytest

from benchmarks import aim
from envs.labsim.levels.lasertag_three_opponents_small import LasertagThreeOpponentsSmall
from tests.tiny_run import write_run

LASERTAG = "env=lasertag_three_opponents_small"


@pytest.mark.slow
def test_who_acts_at_random_fires_in_a_ninth_of_all_steps(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(LasertagThreeOpponentsSmall, "episode_steps", 61)
    untrained, random = (aim.play(run, 3) for run in (write_run(LASERTAG), Path("random")))
    for played in (untrained, random):
        assert played["fires else"] == pytest.approx(1 / 9, abs=0.09)
        assert 0 < played["units"] < 21  # a step's way is 20.5 at most
        assert played["empty"] == 0  # there are 100 shots
    spin = aim.play(Path("spin"), 3)
    assert (spin["fires then"], spin["fires else"]) == (1.0, 0.0)
    aim.main(["blind", "--episodes", "1"])
    assert capsys.readouterr().out.count("\n") == 3


def test_runs_of_other_levels_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="was trained on seekavoid_arena_01; needed is lasertag"):
        aim.play(write_run("env=seekavoid_arena_01"), 2)
