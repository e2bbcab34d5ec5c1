"""Damage every file of a run's folder, continue the run, evaluate it and draw its figure.

    python -m tests.campaigns.damaged_files [--trials 4] [--worlds vectors room_watermaze]

Each file has bits flipped, is cut short, emptied, filled with noise or removed, or holds other
things of the right format: a checkpoint with a part left out or replaced and a checksum that fits.
Right is one sentence and a non-zero exit, or to go on; as if nothing were wrong where the damage
does not matter. The exit code is the number of trials that ended otherwise. Ctrl-C ends it with the
table of the trials until then.
"""

import argparse
import contextlib
import math
import random
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

import evaluate
import train_agent
from analysis import curves
from records import checkpoint
from tests.campaigns.trial import (
    TINY,
    TOTAL_FRAMES,
    Outcome,
    attempt,
    equal,
    print_table,
    stop_at,
    vectors_for_levels,
    warm_up,
    without_figures,
)

RUN = Path("runs/labsim/room_watermaze/a2c_laptop/cpc/seed_1")
WORLDS = {"vectors": "mlp", "room_watermaze": "shallow"}  # and the encoder of each
STOPPED = 1080  # frames, after which the run is damaged: between two rows and two checkpoints
Damage = Callable[[Path, random.Random], None]


def flip_bit(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def cut_short(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def fill_with_noise(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(path.stat().st_size))


def forget_the_end(path: Path, rng: random.Random) -> None:
    """What a power failure leaves of pages that were not written out."""
    content = path.read_bytes()
    keep = rng.randrange(len(content))
    path.write_bytes(content[:keep] + bytes(len(content) - keep))


def insert_line(path: Path, rng: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    odd = rng.choice([b"nonsense\n", b"\xff\xfe,\n", b"7" * 5000 + b"\n", b",,,,,,\n", b"[" * 2000])
    lines.insert(rng.randrange(len(lines) + 1), odd)
    path.write_bytes(b"".join(lines))


def empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def remove(path: Path, rng: random.Random) -> None:
    path.unlink()


def make_folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def odd_content(path: Path, rng: random.Random) -> None:
    """Leave out or replace a part of a checkpoint; its checksum fits."""
    state = checkpoint.load(path)
    holder, key = rng.choice([place for place in _parts(state) if place[1] != "version"])
    odd = _odd_values(holder[key], rng)
    if isinstance(holder, dict) and rng.random() < 0.1:
        del holder[key]
    else:
        holder[key] = rng.choice(odd)
    checkpoint.save(path, state)


def _parts(state: Any) -> Iterator[tuple[Any, Any]]:
    """Every (dict or list, key or index) in `state`."""
    keys = list(state) if isinstance(state, dict) else range(len(state))
    for key in keys:
        yield state, key
        if isinstance(state[key], dict | list):
            yield from _parts(state[key])


def _odd_values(value: Any, rng: random.Random) -> list[Any]:
    odd: list[Any] = [None, "text", [], {}, -1, 2**70, 0.5, math.nan, torch.zeros(2, 3)]
    if isinstance(value, torch.Tensor) and value.numel():
        extremes: list[float] = [-7, 10**6]
        if value.is_floating_point():
            extremes += [math.nan, math.inf, 1e30]
        elif value.dtype not in (torch.bool, torch.uint16, torch.uint32, torch.uint64):
            extremes = [torch.iinfo(value.dtype).min, torch.iinfo(value.dtype).max]
        for extreme in extremes:
            changed = value.clone()
            with contextlib.suppress(RuntimeError):  # no such number of this type
                changed.view(-1)[rng.randrange(value.numel())] = extreme
                odd.append(changed)
        odd += [value[None], value.reshape(-1)[:1], value.to(torch.float64)]
    return odd


DAMAGES: dict[str, tuple[Damage, ...]] = {
    "latest.pt": (flip_bit, cut_short, fill_with_noise, forget_the_end, empty, remove, make_folder)
    + (odd_content,) * 8,
    "config.yaml": (flip_bit, cut_short, fill_with_noise, insert_line, empty, remove, make_folder),
    "lock": (flip_bit, fill_with_noise, remove),
    "events": (flip_bit, cut_short, fill_with_noise, empty, remove),
}
DAMAGES |= dict.fromkeys(
    ("progress.csv", "episodes.csv", "aux_by_horizon.csv"),
    (flip_bit, cut_short, fill_with_noise, forget_the_end, insert_line, empty, remove, make_folder),
)


def settings_of(world: str) -> list[str]:
    encoder = f"agent.network.encoder={WORLDS[world]}"
    return [*TINY, "aux=cpc", encoder, f"total_frames={TOTAL_FRAMES}"]


def campaign(
    worlds: Sequence[str], trials: int, seed: int = 0, sample: int | None = None
) -> dict[str, Counter[str]]:
    """Count the verdicts of `trials` trials of each damage in each world, by file and command.

    `sample`: so many of these trials only.
    """
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    rng = random.Random(seed)
    with contextlib.suppress(KeyboardInterrupt):  # after Ctrl-C, what has been counted by then
        for world in worlds:
            for file, command, verdict in _trials(world, trials, rng, sample):
                rows[f"{world} {file}: {command}"][verdict] += 1
    return rows


def _trials(
    world: str, trials: int, rng: random.Random, sample: int | None
) -> Iterator[tuple[str, str, str]]:
    """Yield (file, command, verdict) of the trials in one world."""
    cases = [(file, damage) for file in DAMAGES for damage in DAMAGES[file] * trials]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(name))
        if world == "vectors":
            stack.enter_context(vectors_for_levels())
        _make_runs(settings_of(world))
        for file, damage in cases if sample is None else rng.sample(cases, sample):
            for command, verdict in _trial(world, file, damage, rng):
                yield file, command, verdict


def _make_runs(settings: list[str]) -> None:
    """Make the run to damage, `stopped`, and what becomes of it undamaged, `whole`."""
    warm_up(settings)
    with without_figures():
        outcome = attempt(train_agent.main, settings, prepare=lambda: stop_at(STOPPED))
        assert outcome.code == 143, outcome
        shutil.copytree("runs", "stopped")
        outcome = attempt(train_agent.main, settings)
        assert outcome.code == 0, outcome
    Path("runs").rename("whole")


def _trial(world: str, file: str, damage: Damage, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Damage a copy of the stopped run; yield each command and its verdict."""
    shutil.rmtree("runs", ignore_errors=True)
    shutil.copytree("stopped", "runs")
    found = [path for path in RUN.iterdir() if path.name.startswith(file)]
    if not found:
        return  # so short a run in a level has no finished episode
    damage(found[0], rng)
    commands: list[tuple[str, Callable[..., int], list[str]]] = [
        ("evaluate", evaluate.main, [str(RUN), "episodes=3"]),
        ("curves", curves.main, [str(RUN), "--out", "figure.png"]),
        ("train", train_agent.main, settings_of(world)),
    ]
    for name, main, arguments in commands:
        if name == "curves" and not file.endswith(("csv", "yaml")):
            continue
        with without_figures():
            outcome = attempt(main, arguments)
        verdict = outcome.verdict
        if name == "train" and verdict == "done":
            verdict = "done, equal" if _is_equal() else "done, with that content"
        if verdict == "MISHANDLED":
            _report(file, damage, name, outcome)
        yield name, verdict


def _is_equal() -> bool:
    states = [
        checkpoint.load(root / RUN.relative_to("runs") / "latest.pt")["learner"]
        for root in (Path("runs"), Path("whole"))
    ]
    return equal(*states)


def _report(file: str, damage: Damage, command: str, outcome: Outcome) -> None:
    said = " / ".join(outcome.said[-3:])
    print(f"{file}, {damage.__name__}, {command}: exit {outcome.code}: {said}", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=4, help="of each damage")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sample", type=int, help="so many trials in each world, not all")
    arguments = parser.parse_args(argv)
    return print_table(
        campaign(arguments.worlds, arguments.trials, arguments.seed, arguments.sample)
    )


if __name__ == "__main__":
    sys.exit(main())
