"""Dealing the environments of a checkpoint out to another number of threads."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def _join(parts: Sequence[Any]) -> Any:
    """Append nested dicts of tensors [b, ...] and lists of length b along the environments."""
    if isinstance(parts[0], dict):
        return {key: _join([part[key] for part in parts]) for key in parts[0]}
    if isinstance(parts[0], Tensor):
        return torch.cat(list(parts))
    return list(itertools.chain.from_iterable(parts))


def _take(joined: Any, start: int, stop: int) -> Any:
    """Environments start..stop-1 of what `_join` returned."""
    if isinstance(joined, dict):
        return {key: _take(value, start, stop) for key, value in joined.items()}
    return joined[start:stop]


def regroup(
    states: Sequence[dict[str, Any]],
    columns: Sequence[tuple[int, int]],
    generators: Sequence[Tensor],
) -> list[dict[str, Any]]:
    """Deal the environments of the actors' states out to groups with the given columns."""
    joined = _join([{k: v for k, v in state.items() if k != "generator"} for state in states])
    return [
        {"generator": generator, **_take(joined, *column)}
        for column, generator in zip(columns, generators, strict=True)
    ]
