"""One trial: a command in a process of its own, what it left on standard error, and the verdict."""

import contextlib
import io
import os
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

import evaluate
import train_agent
from configs import learners
from tests.known_answer_envs import RandomEnds

TIMEOUT_S = 300.0
HANGS = -1000
# A run of 30 updates that takes a tenth of a second in the vectors of RandomEnds.
TINY = (
    "agent.network.hidden_size=11",
    "agent.unroll_length=5",
    "env.num_envs=3",
    "aux.horizon=2",
    "aux.anchors=3",
    "threads=1",
    "device=cpu",
    "log.every_frames=300",
    "log.checkpoint_frames=420",
)
TOTAL_FRAMES = 1800


class Outcome(NamedTuple):
    """How a process ended: its exit code, minus a signal's number or HANGS; and standard error."""

    code: int
    said: list[str]

    @property
    def verdict(self) -> str:
        """ "done", "refused" (one sentence, an exit code above 0), or "MISHANDLED"."""
        if self.code == 0:
            return "done"
        one_sentence = len(self.said) == 1 and "Traceback" not in self.said[0]
        return "refused" if self.code > 0 and one_sentence else "MISHANDLED"


def attempt(
    main: Callable[[list[str]], int],
    arguments: Sequence[str],
    prepare: Callable[[], Any] = lambda: None,
    timeout_s: float = TIMEOUT_S,
) -> Outcome:
    """Run `main` in a fork of this process, after `prepare`."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(writing, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.stdout, sys.stderr = (os.fdopen(fd, "w", closefd=False) for fd in (1, 2))
            torch.set_num_threads(1)  # OpenMP's other threads do not survive a fork
            prepare()
            code = main(list(arguments))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    said = _read_to_end(reading, timeout_s)
    if said is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = HANGS if said is None else os.waitstatus_to_exitcode(status)
    return Outcome(code, (said or b"").decode(errors="replace").splitlines())


def _read_to_end(descriptor: int, timeout_s: float) -> bytes | None:
    """Everything until the other end is closed; None if it is not within the time."""
    deadline, said = time.monotonic() + timeout_s, b""
    with open(descriptor, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            part = pipe.read(65536)
            if not part:
                return said
            said += part
    return None


@contextlib.contextmanager
def vectors_for_levels() -> Iterator[None]:
    """Inside, a level's place is taken by RandomEnds, which needs no engine."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (learners, evaluate):
            patch.setattr(module, "make_vec_env", lambda config, n, **settings: RandomEnds(n))
        yield


@contextlib.contextmanager
def without_figures() -> Iterator[None]:
    """Inside, a run that ends draws nothing, which takes longer than it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_agent, "draw_figures", lambda *run: None)
        yield


def warm_up(settings: Sequence[str]) -> None:
    """Train a little in this process, whose kernels those of the trials inherit."""
    with tempfile.TemporaryDirectory() as folder, without_figures():
        arguments = [*settings, "total_frames=120", f"run_root={folder}"]
        with contextlib.redirect_stdout(io.StringIO()):
            assert train_agent.main(arguments) == 0


def stop_at(frames: int) -> None:
    """Let every learner of this process ask to be stopped at so many frames."""
    for kind in (learners.Learner, learners.SB3A2CLearner):
        _stop_at(kind, frames)


def _stop_at(kind: Any, frames: int) -> None:
    update = kind.update

    def stopping_update(learner: Any) -> None:
        update(learner)
        if learner.frames == frames:
            os.kill(os.getpid(), signal.SIGTERM)

    kind.update = stopping_update


def equal(a: Any, b: Any) -> bool:
    """Whether two states are equal to the bit."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


def files_in(folder: Path) -> dict[Path, bytes]:
    """The contents of all files below `folder`."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def print_table(rows: dict[str, Counter[str]]) -> int:
    """Print how often each verdict was reached, by row; return the number of mishandled trials."""
    verdicts = sorted({verdict for counts in rows.values() for verdict in counts})
    width = max(len(name) for name in rows)
    print(f"{'':{width}}  " + "  ".join(verdicts))
    for name, counts in rows.items():
        cells = (f"{counts[verdict]:{len(verdict)}}" for verdict in verdicts)
        print(f"{name:{width}}  " + "  ".join(cells))
    bad = sum(counts["MISHANDLED"] for counts in rows.values())
    print(f"{sum(counts.total() for counts in rows.values())} trials, {bad} mishandled.")
    return bad
