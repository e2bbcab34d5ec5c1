"""Whether a state that was read from a file is one that this run could have written.

A checkpoint's checksum tells damage, not whether its content makes sense: a file that was edited,
or made by another program, must end in a sentence and not in a crash of compiled code.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor


def require_form(
    state: Any, own: Any, name: str = "", unlike: Collection[str] = (), any_number: str = ""
) -> None:
    """Raise ValueError, in a sentence, unless `state` is built as `own` is.

    That is: dicts with the same keys, lists as long, tensors of the same shape and type; all
    numbers finite, and whole ones outside of tensors not negative. What is None or empty in `own`
    may hold anything, and so may the keys `unlike` of the outermost dict. Tensors below
    `any_number` ("envs.envs", say) may hold any numbers: the environments check them.
    """
    if isinstance(own, Tensor):
        if not isinstance(state, Tensor) or state.shape != own.shape or state.dtype != own.dtype:
            raise ValueError(f"{name} is {_described(state)}, not {_described(own)}")
        if not any_number or not name.startswith(f"{any_number}."):
            require_finite(state, name)
    elif isinstance(own, Mapping):
        require_parts(state, own, name)
        for key, value in own.items():
            if key not in unlike:
                inside = f"{name}.{key}" if name else str(key)
                require_form(state[key], value, inside, any_number=any_number)
    elif isinstance(own, list):
        if not isinstance(state, list) or (own and len(state) != len(own)):
            raise ValueError(f"{name} is {_described(state)}, not {_described(own)}")
        for i, value in enumerate(own):
            require_form(state[i], value, f"{name}[{i}]")
    elif isinstance(own, int | float):
        if type(state) is not type(own):
            raise ValueError(f"{name} is {_described(state)}, not {_described(own)}")
        whole = isinstance(own, int)
        if (whole and not 0 <= state < 2**63) or (not whole and not math.isfinite(state)):
            raise ValueError(f"{name} is {state}")


def require_parts(state: Any, own: Mapping[Any, Any], name: str = "") -> None:
    """Raise ValueError unless `state` is a dict with the keys of `own`; any, if `own` has none."""
    if not isinstance(state, Mapping) or (own and state.keys() != own.keys()):
        raise ValueError(f"{name or 'it'} must have the parts {', '.join(map(str, own))}")


def require_finite(tensor: Tensor, name: str) -> None:
    """Raise ValueError if a number in `tensor` is infinite or none."""
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        raise ValueError(f"{name} holds numbers that are not finite")


def require_between(tensor: Tensor, low: int, high: int, name: str) -> None:
    """Raise ValueError if a number in `tensor` lies outside of low..high."""
    if ((tensor < low) | (tensor > high)).any():
        raise ValueError(f"{name} holds numbers outside of {low} to {high}")


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the state of an RMSProp or Adam. Raises ValueError unless it fits."""

    def settings() -> list[dict[str, Any]]:
        changing = ("params", "lr")
        groups = optimizer.param_groups
        return [{k: v for k, v in group.items() if k not in changing} for group in groups]

    own = settings()
    optimizer.load_state_dict(state)
    if settings() != own:
        raise ValueError("optimizer.param_groups are of other settings")
    adam = isinstance(optimizer, torch.optim.Adam)
    averages = ("exp_avg", "exp_avg_sq") if adam else ("square_avg",)
    for parameter, kept in optimizer.state.items():
        if not kept.keys() >= {"step", *averages}:
            raise ValueError("optimizer.state lacks a part")
        for name in averages:
            require_form(kept[name], parameter.detach(), f"optimizer.state.{name}")
        if not 1 <= float(kept["step"]) < 2**63:
            raise ValueError(f"optimizer.state.step is {kept['step']}")


def _described(value: Any) -> str:
    """Name what `value` is, as shortly as tells it from others."""
    if isinstance(value, Tensor):
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {list(value.shape)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"{value!r:.40}" if isinstance(value, int | float | str) else f"a {type(value).__name__}"
