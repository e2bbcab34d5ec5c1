"""Memory of a training run, and the time until it has learned for the first time.

    python -m benchmarks.memory_and_start [--json] [--updates 30] [SETTING ...]

Starts `train_agent.py agent=a2c aux=cpc` on room_watermaze (or with other settings, as key=value)
in a folder that vanishes, twice: the first time fills the engine's compile cache, the second is
measured. Printed are the seconds from the command to the first row of progress.csv, which follows
the first update, and the largest memory that the command and its worker processes were seen to
have until the last update, with shared memory counted in each process (resident) and once
(proportional). Linux only.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from agents.config import AgentConfig
from benchmarks.process_tree import Memory, memory_of_tree
from configs import compose_runs
from envs import FRAMES_PER_STEP

ROOT = Path(__file__).parent.parent
SETTINGS = ("env=room_watermaze", "agent=a2c", "aux=cpc")

MEMORY_INTERVAL = 0.25  # seconds


def run(settings: Sequence[str], updates: int) -> dict[str, float]:
    """Train for some updates; raises RuntimeError if the command fails."""
    (request,) = compose_runs(list(settings))
    if request.config is None:
        raise ValueError(request.error)
    assert isinstance(request.config.agent, AgentConfig)
    rollout = FRAMES_PER_STEP * request.config.env.num_envs * request.config.agent.unroll_length
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "train_agent.py",
            *settings,
            f"total_frames={updates * rollout}",
            "log.every_frames=1",  # a row after every update
            f"run_root={folder}",
        ]
        start = time.perf_counter()
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            first, peak = _watch(process, Path(folder), start)
            errors = process.stderr.read() if process.stderr else ""
        if process.returncode or first is None:
            raise RuntimeError(f"{' '.join(command)} failed:\n{errors}")
    return {
        "seconds_to_first_update": first,
        "resident_mib": peak.resident,
        "proportional_mib": peak.proportional,
        "processes": peak.processes,
    }


def _watch(
    process: subprocess.Popen[str], folder: Path, start: float
) -> tuple[float | None, Memory]:
    """When progress.csv got its first row, and the largest memory until the process ended."""
    first, peak, measured = None, Memory(0.0, 0.0, 0), -MEMORY_INTERVAL
    while process.poll() is None:
        now = time.perf_counter() - start
        if first is None and _has_row(folder):
            first = now
        if now - measured >= MEMORY_INTERVAL:
            peak, measured = peak.largest(memory_of_tree(process.pid)), now
        time.sleep(0.01)
    return first, peak


def _has_row(folder: Path) -> bool:
    """Whether there is a line below progress.csv's header."""
    return any(path.read_text().count("\n") > 1 for path in folder.rglob("progress.csv"))


def main(argv: list[str] | None = None) -> int:
    """Run twice, and print what the second run took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", default=SETTINGS, metavar="SETTING")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--updates", type=int, default=30, help="of the measured run (default 30)")
    arguments = parser.parse_args(argv)
    run(arguments.settings, updates=1)
    result = run(arguments.settings, arguments.updates)
    if arguments.json:
        print(json.dumps(result))
    else:
        print(
            f"{' '.join(arguments.settings)}: first update after "
            f"{result['seconds_to_first_update']:.1f} s, {result['processes']:.0f} processes with "
            f"at most {result['resident_mib']:,.0f} MiB resident, "
            f"{result['proportional_mib']:,.0f} MiB with shared memory counted once"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
