"""Files that appear whole or not at all: any, and films."""

import os
import stat
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

from records.animation import film
from records.processes import PREFIX
from records.video import picture
from records.whole_files import (
    FORGOTTEN_S,
    check_replaceable,
    naming,
    replace_file,
    replaced_when_complete,
)

FRAME = np.zeros((12, 16, 3), np.uint8)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "figure.png"
    path.write_text("old")
    with suppress(RuntimeError), replaced_when_complete(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["figure.png"]


def test_what_is_no_regular_file_is_refused_before_the_work_and_named(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    os.mkfifo(tmp_path / "fifo.mp4")
    (tmp_path / "link.mp4").symlink_to("fifo.mp4")
    (tmp_path / "circle.mp4").symlink_to("circle.mp4")
    (tmp_path / "mistyped.mp4").symlink_to("nowhere/film.mp4")
    (tmp_path / "file").touch()
    there = sorted(os.listdir(tmp_path))
    for name, complaint in (
        ("folder.mp4", "is a folder; it must be a regular file, or not be there yet"),
        ("fifo.mp4", "is no regular file; it must be a regular file"),
        ("link.mp4", "is no regular file; it must be a regular file"),
        ("circle.mp4", "Too many levels of symbolic links"),
        ("mistyped.mp4", "No such file or directory"),
        ("file/film.mp4", "Not a directory"),
    ):
        path = tmp_path / name
        with pytest.raises(OSError, match=complaint) as caught:
            check_replaceable(path)
        assert str(path) in str(caught.value)
        with pytest.raises(OSError, match=complaint) as caught, replaced_when_complete(path):
            pytest.fail("this would have been lost")
        assert str(path) in str(caught.value)
        with pytest.raises(OSError, match=complaint):
            replace_file(path, b"new")
    assert stat.S_ISFIFO(os.stat(tmp_path / "fifo.mp4").st_mode)
    assert sorted(os.listdir(tmp_path)) == there


def test_a_folder_that_takes_no_file_is_noticed_before_the_work(tmp_path, monkeypatch):
    check_replaceable(tmp_path / "new" / "folder" / "x.json")
    assert os.listdir(tmp_path) == []
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != tmp_path
    )  # root may write anywhere
    with pytest.raises(PermissionError) as caught:
        check_replaceable(tmp_path / "new" / "folder" / "x.json")
    assert caught.value.filename == str(tmp_path / "new" / "folder" / "x.json")


def test_what_goes_wrong_at_the_end_names_the_file_that_was_asked_for(tmp_path):
    path = tmp_path / "film.mp4"
    with pytest.raises(IsADirectoryError) as caught, replaced_when_complete(path):
        path.mkdir()
    assert caught.value.filename == str(path)
    assert caught.value.filename2 is None
    assert os.listdir(tmp_path) == ["film.mp4"]


def test_a_link_stays_and_the_file_that_it_names_is_replaced(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real.dat", tmp_path / "link.json"
    link.symlink_to("elsewhere/real.dat")
    for content in (b"there was none yet", b"new"):
        replace_file(link, content)
        assert link.is_symlink()
        assert not real.is_symlink()
        assert real.read_bytes() == content
    with suppress(RuntimeError), replaced_when_complete(link) as temporary:
        assert (temporary.parent, temporary.suffix) == (real.parent, ".json")
        temporary.write_text("half")
        raise RuntimeError
    assert real.read_bytes() == b"new"
    assert os.listdir(real.parent) == ["real.dat"]
    replace_file(link, b"own", follow_links=False)
    assert not link.is_symlink()
    assert (link.read_bytes(), real.read_bytes()) == (b"own", b"new")


def test_errors_name_the_file_but_keep_what_a_library_says(tmp_path):
    with pytest.raises(OSError, match="a library's own words"), naming(tmp_path / "x.webp"):
        raise OSError("a library's own words")
    with pytest.raises(OSError, match=r"No space.*x\.webp"), naming(tmp_path / "x.webp"):
        raise OSError(28, "No space left on device")


def test_what_killed_processes_left_is_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    files = {
        "dead": tmp_path / f".figure.{ended.pid}.png",
        "young": tmp_path / f".figure.{ended.pid}0000000.png",
        "alive": tmp_path / f".figure.{os.getppid()}.png",
        "another": tmp_path / f".figure-x.{ended.pid}.png",
        "users": tmp_path / ".figure.notes.png",
    }
    for name, file in files.items():
        file.touch()
        if name != "young":
            os.utime(file, (0, os.stat(file).st_mtime - 2 * FORGOTTEN_S))
    with replaced_when_complete(tmp_path / "figure.png") as temporary:
        temporary.touch()
    assert [name for name, file in files.items() if not file.exists()] == ["dead"]


def test_an_old_film_stays_until_there_is_a_whole_new_one(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_text("old")
    with suppress(ValueError), film(path, 15) as add:
        add(picture(FRAME))
        assert path.read_text() == "old"
        add(picture(FRAME[0, 0]))
    assert path.read_text() == "old"
    with film(path, 15) as add:
        add(picture(FRAME))
    assert path.stat().st_size > 100
    assert os.listdir(tmp_path) == ["film.mp4"]


def test_a_folder_that_was_removed_is_not_made_again(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"file\.txt"):
        replace_file(tmp_path / "gone" / "file.txt", b"new")
    assert os.listdir(tmp_path) == []


def test_a_film_needs_its_folder(tmp_path):
    with pytest.raises(FileNotFoundError), film(tmp_path / "nowhere" / "film.mp4", 15):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.slow  # starts processes
def test_sockets_of_a_killed_run_are_removed_at_the_next_start(tmp_path):
    """multiprocessing's sockets lie in a folder of the process's own, which goes with it."""
    program = (
        "import os, sys\n"
        "from multiprocessing.util import get_temp_dir\n"
        "from records.processes import name_socket_folder\n"
        "name_socket_folder()\n"
        "assert os.listdir() == [os.path.basename(get_temp_dir())], os.listdir()\n"
        "if sys.argv[1:]: os.kill(os.getpid(), 9)\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-c", program]
    killed = subprocess.run([*command, "kill"], cwd=tmp_path, env=environment)
    assert killed.returncode == -9
    (left,) = os.listdir(tmp_path)
    assert left.startswith(PREFIX)
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    assert os.listdir(tmp_path) == []
