"""Checkpoints: written so that a crash leaves the old or the new one, read without running code.

A checkpoint is what `torch.save` writes, and after it a line with the SHA-256 of that: PyTorch
itself loads a file with flipped bits. `torch.load` reads the file as it is.
"""

import hashlib
import io
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from records.whole_files import check_replaceable, naming, replace_file

VERSION = 2
NAME = "latest.pt"
BEST = "best.pt"
TRAILER = re.compile(rb"\nsha256 ([0-9a-f]{64})\n")
TRAILER_BYTES = 73
# What Python and PyTorch raise where content is not as it should be.
MISFITS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists and dicts of them) to `path`.

    Raises OSError; then an older checkpoint at `path` is as it was.
    """
    buffer = io.BytesIO()  # straight to a full disk, torch.save raises a RuntimeError of its own
    torch.save({"version": VERSION, **state}, buffer)
    content = buffer.getvalue()
    trailer = f"\nsha256 {hashlib.sha256(content).hexdigest()}\n"
    # A link may name a checkpoint that is kept, to go on from there: that one stays.
    replace_file(path, content + trailer.encode(), follow_links=False)


def load(path: Path) -> dict[str, Any]:
    """Return a run's checkpoint, which has at least `learner.frames`, `.agent` and `metrics`.

    Raises ValueError: no file, damaged, or not a checkpoint of a run.
    """
    if not path.is_file():
        raise ValueError(f"There is no checkpoint {path}.")
    with naming(path):
        stored = path.read_bytes()
    content, trailer = stored[:-TRAILER_BYTES], TRAILER.fullmatch(stored[-TRAILER_BYTES:])
    if trailer is None or trailer[1].decode() != hashlib.sha256(content).hexdigest():
        raise ValueError(
            f"The checkpoint {path} cannot be read: it is truncated, damaged or of another kind "
            "or version."
        )
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # of a dozen kinds where the bytes are not what torch.save wrote
        raise ValueError(
            f"The checkpoint {path} cannot be read: it is not what a run writes."
        ) from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise ValueError(f"The checkpoint {path} is not of version {VERSION}, the one read here.")
    learner, metrics = state.get("learner"), state.get("metrics")
    frames = learner.get("frames") if isinstance(learner, Mapping) else None
    agent = learner.get("agent") if isinstance(learner, Mapping) else None
    if (
        type(frames) is not int
        or not isinstance(agent, Mapping)
        or not isinstance(metrics, Mapping)
    ):
        raise ValueError(
            f"The checkpoint {path} cannot be used: it needs learner.frames, learner.agent and "
            "metrics."
        )
    return state


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Turn errors inside, where the content of the checkpoint `path` is used, into a ValueError."""
    try:
        yield
    except MISFITS as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".")
        raise ValueError(f"The checkpoint {path} cannot be used: {why}.") from error


def keep(folder: Path, frames: int, recent_return: float | None, count: int) -> None:
    """Keep the latest checkpoint of `folder` under a name of its own, and the best one as well.

    `checkpoint_<frames>.pt` are the `count` newest. best.pt is the one with the highest
    `recent_return` (the mean of recent episodes; None: there is none yet) of all that were kept.
    Raises OSError.
    """
    latest = folder / NAME
    _link(latest, folder / f"checkpoint_{frames:012d}.pt")
    for old in sorted(folder.glob("checkpoint_*.pt"))[:-count]:
        old.unlink()
    best = folder / BEST
    if recent_return is not None and recent_return > _recent_return(best):
        _link(latest, best)


def _recent_return(path: Path) -> float:
    """The mean return of recent episodes in a checkpoint; that of none is below all others."""
    try:
        returns = load(path)["metrics"]["recent_returns"]
        return float(sum(returns) / len(returns)) if returns else -math.inf
    except (ValueError, KeyError, TypeError):  # none yet, or a damaged one
        return -math.inf


def _link(source: Path, target: Path) -> None:
    """Let `target` name the content that `source` has now; a new `source` does not change it.

    Raises OSError: `target` is there and no regular file, or cannot be written.
    """
    check_replaceable(target, follow_links=False)
    temporary = target.with_name(target.name + ".tmp")
    with naming(target):
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:  # exFAT and some network file systems have no links
            replace_file(target, source.read_bytes(), follow_links=False)
        else:
            os.replace(temporary, target)
