"""The weights of a trained agent: of a checkpoint, or alone, in a few megabytes to hand on.

`agent.safetensors` holds an agent alone: tensors `agent.<parameter>` and those of its auxiliary
loss, `aux.<parameter>`, in float16; in the metadata the frames behind them and a SHA-256 of all
tensors, as the format itself does not notice flipped bits. It is data: reading it runs no code.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from records import checkpoint
from records.file_names import AGENT_FILE
from records.whole_files import naming, replace_file

FORMAT = "cpc-a2c agent 1"
PARTS = ("agent", "aux")


class Weights(NamedTuple):
    """What a run has learned, without what continuing it needs."""

    frames: int  # environment frames of training behind them
    agent: dict[str, Tensor]  # by name of the parameter; numbers are float32
    aux: dict[str, Tensor]  # of the auxiliary loss; empty: there is none


def find_weights(run: Path) -> Path:
    """The file of `run`: itself if it is one, its latest checkpoint, or an agent alone."""
    if run.suffix in (".pt", ".safetensors"):
        return run
    alone, latest = run / AGENT_FILE, run / checkpoint.NAME
    return alone if alone.is_file() and not latest.is_file() else latest


def load_weights(path: Path) -> Weights:
    """Read a file as `find_weights` names it.

    Raises ValueError: no file, damaged, or of another kind.
    """
    if path.suffix != ".safetensors":
        learner = checkpoint.load(path)["learner"]
        aux = learner.get("aux")
        aux = dict(aux) if isinstance(aux, Mapping) else {}
        return Weights(learner["frames"], dict(learner["agent"]), aux)
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    try:
        with naming(path), safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, RuntimeError) as error:  # RuntimeError: a type that PyTorch lacks
        raise ValueError(f"{path} cannot be read: it is truncated, damaged or no agent.") from error
    if metadata.get("format") != FORMAT or not metadata.get("frames", "").isdecimal():
        raise ValueError(f"{path} is not of the format {FORMAT!r}, the one read here.")
    if metadata.get("sha256") != _sha256(tensors):
        raise ValueError(f"{path} is damaged: its numbers are not those that were written.")
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for name, tensor in tensors.items():
        part, _, parameter = name.partition(".")
        if part not in parts:
            raise ValueError(f"{path} holds {name}, which is no part of an agent.")
        parts[part][parameter] = tensor.float() if tensor.is_floating_point() else tensor
    return Weights(int(metadata["frames"]), parts["agent"], parts["aux"])


def save_weights(path: Path, weights: Weights) -> None:
    """Write `weights` to `path`, an agent.safetensors, in float16.

    Raises ValueError: a number is too large for float16. OSError; then an older file at `path` is
    as it was.
    """
    tensors = {}
    for part in PARTS:
        for name, tensor in getattr(weights, part).items():
            half = tensor.half() if tensor.is_floating_point() else tensor
            if not torch.isfinite(half).all():
                raise ValueError(f"{part}.{name} holds numbers that float16 has not.")
            tensors[f"{part}.{name}"] = half.contiguous()
    metadata = {"format": FORMAT, "frames": str(weights.frames), "sha256": _sha256(tensors)}
    replace_file(path, save(tensors, metadata))


def _sha256(tensors: Mapping[str, Tensor]) -> str:
    """Of the names, types, shapes and numbers of all tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
