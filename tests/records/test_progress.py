"""What a run shows."""

import io

import pytest
from rich.console import Console

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
    display.show({"frames": frames[-1], "frames_per_second": 9760.0}, None)
    assert capsys.readouterr().out.endswith(f"| {left} left\n")


ROW = {"frames": 17_000, "frames_per_second": 9760.4}
FRAMES = "17,000 of 993,000 frames | 9,760 frames/s"


@pytest.mark.parametrize(
    ("random_return", "recent_return", "shown"),
    [
        (0.78, 3.5, "return 3.50 (random policy 0.78)"),
        (-0.11, None, "return none yet (random policy -0.11)"),
        (None, 3.0, "return 3.00"),
    ],
)
def test_a_line_names_the_run_and_what_a_random_policy_earns(
    random_return, recent_return, shown, capsys
):
    display = ProgressDisplay("maze cpc seed 3", 993_000, 0, random_return)
    display.show(ROW, recent_return)
    assert capsys.readouterr().out == f"maze cpc seed 3 | {FRAMES} | {shown} | 2 min left\n"


@pytest.mark.parametrize(("width", "separator"), [(97, " | "), (61, "\n")])
def test_a_narrow_terminal_breaks_between_speed_and_return(width, separator):
    terminal = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    with ProgressDisplay("maze", 993_000, 0, 0.78, terminal) as display:
        display.show(ROW, 3.5)
    lines = [line.rstrip() for line in terminal.file.getvalue().splitlines()]
    assert f"{FRAMES}{separator}return 3.50 (random policy 0.78) | 2 min left" in "\n".join(lines)
