"""Files that appear whole or not at all: any, and films."""

import os
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

from records.animation import film
from records.processes import PREFIX
from records.video import picture
from records.whole_files import FORGOTTEN_S, naming, replace_file, replaced_when_complete

FRAME = np.zeros((12, 16, 3), np.uint8)


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "figure.png"
    path.write_text("old")
    with suppress(RuntimeError), replaced_when_complete(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["figure.png"]


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
