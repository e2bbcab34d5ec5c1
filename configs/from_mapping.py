"""Plain mappings to plain dataclasses, with one clear sentence for whatever does not fit.

OmegaConf's structured configs would do most of this, but they refuse frozen dataclasses, Literal
and 1e9 as an integer, and explain a mistake in several lines of internals.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

LARGEST = 2**53  # whole numbers are exact up to here in every format that they pass through
LARGEST_FLOAT = 1e30  # float32, in which numbers are used, has room for a little more
WANTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
}


def from_mapping(cls: type[T], values: Mapping[str, Any], path: str = "") -> T:
    """Return the dataclass `cls` made from `values`, converted to the types of its fields.

    `path` ("aux.", say) is put before a key in messages.
    Raises ValueError: unknown or missing key, value of another type.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise unknown_key(cls, key, path)
    hints = typing.get_type_hints(cls)
    arguments = {}
    for name, field in fields.items():
        if name in values:
            arguments[name] = _convert(values[name], hints[name], path + name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{path}{name} has no value; give {path}{name}=...")
    return cls(**arguments)


def unknown_key(cls: type, key: str, path: str = "") -> ValueError:
    """What to raise for a key that the dataclass `cls` does not have."""
    names = ", ".join(path + field.name for field in dataclasses.fields(cls))
    kinds = (*WANTED, list, dict, typing.Literal)
    deeper = set().union(*(keys_of(cls, kind, path) for kind in kinds))
    meant = sorted(name for name in deeper if name.endswith(f".{key}"))
    hint = f" Did you mean {' or '.join(meant)}?" if meant else ""
    return ValueError(f"{path}{key} is not a setting; allowed here: {names}.{hint}")


def keys_of(cls: type, kind: Any, path: str = "") -> set[str]:
    """The dotted keys of the dataclass `cls` whose value is a `kind`; dict: has parts."""
    keys = set()
    for name, hint in typing.get_type_hints(cls).items():
        union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
        for option in typing.get_args(hint) if union else (hint,):
            parts = dataclasses.is_dataclass(option)
            if option is kind or typing.get_origin(option) is kind or (kind is dict and parts):
                keys.add(path + name)
            if parts:
                keys |= keys_of(option, kind, f"{path}{name}.")
    return keys


def _keys_known(value: Any, option: Any) -> int:
    """How many keys of `value` are fields of `option`: of several dataclasses, most fit the one."""
    if not isinstance(value, Mapping) or not dataclasses.is_dataclass(option):
        return 0
    return len({field.name for field in dataclasses.fields(option)} & value.keys())


def _name(key: Any, path: str) -> str:
    """Return a mapping's key as a text: YAML reads some names as numbers, or as true, false, null.

    Raises ValueError for the latter, which cannot be told from what was written.
    """
    if isinstance(key, bool) or not isinstance(key, str | int | float):
        raise ValueError(f"{path} has the name {key!r}; a name must be a text: put it in quotes.")
    return str(key)


def _convert(value: Any, hint: Any, path: str) -> Any:
    """Return `value` as the type that `hint` names; see `from_mapping`."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        options = tuple(option for option in options if option is not type(None))
        hint = max(options, key=lambda option: _keys_known(value, option))
    if typing.get_origin(hint) is list:
        if not isinstance(value, list):
            raise ValueError(f"{path} is {value!r}; it must be a list, as in {path}=[A,B].")
        (of,) = typing.get_args(hint)
        return [_convert(item, of, f"{path}[{i}]") for i, item in enumerate(value)]
    if typing.get_origin(hint) is dict:
        if not isinstance(value, Mapping):
            raise ValueError(f"{path} is {value!r}; set its parts, as in {path}.NAME=VALUE.")
        _, of = typing.get_args(hint)
        named = {_name(key, path): item for key, item in value.items()}
        return {k: v if of is Any else _convert(v, of, f"{path}.{k}") for k, v in named.items()}
    if typing.get_origin(hint) is typing.Literal:
        allowed = typing.get_args(hint)
        if not any(value == x and type(value) is type(x) for x in allowed):  # 0 == False
            raise ValueError(
                f"{path} is {value!r}; allowed: {', '.join(str(x).lower() for x in allowed)}."
            )
        return value
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ValueError(f"{path} is {value!r}; set its parts, as in {path}.NAME=VALUE.")
        # A class may leave settings to another one: an auxiliary loss has its own.
        chosen = hint.for_values(value) if hasattr(hint, "for_values") else hint
        return from_mapping(typing.cast(type[Any], chosen), value, path + ".")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = hint is int or isinstance(value, int)
    if number and whole and LARGEST < abs(value) < math.inf:
        raise ValueError(f"{path} is {value}; it must be at most {LARGEST}.")
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and number and math.isfinite(value) and value == int(value):
        return int(value)  # 1e9 arrives as a float
    if hint is float and number and LARGEST_FLOAT < abs(value) < math.inf:
        raise ValueError(f"{path} is {value}; it must be at most {LARGEST_FLOAT:g}.")
    if hint is float and number and math.isfinite(value):
        return float(value)
    if hint is str and (isinstance(value, str) or number):
        return str(value)  # tag=3 arrives as a number
    raise ValueError(f"{path} is {value!r}; it must be {WANTED[hint]}.")
