import json
import mmap
import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import memory_and_start
from benchmarks.memory_and_start import run
from benchmarks.process_tree import Memory, descendants, memory_of_tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")


def test_memory_of_this_process_and_its_children_counts():
    before = memory_of_tree(os.getpid())
    # Pages of the kernel's: other tests may have left freed memory that an array would be given.
    held = np.frombuffer(mmap.mmap(-1, 37 * 2**20), np.uint8)
    held[:] = 1
    with_held = memory_of_tree(os.getpid())
    assert 36 < with_held.resident - before.resident < 60
    program = f"held = bytearray(b'1') * {len(held)}; print(); input()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert child.pid in descendants(os.getpid())
        with_child = memory_of_tree(os.getpid())
        child.communicate(b"\n")
    assert with_child.processes == with_held.processes + 1
    assert 36 < with_child.resident - with_held.resident < 80
    assert with_child.proportional <= with_child.resident


def test_largest_of_each_number():
    assert Memory(2.0, 5.0, 3).largest(Memory(7.0, 1.0, 3)) == Memory(7.0, 5.0, 3)


def test_a_run_is_started_and_measured():
    settings = ("env=room_watermaze", "agent=a2c", "aux=none", "threads=1")
    result = run((*settings, "env.num_envs=3", "agent.unroll_length=5"), updates=2)
    assert 0.5 < result["seconds_to_first_update"] < 300
    assert 150 < result["resident_mib"] < 2000


def test_a_run_that_fails_is_reported():
    with pytest.raises(ValueError, match="threads is 5"):
        run(("env=room_watermaze", "threads=5", "env.num_envs=3"), updates=1)
    with pytest.raises(RuntimeError, match="There is no checkpoint nowhere"):
        run(("env=room_watermaze", "start_from=nowhere", "env.num_envs=3"), updates=1)


def test_json(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(
        memory_and_start, "run", lambda settings, updates: calls.append(updates) or {"n": updates}
    )
    memory_and_start.main(["--json", "--updates", "7"])
    assert json.loads(capsys.readouterr().out) == {"n": 7}
    assert calls == [1, 7]
