"""A program that works only while it is waited for."""

import sys
import time

import pytest

from benchmarks.peers.paused import PausedProcess

COUNT = "import time\nfor i in range(10**6):\n    print(i, flush=True)\n    time.sleep(0.01)"


def test_it_stands_still_between_two_waits(tmp_path):
    process = PausedProcess([sys.executable, "-c", COUNT], tmp_path)
    process.wait_for("3")
    time.sleep(0.3)
    start = time.perf_counter()
    process.wait_for("13")  # had it gone on, this line would be there at once
    assert time.perf_counter() - start > 0.05
    process.close()
    assert process._process.returncode != 0


def test_one_that_ends_is_named_with_its_last_words(tmp_path):
    process = PausedProcess([sys.executable, "-c", "exit('no such level')"], tmp_path)
    with pytest.raises(RuntimeError, match="ended, or took 300 s: no such level"):
        process.wait_for("learned")
