"""What it costs to share a run: ranks of one thread against one process of as many threads.

    python -m benchmarks.ranks [--ranks 2] [--rounds 5] [--json FILE]

Measured, in processes that take turns, so that a change of the machine's speed meets all of them;
printed are medians over rounds:

- the speed of `--ranks` ranks of one thread (torchrun, gloo, loopback) and of one process of as
  many threads, which both train a2c on room_watermaze without an auxiliary loss;
- bytes and milliseconds of the gradient's all-reduce among those ranks, of the shallow and the deep
  network, with and without CPC's maps, and what part of the shallow network's update that is;
- the seconds of an update of one rank of one thread, with few and with all of 32 environments.

Predicted, of ranks with one core of this machine each: the efficiency T_1 / (N T_N) of N ranks,
where an update of B environments takes

    T_N = a + b B/N + 2 (N-1) (s/(N w) + l)

a and b are fitted to the measured updates; the last term is a ring all-reduce of s bytes over links
of w bytes per second, each of whose 2 (N-1) steps begins after the latency l, taken as 50 us. With
CPC only the bytes are its own, not the time of its products.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from agents.devices import prepare_cpu
from agents.parallel.ranks import Ranks
from agents.parallel.torchrun import join_ranks
from benchmarks.machine import machine_line
from benchmarks.train_speed import build_learner, seconds_per_block

NUM_ENVS = 32  # of the preset a2c
FEW_ENVS = 4  # the other point of the line a + b B
LATENCY_S = 50e-6
RANKS = (2, 4, 8, 16, 32, 64)
BATCHES = (32, 256, 2048)  # environments, of all ranks
GBITS = (10, 100)
REPEATS = 21  # all-reduces
DEEP = "agent.network.encoder=deep"


def measure(threads: int, aux: str, blocks: int, settings: Sequence[str]) -> None:
    """In a process of its own, or as one of torchrun's ranks: print one JSON object."""
    prepare_cpu(threads)
    with join_ranks() as ranks:
        learner, config = build_learner("a2c", aux, threads, settings, ranks=ranks)
        seconds_per_block(learner)  # warm-up
        speeds = []
        for _ in range(blocks):
            seconds, steps = seconds_per_block(learner)
            speeds.append(steps / seconds)
        parameters = [
            *learner.agent.parameters(),
            *(learner.aux.parameters() if learner.aux else ()),
        ]
        found = {
            "steps_per_s": statistics.median(speeds),
            "steps_per_update": config.env.num_envs * learner.config.unroll_length,
            "bytes": sum(4 * p.numel() for p in parameters),
            "all_reduce_s": all_reduce_seconds(ranks, parameters),
        }
        learner.close()
        if ranks.is_first:
            print(json.dumps(found))


def all_reduce_seconds(ranks: Ranks, parameters: Sequence[torch.Tensor]) -> float:
    """The median time of one sum over the ranks of what is as large as the parameters."""
    gradients = [torch.zeros_like(p) for p in parameters]
    seconds = []
    for _ in range(REPEATS):
        ranks.all_reduce_max(0)  # all begin at once
        start = time.perf_counter()
        ranks.all_reduce_(gradients)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def run(*settings: str, aux: str = "none", ranks: int = 1, threads: int = 1) -> dict[str, float]:
    """What `measure` finds, as so many ranks, or as one process without torchrun."""
    launcher = [sys.executable]
    if ranks > 1:
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        launcher += ["--nproc-per-node", str(ranks)]
    command = [*launcher, "-m", "benchmarks.ranks", "--measure", "--threads", str(threads)]
    result = subprocess.run(
        [*command, "--aux", aux, *settings],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr}")
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def seconds_of_update(found: dict[str, float]) -> float:
    """Collecting a rollout and learning from it."""
    return found["steps_per_update"] / found["steps_per_s"]


def predicted_efficiency(
    num_ranks: int, num_envs: int, gbits: float, size: float, fixed_s: float, per_env_s: float
) -> float | None:
    """T_1 / (N T_N) as above; None where there are more ranks than environments."""
    if num_ranks > num_envs:
        return None
    alone = fixed_s + per_env_s * num_envs
    largest = -(-num_envs // num_ranks)  # the rank that the others wait for
    ring = 2 * (num_ranks - 1) * (size / num_ranks / (gbits * 1e9 / 8) + LATENCY_S)
    return alone / num_ranks / (fixed_s + per_env_s * largest + ring)


def compare(num_ranks: int, rounds: int) -> dict[str, Any]:
    """All that is measured, medians over rounds."""
    names = ("ranks", "threads", "ranks_cpc", "deep", "deep_cpc", "few", "many")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    few = f"env.num_envs={FEW_ENVS}"
    for _ in range(rounds):
        found["ranks"].append(run(ranks=num_ranks))
        found["threads"].append(run(threads=num_ranks))
        found["few"].append(run(few))
        found["many"].append(run())
    for name, aux, settings in (
        ("ranks_cpc", "cpc", [few]),
        ("deep", "none", [few, DEEP]),
        ("deep_cpc", "cpc", [few, DEEP]),
    ):  # of these the all-reduce alone
        found[name].append(run(*settings, aux=aux, ranks=num_ranks))
    return {
        name: {key: statistics.median(r[key] for r in runs) for key in runs[0]}
        for name, runs in found.items()
    }


def report(found: dict[str, Any], num_ranks: int) -> str:
    """The measured and the predicted, as markdown."""
    ranks, threads = found["ranks"], found["threads"]
    few, many = (seconds_of_update(found[name]) for name in ("few", "many"))
    per_env_s = (many - few) / (NUM_ENVS - FEW_ENVS)
    fixed_s = many - per_env_s * NUM_ENVS
    update_s = seconds_of_update(ranks)
    share = ranks["all_reduce_s"] / update_s
    lines = [
        machine_line(),
        "",
        f"{num_ranks} ranks of one thread: {ranks['steps_per_s']:,.0f} agent steps/s; "
        f"one process of {num_ranks} threads: {threads['steps_per_s']:,.0f}; "
        f"ratio {ranks['steps_per_s'] / threads['steps_per_s']:.3f}.",
        f"The all-reduce is {100 * share:.2f} % of an a2c update of {update_s:.2f} s.",
        f"One thread: an update takes {fixed_s:.3f} s + {per_env_s:.4f} s per environment.",
        "",
        "| gradient | MB | ms |",
        "|---|---|---|",
    ]
    sizes = {
        "shallow": ranks,
        "shallow + CPC": found["ranks_cpc"],
        "deep": found["deep"],
        "deep + CPC": found["deep_cpc"],
    }
    for name, r in sizes.items():
        lines.append(f"| {name} | {r['bytes'] / 1e6:.1f} | {1e3 * r['all_reduce_s']:.1f} |")
    lines += ["", "Predicted efficiency, not measured:", ""]
    lines.append(f"| network | environments | Gbit/s | {' | '.join(map(str, RANKS))} ranks |")
    lines.append("|---" * (3 + len(RANKS)) + "|")
    for name, envs, gbits in itertools.product(("shallow", "shallow + CPC"), BATCHES, GBITS):
        values = [
            predicted_efficiency(n, envs, gbits, sizes[name]["bytes"], fixed_s, per_env_s)
            for n in RANKS
        ]
        cells = " | ".join("-" if value is None else f"{value:.2f}" for value in values)
        lines.append(f"| {name} | {envs:,} | {gbits} | {cells} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Measure, and print a report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ranks", type=int, default=2, help="and threads (default 2)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind (default 5)")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--aux", default="none", help=argparse.SUPPRESS)
    parser.add_argument("--blocks", type=int, default=3, help=argparse.SUPPRESS)
    parser.add_argument("settings", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.measure:
        measure(arguments.threads, arguments.aux, arguments.blocks, arguments.settings)
        return 0
    found = compare(arguments.ranks, arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    print(report(found, arguments.ranks))
    return 0


if __name__ == "__main__":
    sys.exit(main())
