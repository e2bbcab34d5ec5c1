"""The kit's steps, and one of them in this process: python -m benchmarks.gpu_kit.steps NAME ..."""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from agents.devices import available_cores, prepare_cpu
from benchmarks.gpu_kit import checks, learning, speed
from benchmarks.gpu_kit.kit import Kit


class Step(NamedTuple):
    """A step of the kit."""

    part: str  # see PARTS
    limit_s: float  # it is ended after so long
    run: Callable[[Kit], None]


PARTS = ("check", "speed", "learn")
STEPS = {
    "machine": Step("check", 120, checks.machine),
    "tests": Step("check", 150, checks.tests),
    "checkpoint": Step("check", 90, checks.checkpoint_trip),
    "trace": Step("check", 45, checks.trace),
    "plain": Step("speed", 120, speed.plain),
    "peers": Step("speed", 90, speed.peers),
    "compiled": Step("speed", 210, speed.compiled),
    "learn": Step("learn", 480, learning.learn),
}


def main(argv: list[str] | None = None) -> int:
    """Do one step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=STEPS)
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--seconds", type=float, required=True, help="after which it is ended")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # clean up
    deadline = time.monotonic() + arguments.seconds
    prepare_cpu(available_cores(), torch.device(arguments.device))  # as train_agent.py
    STEPS[arguments.name].run(Kit(arguments.device, arguments.tiny, arguments.out, deadline))
    return 0


if __name__ == "__main__":
    sys.exit(main())
