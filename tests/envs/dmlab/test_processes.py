"""DeepMind Lab in worker processes, and the folders that it leaves or not."""

import os
import re
import signal
import tempfile

import numpy as np
import pytest

from envs import EnvConfig, make_vec_env
from envs.pool import WorkerError
from tests.envs.pool_envs import wait_until


def folders(place):
    return list(place.glob("dmlab_temp_folder_*"))


def test_temporary_folder_goes_with_the_environment(make_env, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    env = make_env()
    assert len(folders(tmp_path)) == 1
    env.close()
    assert folders(tmp_path) == []
    with pytest.raises(ValueError, match="does not start"):
        make_env(settings={"rooms": 3})
    assert folders(tmp_path) == []


def pool(level="room_watermaze", num_envs=3, **settings):
    return make_vec_env(EnvConfig(level, "dmlab", **settings), num_envs, stagger=False)


def begin(pool):
    obs = np.zeros((pool.num_envs, 72, 96, 3), np.uint8)
    pool.reset_into(range(pool.num_envs), obs)
    return obs


def test_error_of_a_levels_script_is_told_once_and_leaves_nothing(
    deepmind_lab, monkeypatch, tmp_path
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    labs = pool(lab_settings={"episodeLengthSeconds": "abc"})
    assert len(folders(tmp_path)) == 3
    obs = begin(labs)
    with pytest.raises(WorkerError) as raised:
        labs.step_into(np.zeros(3, int), obs)
    assert re.fullmatch(
        r"environment 0 failed at the start: the process ended unexpectedly \(signal 6; it said: "
        r"\[deepmind/engine/context.cc\S+ Check failed: .* 'episodeLength' \(a string value\)\)",
        str(raised.value),
    )
    labs.close()
    assert wait_until(lambda: folders(tmp_path) == [])


def test_killed_worker_leaves_no_temporary_folder(deepmind_lab, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    labs = pool("seekavoid_arena_01")
    obs = begin(labs)
    labs.step_into(np.zeros(3, int), obs)
    before = folders(tmp_path)
    os.kill(labs.groups[0].workers[0].process.pid, signal.SIGKILL)
    assert labs.step_into(np.zeros(3, int), obs).lost.sum() == 1
    assert wait_until(lambda: len(folders(tmp_path)) == 3)
    assert len(set(folders(tmp_path)) - set(before)) == 1
    labs.close()
    assert wait_until(lambda: folders(tmp_path) == [])


@pytest.mark.parametrize(("level", "times"), [("seekavoid_arena_01", 1), ("room_watermaze", 0)])
def test_setting_that_a_level_ignores_is_told_once(deepmind_lab, caplog, level, times):
    labs = pool(level, lab_settings={"episodeLengthSeconds": 7})
    labs.close()
    told = f"env.lab_settings.episodeLengthSeconds changes nothing on {level}"
    assert [record.getMessage() for record in caplog.records] == [told] * times
