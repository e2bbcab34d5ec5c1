"""Checkpoints: written so that a crash leaves the old or the new one, read without running code."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from agents.files import replace_file

VERSION = 1
NAME = "latest.pt"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, lists and dicts of them) to `path`.

    Raises OSError; then an older checkpoint at `path` is as it was.
    """
    buffer = io.BytesIO()  # straight to a full disk, torch.save raises a RuntimeError of its own
    torch.save({"version": VERSION, **state}, buffer)
    replace_file(path, buffer.getvalue())


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return what `save` wrote. Raises ValueError: no file, not one of ours, or truncated."""
    if not path.is_file():
        raise ValueError(f"There is no checkpoint {path}.")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"The checkpoint {path} cannot be read: it is truncated, damaged or of another kind."
        ) from error
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise ValueError(f"The checkpoint {path} is not of version {VERSION}, the one read here.")
    return state
