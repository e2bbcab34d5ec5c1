"""Checkpoints and files: whole or as before."""

import errno
import os

import pytest
import torch

from agents import checkpoint, files

STATE = {"learner": {"w": torch.arange(7.0), "frames": 3}, "metrics": {"rows": [[1, 2.5, "a"]]}}


def full_disk(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "latest.pt"
    checkpoint.save(path, STATE)
    state = checkpoint.load(path)
    assert torch.equal(state["learner"]["w"], STATE["learner"]["w"])
    assert state["metrics"] == STATE["metrics"]
    assert os.listdir(tmp_path) == ["latest.pt"]


def test_no_space_left_keeps_the_old_checkpoint_and_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "latest.pt"
    checkpoint.save(path, STATE)
    before = path.read_bytes()
    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left on device") as caught:
        checkpoint.save(path, {"learner": {}})
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["latest.pt"]


def test_failed_append_leaves_the_rows_that_were_there(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    files.append_file(path, b"a\n")

    class HalfWritten:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def write(self, content):
            path.write_bytes(path.read_bytes() + content[:1])
            full_disk()

    monkeypatch.setattr(files, "open", lambda *arguments: HalfWritten(), raising=False)
    with pytest.raises(OSError, match="No space left on device"):
        files.append_file(path, b"bc\n")
    assert path.read_bytes() == b"a\n"


@pytest.mark.parametrize("length", [0, 1, 100, -1, -100])
def test_truncated_checkpoint_is_refused(tmp_path, length):
    path = tmp_path / "latest.pt"
    checkpoint.save(path, STATE)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"latest\.pt cannot be read"):
        checkpoint.load(path)


def test_missing_foreign_and_executable_files_are_refused(tmp_path):
    path = tmp_path / "latest.pt"
    with pytest.raises(ValueError, match="There is no checkpoint"):
        checkpoint.load(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="not of version 1"):
        checkpoint.load(path)
    torch.save({"version": 1, "code": os.getcwd}, path)  # unpickling it would run code
    with pytest.raises(ValueError, match="cannot be read"):
        checkpoint.load(path)
