"""Let the disk be full at many sizes while a run starts, continues and is exported.

    python -m tests.campaigns.full_disk [--limits 12]

A limit on the size of files stands in for the disk: the kernel refuses the same writes. Right is
one sentence and a non-zero exit; no file that was there is damaged or lost, and with room again the
same command ends as if nothing had happened, to the bit. The exit code is the number of trials that
ended otherwise.
"""

import argparse
import contextlib
import resource
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import train_agent
from analysis import export
from records import checkpoint
from tests.campaigns.trial import (
    TINY,
    TOTAL_FRAMES,
    Outcome,
    attempt,
    equal,
    files_in,
    print_table,
    stop_at,
    vectors_for_levels,
    warm_up,
    without_figures,
)

SETTINGS = [*TINY, "aux=cpc", "agent.network.encoder=mlp", f"total_frames={TOTAL_FRAMES}"]
RUN = Path("runs/labsim/room_watermaze/a2c_laptop/cpc/seed_1")
STOPPED = 1080  # frames of the run that is continued


def limit_files(size: int) -> None:
    """Refuse to let a file of this process grow beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def campaign(limits: int) -> dict[str, Counter[str]]:
    """Count the verdicts at so many sizes, by command."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name), vectors_for_levels():
        warm_up(SETTINGS)
        with without_figures():
            assert attempt(train_agent.main, SETTINGS, lambda: stop_at(STOPPED)).code == 143
            shutil.copytree("runs", "stopped")
            assert attempt(train_agent.main, SETTINGS).code == 0
        Path("runs").rename("whole")
        largest = max(map(len, files_in(Path("whole")).values()))
        for i in range(limits):
            size = int(largest ** ((i + 0.5) / limits))  # from one byte on, evenly in its logarithm
            for command in ("start", "continue", "export"):
                rows[command][_trial(command, size)] += 1
    return rows


def _trial(command: str, size: int) -> str:
    """Run a command while files may have `size` bytes only; return the verdict."""
    shutil.rmtree("runs", ignore_errors=True)
    shutil.rmtree("out", ignore_errors=True)
    if command != "start":
        shutil.copytree("stopped" if command == "continue" else "whole", "runs")
    before = files_in(Path("runs"))
    main: Callable[..., int] = export.main if command == "export" else train_agent.main
    arguments = [str(RUN), "--out", "out"] if command == "export" else SETTINGS
    with without_figures():
        outcome = attempt(main, arguments, lambda: limit_files(size))
        changes = command != "export"
        if outcome.verdict != "MISHANDLED" and (why := _what_is_lost(before, changes)):
            outcome = Outcome(1, ["lost:", why])
        if outcome.verdict == "refused" and command != "export":
            again = attempt(train_agent.main, SETTINGS)
            if again.code != 0 or not _is_whole():
                outcome = Outcome(again.code or 1, ["does not continue:", *again.said])
    if outcome.verdict == "MISHANDLED":
        said = " / ".join(outcome.said[-3:])
        print(f"{command}, {size} bytes: exit {outcome.code}: {said}", flush=True)
    return outcome.verdict


def _what_is_lost(before: dict[Path, bytes], changes: bool) -> str:
    """Name a file that was there and is neither as it was nor longer nor a newer whole one.

    Of tables that a run `changes` the first line stays: rows beyond its checkpoint are cut.
    """
    for path, content in before.items():
        if not path.exists():
            return f"{path} is gone"
        stays = content[: content.find(b"\n") + 1] if changes else content
        if path.suffix == ".csv" and not path.read_bytes().startswith(stays):
            return f"{path} is damaged"
    if (RUN / checkpoint.NAME).exists():
        checkpoint.load(RUN / checkpoint.NAME)
    return ""


def _is_whole() -> bool:
    runs = (RUN, "whole" / RUN.relative_to("runs"))
    return equal(*(checkpoint.load(run / checkpoint.NAME)["learner"] for run in runs))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limits", type=int, default=12, help="sizes to try")
    return print_table(campaign(parser.parse_args(argv).limits))


if __name__ == "__main__":
    sys.exit(main())
