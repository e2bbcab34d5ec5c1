"""All that is to be measured and tried on a GPU, in one command.

    benchmarks/gpu_kit.sh [PART ...] [--minutes 8] [--out FOLDER] [--steps NAME ...] [--tiny]

Parts, by default all: `check` (what the machine is; the tests that need a GPU; a checkpoint carried
from CPU to GPU and back; a trace of one update), `speed` (training with 32 to 1,024 environments,
shallow and deep, without and with CPC and agent.compile; other libraries' agents), `learn` (40 M
frames of room_watermaze beside the committed CPU seeds). Every step has its own time limit and none
begins after --minutes; one that fails is reported and the rest goes on. What is found is written at
once: results.jsonl, report.md, log.txt, trace.json.gz, gpu_curves.csv and gpu_progress.csv.

All parts take longer than eight minutes. Where one command may not, take two:
`benchmarks/gpu_kit.sh check speed`, then `benchmarks/gpu_kit.sh learn`, with folders of their own;
what `learn` does not finish, it continues where runs/gpu_kit is kept. --tiny tries the kit itself
in the smallest sizes, on a CPU too.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch

from benchmarks.gpu_kit.kit import RESULTS, read_results, record
from benchmarks.gpu_kit.report import markdown
from benchmarks.gpu_kit.steps import PARTS, STEPS
from records.failures import sentence

ROOT = Path(__file__).parents[2]
GRACE_S = 20.0  # to end by itself, after its limit
LOG = "log.txt"
SHOWN = 15  # last lines of what a failed step wrote


def run_step(command: Sequence[str], limit_s: float, out: Path, name: str) -> bool:
    """Run a step as a process, record how it ended, and say so; return whether it succeeded."""
    start = time.monotonic()
    with (out / LOG).open("a") as log:
        print(f"== {name}", file=log, flush=True)
        begin = log.tell()
        with subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, process_group=0
        ) as process:
            try:
                code: int | None = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                code = None
            finally:  # also when this process is interrupted
                end_group(process)
    end = "ok" if code == 0 else f"over its {limit_s:.0f} s" if code is None else f"exit {code}"
    seconds = round(time.monotonic() - start, 1)
    record(out, "step", name=name, end=end, seconds=seconds)
    print(f"{name}: {end} ({seconds} s)", flush=True)
    if code != 0:
        written = (out / LOG).read_text(errors="replace")[begin:].splitlines()
        print("\n".join(f"    {line}" for line in written[-SHOWN:]), flush=True)
    return code == 0


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children: SIGTERM, and SIGKILL for what is left."""
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def main(argv: list[str] | None = None) -> int:
    """Run the steps asked for; return 1 if one did not succeed."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/gpu_kit.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--minutes", type=float, default=8.0, help="of all steps (default 8)")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "gpu_kit_report")
    parser.add_argument("--steps", nargs="+", choices=STEPS, help="these alone")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, to try the kit")
    arguments = parser.parse_intermixed_args(argv)
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"unknown part {min(unknown)}; allowed: {', '.join(PARTS)}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not arguments.tiny:
        parser.error("PyTorch finds no GPU here; --tiny tries the kit on a CPU")
    out: Path = arguments.out.absolute()
    try:
        out.mkdir(parents=True, exist_ok=True)
        for old in (RESULTS, LOG):
            (out / old).unlink(missing_ok=True)
    except OSError as error:
        parser.error(sentence(error))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    deadline = time.monotonic() + 60 * arguments.minutes
    parts = arguments.parts or PARTS
    names = arguments.steps or [name for name, step in STEPS.items() if step.part in parts]
    good = True
    for name in names:
        own_s = STEPS[name].limit_s * (10 if arguments.tiny else 1)  # a CPU may be a slow one
        limit_s = min(own_s, deadline - time.monotonic() - GRACE_S)
        if limit_s <= 0:
            record(out, "step", name=name, end="no time left", seconds=0)
            print(f"{name}: no time left", flush=True)
            good = False
        else:
            command = [sys.executable, "-m", "benchmarks.gpu_kit.steps", name, "--out", str(out)]
            command += ["--device", device, "--seconds", f"{limit_s:.0f}"]
            command += ["--tiny"] if arguments.tiny else []
            good &= run_step(command, limit_s, out, name)
        (out / "report.md").write_text(markdown(read_results(out)) + "\n")
    print(out / "report.md")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
