"""Kill trainings at random moments, continue them, and compare with one that was not killed.

    python -m tests.campaigns.kills [--kills 60] [--worlds labsim pool sb3]

The kills (SIGKILL, which no program can answer) are shared out to the worlds: our agent in labsim
with two shards, our agent in a pool of worker processes, Stable-Baselines3's in labsim. After the
last one the run is stopped politely, at whatever frame it has come to. Right is a checkpoint and
rows that are equal to the bit to those of a run that was stopped there and nowhere else. A pool
cannot save running episodes: there the other run is stopped wherever the first one was continued.
The exit code is the number of worlds that differ.
"""

import argparse
import contextlib
import csv
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import train_agent
from records import checkpoint
from records.settings import read_config
from tests.campaigns.trial import attempt, equal, stop_at

ROOT = Path(__file__).resolve().parents[2]
COMMON = (
    "env.num_envs=3",
    "device=cpu",
    "total_frames=1e9",
    "log.every_frames=300",
    "log.checkpoint_frames=420",
    "log.checkpoint_minutes=0.01",
)
OURS = ("agent.network.hidden_size=11", "agent.unroll_length=5", "aux=cpc", "aux.horizon=2")
WORLDS = {
    "labsim": ("env=room_watermaze", "agent.network.encoder=shallow", "threads=2", *OURS),
    "pool": ("env=gymnasium", "env.id=CartPole-v1", "threads=2", *OURS),
    "sb3": ("env=room_watermaze", "agent=sb3_a2c", "agent.n_steps=5", "threads=1"),
}
TABLES = ("progress.csv", "episodes.csv", "aux_by_horizon.csv")
CLOCK = {"seconds", "frames_per_second"}
LONGEST_S = 2.0  # from a start's first line, or its first log row, to its kill
EARLY = 0.25  # the part of the kills that comes before a row, or where there would have been one


def start(settings: Sequence[str], until: str) -> subprocess.Popen[str]:
    """Start the command and wait for a line with the text `until`."""
    command = [sys.executable, str(ROOT / "train_agent.py"), *settings]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if until in line:
            return process
    raise RuntimeError(f"exit code {process.wait()}: {''.join(lines)}")


def train_and_kill(settings: Sequence[str], kills: int, rng: random.Random) -> Path:
    """Kill a run `kills` times and stop it at last; return its folder."""
    for _ in range(kills):
        with start(
            settings, until=" on cpu, " if rng.random() < EARLY else " frames | "
        ) as process:
            time.sleep(rng.uniform(0, LONGEST_S))
            process.kill()
    with start(settings, until=" frames | ") as process:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=600)
    if process.returncode != 143:
        raise RuntimeError(f"exit code {process.returncode}: {said}")
    (config,) = Path("runs").rglob("config.yaml")
    return config.parent


def train_undisturbed(settings: Sequence[str], stops: Sequence[int]) -> None:
    """Train a run of the same settings that is stopped at `stops` only, below whole/."""
    for frames in stops:
        outcome = attempt(
            train_agent.main,
            [*settings, "run_root=whole", "log.checkpoint_minutes=60"],
            prepare=lambda frames=frames: stop_at(frames),  # type: ignore[misc]
            timeout_s=1200,
        )
        if outcome.code != 143:
            raise RuntimeError(f"exit code {outcome.code}: {outcome.said}")


def differences(killed: Path, whole: Path) -> list[str]:
    """The files in which two runs differ, the clock aside."""
    states = [checkpoint.load(run / checkpoint.NAME)["learner"] for run in (killed, whole)]
    different = [] if equal(*states) else [checkpoint.NAME]
    for name in TABLES:
        if _rows(killed / name) != _rows(whole / name):
            different.append(name)
    return different


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [{k: v for k, v in row.items() if k not in CLOCK} for row in csv.DictReader(file)]


def campaign(worlds: Sequence[str], kills: int, seed: int = 0) -> dict[str, str]:
    """Kill a run in each world, `kills` times in all; return what came of it."""
    rng, results = random.Random(seed), {}
    for i, world in enumerate(worlds):
        settings = [*COMMON, *WORLDS[world]]
        share = kills * (i + 1) // len(worlds) - kills * i // len(worlds)
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            run = train_and_kill(settings, share, rng)
            end = checkpoint.load(run / checkpoint.NAME)["learner"]["frames"]
            starts = sorted({entry["frames"] for entry in read_config(run)["starts"]} - {0, end})
            train_undisturbed(settings, [*(starts if world == "pool" else []), end])
            different = differences(run, Path("whole") / run.relative_to("runs"))
        result = f"differs in {', '.join(different)}" if different else "equal to the bit"
        results[world] = (
            f"{share} kills, {len(starts)} places continued from, {end:,} frames: " + result
        )
        print(f"{world}: {results[world]}", flush=True)
    return results


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=60, help="in all worlds together")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    results = campaign(arguments.worlds, arguments.kills, arguments.seed)
    return sum("differs" in result for result in results.values())


if __name__ == "__main__":
    sys.exit(main())
