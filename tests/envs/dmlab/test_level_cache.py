import logging
import os
import resource
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from envs.dmlab import LevelCache

MAP = bytes(range(256)) * 4099
ROOT = Path(__file__).parents[3]

WRITE = """
import sys
from contextlib import contextmanager
from pathlib import Path
from envs.dmlab.level_cache import LevelCache
LevelCache(Path(sys.argv[1])).write("key", sys.argv[2])
"""


@pytest.fixture
def pk3(tmp_path):
    """Where DeepMind Lab wants a map, with a compiled map in it."""
    path = tmp_path / "maze.pk3"
    path.write_bytes(MAP)
    return path


@contextmanager
def full_disk():
    """No file can grow beyond 1,000 bytes, pytest's own output included: keep it short."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_one_process_wrote_another_fetches(tmp_path, pk3):
    writer, reader = LevelCache(tmp_path / "cache"), LevelCache(tmp_path / "cache")
    place = tmp_path / "fetched.pk3"
    assert reader.fetch("maze_noaas_1", str(place)) is False
    assert not place.exists()
    writer.write("maze_noaas_1", str(pk3))
    assert reader.fetch("maze_noaas_1", str(place)) is True
    assert place.read_bytes() == MAP
    assert reader.fetch("maze_aas_1", str(place)) is False
    assert len(list((tmp_path / "cache").iterdir())) == 1  # and no copies left over


@pytest.mark.parametrize("key", ["../outside", "a/b", "", "ä" * 999, ".", "nul\0"])
def test_any_key_becomes_a_file_in_the_folder(tmp_path, pk3, key):
    cache = LevelCache(tmp_path / "cache")
    cache.write(key, str(pk3))
    assert cache.fetch(key, str(tmp_path / "fetched.pk3"))
    assert len(list((tmp_path / "cache").glob("*.pk3"))) == 1


def test_files_follow_the_umask_so_that_users_can_share(tmp_path, pk3):
    before = os.umask(0o022)
    try:
        LevelCache(tmp_path / "cache").write("key", str(pk3))
    finally:
        os.umask(before)
    (file,) = (tmp_path / "cache").iterdir()
    assert file.stat().st_mode & 0o777 == 0o644


class SlowWriter:
    """A process that writes MAP, each byte plus `shift`, and cannot go on before it is let."""

    def __init__(self, folder, cache, shift):
        self.content = bytes((byte + shift) % 256 for byte in MAP)
        path = folder / f"{shift}.pipe"
        os.mkfifo(path)
        command = [sys.executable, "-c", WRITE, str(cache), str(path)]
        self.process = subprocess.Popen(command, cwd=ROOT)
        self._pipe = path.open("wb", buffering=0)  # waits for the process to read
        self._pipe.write(self.content[: len(MAP) // 2])

    def finish(self):
        self._pipe.write(self.content[len(MAP) // 2 :])
        self._pipe.close()
        assert self.process.wait(60) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._pipe.close()


@pytest.fixture
def writers(tmp_path):
    """Three that are in the middle of writing the same map."""
    started = [SlowWriter(tmp_path, tmp_path / "cache", shift) for shift in (1, 3, 7)]
    yield started
    for writer in started:
        writer.kill()


def test_processes_that_write_one_map_at_once_never_show_half_of_it(tmp_path, writers):
    cache, place = tmp_path / "cache", tmp_path / "fetched.pk3"
    reader = LevelCache(cache)
    deadline = time.monotonic() + 30
    while sum(path.stat().st_size > 0 for path in cache.glob("*")) < len(writers):
        assert time.monotonic() < deadline, "each should have written something somewhere"
        time.sleep(0.01)
    assert not reader.fetch("key", str(place))
    for writer in writers[:2]:
        writer.finish()
        assert reader.fetch("key", str(place))
        assert place.read_bytes() == writer.content
    writers[2].kill()
    assert reader.fetch("key", str(place))
    assert place.read_bytes() == writers[1].content


def test_full_disk_is_said_once_and_costs_only_time(tmp_path, pk3, caplog):
    cache = LevelCache(tmp_path / "cache")
    with caplog.at_level(logging.WARNING), full_disk():
        cache.write("key", str(pk3))
        cache.write("key", str(pk3))
    assert [record.message.split(":")[0] for record in caplog.records] == [
        f"The level cache {tmp_path / 'cache'} does not work"
    ]
    assert list((tmp_path / "cache").iterdir()) == []
    assert cache.fetch("key", str(tmp_path / "fetched.pk3")) is False


def test_half_a_copy_is_not_left_for_the_engine(tmp_path, pk3):
    cache = LevelCache(tmp_path / "cache")
    cache.write("key", str(pk3))
    place = tmp_path / "fetched.pk3"
    with full_disk():
        assert cache.fetch("key", str(place)) is False
    assert not place.exists()


def test_folder_that_cannot_be_made(tmp_path, pk3, caplog):
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        cache = LevelCache(tmp_path / "file" / "cache")
        cache.write("key", str(pk3))
        assert cache.fetch("key", str(tmp_path / "fetched.pk3")) is False
    assert len(caplog.records) == 1


def test_folder_that_is_deleted_meanwhile(tmp_path, pk3):
    cache = LevelCache(tmp_path / "cache")
    cache.write("key", str(pk3))
    shutil.rmtree(tmp_path / "cache")
    assert cache.fetch("key", str(tmp_path / "fetched.pk3")) is False
    cache.write("key", str(pk3))
    assert cache.fetch("key", str(tmp_path / "fetched.pk3")) is True


def test_only_its_own_copies_are_deleted_when_old(tmp_path, writers):
    cache = tmp_path / "cache"
    deadline = time.monotonic() + 30
    while len(copies := list(cache.glob("*.tmp"))) < len(writers):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for writer in writers:
        writer.kill()
    users = [cache / name for name in ("thesis.tmp", "0123.7-11.tmp", f"{'ab' * 32}.tmp")]
    for path in users:
        path.write_bytes(b"the only copy")
    for path in [*users, *copies[1:]]:
        os.utime(path, (time.time() - 3700,) * 2)
    os.utime(copies[0], (time.time() - 3500,) * 2)
    LevelCache(cache)
    assert sorted(cache.iterdir()) == sorted([*users, copies[0]])
