"""Other libraries' agents and environments beside ours, in one run.

    python -m benchmarks.peers [--json] [--blocks 7] [--threads N] [--out FOLDER]

Agents train on labsim's room_watermaze with IMPALA's shallow encoder, 32 environments and 100 steps
between updates, each sample in one gradient pass, in alternating blocks of one process, so that a
change of the machine's speed meets all. All get the same preparation: `agents.devices.prepare_cpu`
(threads, float32 product, memory), denormal numbers as 0, and an engine that steps the batch with
as many threads. What differs: ours also feeds last action and reward to the LSTM, and each agent
has its library's loss and optimiser. Sample Factory stays asynchronous, in processes of its own
that are held while others are timed. Environments make pictures under random actions, on one core;
the real DeepMind Lab is a recorded figure.

Printed are medians over blocks, and how many times as fast as each ours is: the median of the
blocks' ratios. What is not installed is left out, with a line that says what to install:
`pip install -c constraints-3.11.txt -e ".[peers]"` for all. --out writes table and figure, with the
machine.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

import torch

from agents.devices import available_cores, prepare_cpu
from benchmarks.machine import machine_line
from benchmarks.peers import environments
from benchmarks.peers.environments import ENVIRONMENTS, RECORDED_DEEPMIND_LAB
from benchmarks.peers.report import Row, markdown, write_report
from benchmarks.peers.setting import Peer, Size, Trainer

STEPS_PER_BLOCK = 6400
ENVIRONMENT_STEPS_PER_BLOCK = 1600


def _late(module: str, function: str) -> Callable[[Size], Trainer]:
    """The builder of a module that is imported only when its agent is built."""

    def build(size: Size) -> Trainer:
        builder = getattr(import_module(f"benchmarks.peers.{module}"), function)
        trainer: Trainer = builder(size)
        return trainer

    return build


PEERS = {
    "ours": Peer("ours, A2C", "LSTM 256", None, 1, _late("ours", "build_a2c")),
    "ours_cpc": Peer("ours, A2C + CPC", "LSTM 256", None, 1, _late("ours", "build_cpc")),
    "sb3_a2c": Peer("Stable-Baselines3 A2C", "none", None, 1, _late("sb3", "build_a2c")),
    "sb3_contrib_recurrent_ppo": Peer(
        "sb3-contrib RecurrentPPO",
        "LSTM 256",
        "pip install sb3-contrib",
        1,
        _late("sb3", "build_recurrent_ppo"),
    ),
    "sample_factory": Peer(
        "Sample Factory APPO, asynchronous",
        "LSTM 256",
        "pip install --no-deps sample-factory==2.1.1 signal-slot-mp==1.0.5 faster-fifo==1.5.2 "
        "colorlog==6.12.0 tensorboardX==2.6.5 (its own requirements exclude NumPy 2 and "
        "Gymnasium 1, with which it runs)",
        1,
        _late("sample_factory_appo", "build_appo"),
    ),
    "torchrl_a2c": Peer(
        "TorchRL A2C", "LSTM 256", "pip install torchrl", 1, _late("torchrl_a2c", "build_a2c")
    ),
    "plain_a2c": Peer(
        "plain loop, A2C (CleanRL's style)", "LSTM 256", None, 1, _late("plain", "build_plain")
    ),
}


def build_all(entries: Mapping[str, Peer], size: Size) -> dict[str, Trainer]:
    """Build what is installed; say on stderr what is not."""
    built = {}
    for name, entry in entries.items():
        try:
            built[name] = entry.build(size)
        except ImportError as error:
            print(f"{entry.label} left out ({error}): {entry.needs}", file=sys.stderr)
    return built


def measure_agents(
    size: Size, blocks: int, entries: Mapping[str, Peer], steps_per_block: int
) -> list[Row]:
    """Train all agents in turns; "ours" must be one of them."""
    trainers = build_all(entries, size)
    speeds: dict[str, list[float]] = {name: [] for name in trainers}
    rollouts = max(1, round(steps_per_block / size.steps))
    for block in range(blocks + 1):
        for name, trainer in trainers.items():
            start = time.perf_counter()
            for _ in range(rollouts):
                trainer.rollout()
            if block > 0:  # the first block warms up
                speeds[name].append(rollouts * size.steps / (time.perf_counter() - start))
    for trainer in trainers.values():
        trainer.close()
    return [
        Row(
            name,
            entries[name].label,
            entries[name].memory,
            statistics.median(speed),
            statistics.median(a / b for a, b in zip(speeds["ours"], speed, strict=True)),
            entries[name].gradient_passes,
        )
        for name, speed in speeds.items()
    ]


def measure_environments(blocks: int) -> list[Row]:
    """Step all environments in turns; the recorded figure comes last."""
    steps, closes = {}, []
    for name, entry in ENVIRONMENTS.items():
        try:
            steps[name], close = entry.build()
            closes.append(close)
        except ImportError as error:
            print(f"{entry.label} left out ({error}): {entry.needs}", file=sys.stderr)
    speeds = environments.measure(steps, blocks, ENVIRONMENT_STEPS_PER_BLOCK)
    for close in closes:
        close()
    rows = []
    for name, speed in speeds.items():
        entry = ENVIRONMENTS[name]
        what = f"{entry.image}, {entry.frames_per_step} frame(s) a step"
        rows.append(Row(name, entry.label, what, speed, speeds["labsim"] / speed))
    speed = RECORDED_DEEPMIND_LAB
    label, what = "DeepMind Lab, rooms_watermaze, recorded", "72 x 96, 4 frame(s) a step"
    rows.append(Row("deepmind_lab_recorded", label, what, speed, speeds["labsim"] / speed))
    return rows


def main(argv: list[str] | None = None) -> int:
    """Measure, and print tables or one JSON object."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--blocks", type=int, default=7, help="blocks of each (default 7)")
    parser.add_argument("--threads", type=int, default=available_cores(), help="default: all cores")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write table and figure there")
    arguments = parser.parse_args(argv)
    backend = prepare_cpu(arguments.threads)
    torch.set_flush_denormal(True)
    agents = measure_agents(Size(arguments.threads), arguments.blocks, PEERS, STEPS_PER_BLOCK)
    worlds = measure_environments(arguments.blocks)
    machine = f"{machine_line()}; {arguments.threads} threads, float32 products by {backend}"
    if arguments.out is not None:
        write_report(arguments.out, machine, agents, worlds)
    if arguments.json:
        print(json.dumps({row.name: row.as_json() for row in [*agents, *worlds]}))
    else:
        print(markdown(machine, agents, worlds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
