"""Checkpoints and files: whole or as before."""

import errno
import os
import stat
from typing import Any

import pytest
import torch

from records import checkpoint, whole_files

STATE: dict[str, Any] = {
    "learner": {"agent": {"w": torch.arange(7.0)}, "frames": 3},
    "metrics": {"rows": [[1, 2.5, "a"]]},
}


def full_disk(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "latest.pt"
    checkpoint.save(path, STATE)
    state = checkpoint.load(path)
    assert torch.equal(state["learner"]["agent"]["w"], torch.arange(7.0))
    assert state["metrics"] == STATE["metrics"]
    assert os.listdir(tmp_path) == ["latest.pt"]


def test_no_space_left_keeps_the_old_checkpoint_and_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "latest.pt"
    checkpoint.save(path, STATE)
    before = path.read_bytes()
    monkeypatch.setattr(whole_files.os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left on device") as caught:
        checkpoint.save(path, {"learner": {}})
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["latest.pt"]


def test_failed_append_leaves_the_rows_that_were_there(tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    whole_files.append_file(path, b"a\n")

    class HalfWritten:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def write(self, content):
            path.write_bytes(path.read_bytes() + content[:1])
            full_disk()

    monkeypatch.setattr(whole_files, "open", lambda *arguments: HalfWritten(), raising=False)
    with pytest.raises(OSError, match="No space left on device"):
        whole_files.append_file(path, b"bc\n")
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
    torch.save({"version": 1, **STATE}, path)
    with pytest.raises(ValueError, match=r"read: .* of another kind or version"):
        checkpoint.load(path)
    checkpoint.save(path, {"code": os.getcwd})  # unpickling it would run code
    with pytest.raises(ValueError, match="cannot be read: it is not what a run writes"):
        checkpoint.load(path)


def test_a_flipped_bit_anywhere_is_refused(tmp_path):
    """PyTorch itself loads most of such files, with other numbers."""
    path = tmp_path / "latest.pt"
    checkpoint.save(path, STATE)
    content = path.read_bytes()
    for at in range(0, len(content), 37):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"latest\.pt cannot be read"):
            checkpoint.load(path)


def test_pytorch_reads_a_checkpoint_as_it_is(tmp_path):
    checkpoint.save(tmp_path / "latest.pt", STATE)
    assert torch.load(tmp_path / "latest.pt")["learner"]["frames"] == 3


@pytest.mark.parametrize(
    "state",
    [
        {},
        {**STATE, "learner": {"frames": 3}},
        {**STATE, "learner": {**STATE["learner"], "frames": "3"}},
        {**STATE, "metrics": None},
    ],
)
def test_checkpoint_without_its_parts_is_refused(state, tmp_path):
    checkpoint.save(tmp_path / "latest.pt", state)
    with pytest.raises(ValueError, match=r"needs learner\.frames, learner\.agent and metrics"):
        checkpoint.load(tmp_path / "latest.pt")


def test_newest_and_best_checkpoints_are_kept(tmp_path, monkeypatch):
    def save(frames, returns):
        state = {**STATE, "learner": {"agent": {}, "frames": frames}}
        checkpoint.save(tmp_path / "latest.pt", {**state, "metrics": {"recent_returns": returns}})
        mean = sum(returns) / len(returns) if returns else None
        checkpoint.keep(tmp_path, frames, mean, 2)

    for frames, returns in [(3, []), (5, [1.0, 3.0]), (7, [1.5]), (11, [-1.0])]:
        save(frames, returns)
    kept = {p.name: checkpoint.load(p)["learner"]["frames"] for p in tmp_path.iterdir()}
    assert kept == {
        "latest.pt": 11,
        "best.pt": 5,
        "checkpoint_000000000007.pt": 7,
        "checkpoint_000000000011.pt": 11,
    }
    (tmp_path / "best.pt").write_bytes(b"damaged")
    save(13, [0.0])
    assert checkpoint.load(tmp_path / "best.pt")["learner"]["frames"] == 13

    def no_links(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    save(17, [0.5])
    save(19, [0.2])
    assert checkpoint.load(tmp_path / "best.pt")["learner"]["frames"] == 17
    assert checkpoint.load(tmp_path / "checkpoint_000000000019.pt")["learner"]["frames"] == 19


def test_a_link_to_an_older_checkpoint_is_replaced_and_the_older_one_stays(tmp_path, monkeypatch):
    """Whoever wants to go on from there sets such a link."""

    def save(frames, mean):
        state = {"learner": {"agent": {}, "frames": frames}, "metrics": {"recent_returns": [mean]}}
        checkpoint.save(tmp_path / "latest.pt", state)
        checkpoint.keep(tmp_path, frames, mean, 7)

    def frames_of(name):
        return checkpoint.load(tmp_path / name)["learner"]["frames"]

    save(3, 0.5)
    save(5, 0.2)
    for name in ("latest.pt", "best.pt"):
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / name).symlink_to("checkpoint_000000000003.pt")
    save(7, 1.5)
    save(11, 1.0)
    names = ["best.pt", "checkpoint_000000000003.pt", "checkpoint_000000000007.pt", "latest.pt"]
    assert [frames_of(name) for name in names] == [7, 3, 7, 11]
    (tmp_path / "best.pt").unlink()
    (tmp_path / "best.pt").symlink_to("checkpoint_000000000007.pt")
    (tmp_path / "checkpoint_000000000013.pt").symlink_to("nowhere/that.pt")
    monkeypatch.setattr(os, "link", full_disk)  # as where there are no links
    save(13, 2.5)
    assert [frames_of(name) for name in names] == [13, 3, 7, 13]


def test_what_is_no_regular_file_is_no_checkpoints_name(tmp_path):
    os.mkfifo(tmp_path / "best.pt")
    checkpoint.save(tmp_path / "latest.pt", STATE)
    with pytest.raises(OSError, match=r"best\.pt is no regular file"):
        checkpoint.keep(tmp_path, 3, 1.5, 2)
    (tmp_path / "best.pt").rename(tmp_path / "latest.pt")
    with pytest.raises(OSError, match=r"latest\.pt is no regular file"):
        checkpoint.save(tmp_path / "latest.pt", STATE)
    assert stat.S_ISFIFO(os.stat(tmp_path / "latest.pt").st_mode)
