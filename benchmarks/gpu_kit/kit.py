"""What every step of the kit is given, and where it writes what it finds."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from agents.devices import available_cores

RESULTS = "results.jsonl"  # a line per result, of all steps


class Kit(NamedTuple):
    """A step's surroundings."""

    device: str  # "cuda", or "cpu" where there is none
    tiny: bool  # smallest sizes: to try the kit itself
    out: Path
    deadline: float  # of time.monotonic()

    @property
    def seconds_left(self) -> float:
        """Until the step is ended."""
        return self.deadline - time.monotonic()

    def threads(self, num_envs: int) -> int:
        """Cores that train_agent.py would use."""
        return min(available_cores(), num_envs)

    def record(self, kind: str, **result: Any) -> None:
        """Write a result, for good."""
        record(self.out, kind, **result)

    def wait(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            torch.cuda.synchronize()


def record(out: Path, kind: str, **result: Any) -> None:
    """Append a result of some kind to the folder's results."""
    with (out / RESULTS).open("a") as file:
        file.write(json.dumps({"kind": kind, **result}) + "\n")


def read_results(out: Path) -> list[dict[str, Any]]:
    """All results in the folder; none if there is no file yet."""
    path = out / RESULTS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
