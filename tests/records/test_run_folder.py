"""A run's folder: lock, settings, provenance."""

import fcntl
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest
import torch
import yaml

from records import checkpoint, run_folder
from records.provenance import git_state
from records.run_folder import FolderLostError, RunFolder
from records.settings import first_difference, load_settings

SETTINGS = {"seed": 3, "total_frames": 100, "device": "cpu", "agent": {"learning_rate": 0.1}}
MACHINE = torch.device("cpu"), 7  # device and threads


def begin(path):
    with RunFolder(path) as folder:
        folder.write_config(SETTINGS, 0, {}, *MACHINE)
        learner = {"frames": 40, "agent": {}}
        checkpoint.save(folder.checkpoint_path, {"learner": learner, "metrics": {}})


def resume(path, extend=False, **changes):
    with RunFolder(path) as folder:
        return folder.load({**SETTINGS, **changes}, extend)


def test_new_folder_has_nothing_to_continue(tmp_path):
    assert resume(tmp_path / "a" / "b") is None


def test_same_settings_continue_whatever_the_device_and_threads(tmp_path):
    begin(tmp_path)
    assert resume(tmp_path)["learner"]["frames"] == 40
    assert resume(tmp_path, device="cuda", threads=5, log={"every_frames": 7}) is not None
    assert resume(tmp_path, agent={**SETTINGS["agent"], "compile": True}) is not None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 4}, "seed=3, not 4"),
        ({"agent": {"learning_rate": 0.2}}, r"agent.learning_rate=0.1, not 0.2"),
        ({"agent": {}}, "agent.learning_rate=0.1, not None"),
        ({"total_frames": 50}, "total_frames=100, not 50"),
    ],
)
@pytest.mark.parametrize("extend", [False, True])
def test_other_settings_are_refused_by_name(tmp_path, changes, named, extend):
    begin(tmp_path)
    with pytest.raises(ValueError, match=f"{named}: start a separate run with tag=NAME, or cont"):
        resume(tmp_path, extend, **changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"aux": {"name": "cpc"}}, r"without aux\.name, which is cpc now"),
        ({"total_frames": 200, "zoom": 4}, "without zoom, which is 4 now"),
    ],
)
@pytest.mark.parametrize("extend", [False, True])
def test_a_setting_that_is_new_says_where_older_runs_value_belongs(
    tmp_path, changes, named, extend
):
    begin(tmp_path)
    with pytest.raises(ValueError, match=f"{named}: start a separate run .*, or say in OLDER_RUNS"):
        resume(tmp_path, extend, **changes)


def test_longer_run_needs_leave(tmp_path):
    begin(tmp_path)
    with pytest.raises(ValueError, match=r"total_frames=100, not 200: continue with resume.extend"):
        resume(tmp_path, total_frames=200)
    assert resume(tmp_path, extend=True, total_frames=200) is not None


@pytest.mark.parametrize("lost", ["latest.pt", "config.yaml"])
def test_results_without_a_part_are_not_overwritten(tmp_path, lost):
    begin(tmp_path)
    (tmp_path / "progress.csv").write_text("frames\n7\n")
    (tmp_path / lost).unlink()
    with pytest.raises(ValueError, match=f"has results but no {lost}; put it back"):
        resume(tmp_path)


def test_run_that_was_stopped_before_its_first_checkpoint_begins_anew(tmp_path):
    begin(tmp_path)
    (tmp_path / "latest.pt").unlink()
    assert resume(tmp_path, seed=4) is None


def test_second_process_is_refused_and_the_first_ones_end_frees_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "PATIENCE_S", 0.1)
    program = (
        "import sys; from pathlib import Path; from records.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "in\n"
    with (
        pytest.raises(ValueError, match=f"in use by process {other.pid}"),
        RunFolder(tmp_path),
    ):
        pass
    other.kill()
    other.communicate()
    with RunFolder(tmp_path):
        pass


def test_a_question_whether_the_folder_is_held_does_not_refuse_it(tmp_path):
    """`studies.state.is_held` has a shared lock for a moment."""
    with open(tmp_path / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)

        def answer():
            time.sleep(0.2)
            fcntl.flock(lock, fcntl.LOCK_UN)

        thread = threading.Thread(target=answer)
        thread.start()
        with RunFolder(tmp_path):
            thread.join()


def test_config_tells_what_each_start_ran_on(tmp_path):
    with RunFolder(tmp_path) as folder:
        folder.write_config(SETTINGS, 0, {}, *MACHINE)
        folder.write_config({**SETTINGS, "total_frames": 200}, 40, {"agent": "fast"}, *MACHINE)
    content = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert [start["frames"] for start in content["starts"]] == [0, 40]
    assert set(content["starts"][0]) == {"frames", "passes", "machine", "versions", "git"}
    machine = content["starts"][1]["machine"]
    assert (machine["device"], machine["threads"]) == ("cpu", 7)
    assert len(machine["processor"]) > 3
    assert socket.gethostname() not in str(machine)
    assert content["starts"][1]["passes"] == {"agent": "fast"}
    assert content["starts"][0]["versions"]["torch"] != "not installed"
    assert set(git_state()) == {"commit", "dirty"}
    assert load_settings(tmp_path) == {**SETTINGS, "total_frames": 200}


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is not the folder of a run"):
        load_settings(tmp_path)
    for seed in (7, 5):
        begin(tmp_path / f"seed_{seed}")
    with pytest.raises(ValueError, match=f"it has no config.yaml. {tmp_path / 'seed_5'} is one."):
        load_settings(tmp_path)
    (tmp_path / "config.yaml").write_text("{")
    with pytest.raises(ValueError, match="cannot be read as settings"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe", b"[" * 3000, b"seed: 2001-99-99", b"1: 2", b"a: b\n" * 2**18, b"- 3",
        b"env: {kwargs: &k {x: *k}}", b"env: {kwargs: {x: &l [*l]}}",
    ],
)  # fmt: skip
def test_settings_that_are_none_are_refused(content, tmp_path):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.yaml cannot be read as settings"):
        load_settings(tmp_path)


@pytest.mark.parametrize("made_again", [False, True])
def test_a_folder_that_was_removed_is_not_written_to(made_again, tmp_path):
    with RunFolder(tmp_path / "run") as folder:
        folder.check_held()
        shutil.rmtree(tmp_path / "run")
        if made_again:
            with RunFolder(tmp_path / "run") as another:
                another.check_held()
        with pytest.raises(FolderLostError, match="was removed or replaced meanwhile"):
            folder.check_held()


def test_settings_of_an_auxiliary_loss_that_is_none_do_not_matter():
    def settings(name: str, anchors: int) -> dict:
        return {"aux": {"name": name, "anchors": anchors}}

    assert first_difference(settings("none", 10), settings("none", 5)) is None
    assert first_difference(settings("cpc", 10), settings("cpc", 5)) == ("aux.anchors", 10, 5)
    assert first_difference(settings("none", 5), settings("cpc", 5)) == ("aux.name", "none", "cpc")


def test_a_run_from_before_a_setting_did_what_it_did_then():
    today = {"agent": {"network": {"core": "lstm"}, "rmsprop_bias_correction": True}}
    assert first_difference({"agent": {}}, today) == ("agent.rmsprop_bias_correction", False, True)
    today["agent"]["rmsprop_bias_correction"] = False
    assert first_difference({"agent": {}}, today) is None


def test_first_difference_ignores_what_may_differ():
    assert first_difference({"log": {"a": 1}, "x": 1}, {"log": {"a": 2}, "x": 1}) is None
    assert first_difference({"x": {"y": 1}}, {"x": {"y": 2}}) == ("x.y", 1, 2)
    patience = [{"env": {"worker_timeout_s": s, "level": "a"}} for s in (3, 5)]
    assert first_difference(*patience) is None
