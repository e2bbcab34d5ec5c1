"""Every setting with values of wrong types, signs and sizes, started for real where it composes.

    python -m tests.campaigns.bad_input [PART ...] [--starts N]

A value is refused (one sentence, exit code 1 or 2) or the run trains (exit code 0, or the one line
of an interrupt where it would train for long). Anything else is mishandled: a traceback, several
lines, a signal, a run that cannot be interrupted. Those are printed, and the exit code is 1. What
ran is printed too, so that a person can see whether it should have.
"""

import argparse
import dataclasses
import functools
import os
import random
import resource
import signal
import sys
import tempfile
import time
import types
import typing
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from configs import RunConfig, compose_runs

VALUES = (
    "-1", "0", "0.5", "1e-300", "1e300", "1e18", "1000000", "nan", "inf", "abc", "", "true", "null",
    "[]", "[1,-2]", "{a: 1}", "a/../b", "\u00fcn\u00ef (1) it's",
)  # fmt: skip
TINY = (
    "env.num_envs=2", "threads=1", "device=cpu", "total_frames=80", "log.every_frames=40",
)  # fmt: skip
OURS = ("agent.unroll_length=5", "agent.network.hidden_size=16", "aux=cpc", "aux.horizon=2")
GYMNASIUM = ("env=gymnasium", "env.id=CartPole-v1", "env.worker_timeout_s=20")
SECONDS = 60.0  # of training, before it is interrupted
MEMORY = 12 * 2**30  # bytes of address space of each run: sizes that are too large must not hurt


def all_keys() -> list[str]:
    """Every dotted key of the settings, the parts that have keys of their own included."""
    return list(dict.fromkeys(_keys(RunConfig, "")))


def _keys(cls: type, path: str) -> Iterator[str]:
    for name, hint in typing.get_type_hints(cls).items():
        yield path + name
        for option in typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,):
            if dataclasses.is_dataclass(option):
                yield from _keys(typing.cast(type, option), f"{path}{name}.")


def command(key: str, value: str) -> list[str]:
    """A tiny run, in the environment and with the agent that have the key."""
    sb3 = key.startswith("agent.") and key not in _keys_of_ours()
    agent = ["agent=sb3_a2c"] if sb3 else [*OURS]
    env: list[str] = []
    if key in ("env.id", "env.worker_timeout_s") or key.startswith(("env.kwargs", "env.wrappers")):
        env = [*GYMNASIUM]
    return [*TINY, *agent, *env, f"{key}={value}"]


@functools.cache
def _keys_of_ours() -> set[str]:
    (request,) = compose_runs([])
    assert request.config is not None
    return {f"agent.{key}" for key in _keys(type(request.config.agent), "")}


def refused(arguments: list[str]) -> str | None:
    """The sentence with which the settings are refused before anything starts, or None."""
    try:
        (request,) = compose_runs(arguments)
    except ValueError as error:
        return str(error)
    return None if request.error is None else str(request.error)


def start(arguments: list[str]) -> tuple[str, str]:
    """Train in a process and a folder of its own: (what came of it, what it printed)."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        child = os.fork()
        if child == 0:
            _train(arguments, folder, output)
        code = _wait(child)
        printed = output.read_text(errors="replace")
    lines = [line for line in printed.splitlines() if line.startswith("E ")]
    if "Traceback" not in printed:
        if code in (0, 130) and not lines:
            return "ran", printed
        if code in (1, 2) and len(lines) == 1:
            return "refused", lines[0].removeprefix("E ")
    return "mishandled", f"exit code {code}\n{printed}"


def _train(arguments: list[str], folder: str, output: Path) -> typing.NoReturn:
    """Be the child: its lines on standard error begin with "E "."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.chdir(folder)
    errors = Path(folder) / "errors"
    for number, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    import train_agent

    code = 99
    try:
        code = train_agent.main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        if code == 99:
            sys.excepthook(*sys.exc_info())
        sys.stdout.flush()
        sys.stderr.flush()
        with output.open("a") as file:
            for line in errors.read_text(errors="replace").splitlines():
                print(f"E {line}", file=file)
        os._exit(code)


def _wait(child: int) -> int:
    """The child's exit code, negative after a signal; it is interrupted after SECONDS."""
    began = time.monotonic()
    sent = 0
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        # Once, twice to end it in the middle of an update, and then by force.
        if sent < 3 and time.monotonic() - began > SECONDS + 20 * sent:
            os.kill(child, signal.SIGKILL if sent == 2 else signal.SIGINT)
            sent += 1
        time.sleep(0.05)


def main(argv: list[str] | None = None) -> int:
    """Run the campaign; return 1 if anything was mishandled."""
    import train_agent  # noqa: F401 - once, before the processes that need it are forked

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help="of keys; all keys if none is given"
    )
    parser.add_argument("--starts", type=int, help="so many of the runs that compose, not all")
    options = parser.parse_args(argv)
    counts: Counter[str] = Counter()
    composed = []
    for key in all_keys():
        if options.parts and not any(part in key for part in options.parts):
            continue
        for value in VALUES:
            said = refused(command(key, value))
            if said is None:
                composed.append((key, value))
                continue
            _count(counts, key, value, "mishandled" if "\n" in said else "refused", said)
    if options.starts is not None:
        counts["composed, not started"] = max(len(composed) - options.starts, 0)
        composed = random.Random(0).sample(composed, min(options.starts, len(composed)))
    for key, value in composed:
        _count(counts, key, value, *start(command(key, value)))
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
    return 1 if counts["mishandled"] else 0


def _count(counts: Counter[str], key: str, value: str, outcome: str, said: str) -> None:
    counts[outcome] += 1
    if outcome != "refused":
        print(f"{outcome}: {key}={value}" + f"\n{said}" * (outcome == "mishandled"), flush=True)


if __name__ == "__main__":
    sys.exit(main())
