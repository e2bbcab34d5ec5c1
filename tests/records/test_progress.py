"""What a run shows."""

import pytest

from records import progress
from records.progress import ProgressDisplay


@pytest.mark.parametrize(
    ("frames", "left"), [((7_000, 17_000), "498 s"), ((17_000,), "100 s")], ids=["two", "one"]
)
def test_time_left_leaves_out_the_first_update(frames, left, monkeypatch, capsys):
    """It compiles. Where there is nothing else, the row's speed has to do."""
    seconds = [100.0, 105.1] if len(frames) > 1 else [100.0]
    clock = iter(seconds)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(progress, "duration", lambda s: f"{s:.0f} s")
    display = ProgressDisplay("a run", 993_000, 0)
    for count in frames:
        display.advance(count)
    display.show({"frames": frames[-1], "frames_per_second": 9760.0}, [])
    assert capsys.readouterr().out.endswith(f"| {left} left\n")
