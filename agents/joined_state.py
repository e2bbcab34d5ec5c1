"""The state of a batch of environments, joined from those of its parts."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def join(states: Sequence[Any]) -> Any:
    """Join nested dicts of tensors and lists that have one entry per environment."""
    if isinstance(states[0], dict):
        return {name: join([state[name] for state in states]) for name in states[0]}
    if isinstance(states[0], Tensor):
        return torch.cat(list(states))
    return list(itertools.chain.from_iterable(states))


def part(state: Any, envs: slice) -> Any:
    """The part of a joined state that belongs to the environments `envs`."""
    if isinstance(state, dict):
        return {name: part(value, envs) for name, value in state.items()}
    return state[envs]
