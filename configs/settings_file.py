"""Files of settings for the command line: YAML with the same keys, nested or with dots."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from records.settings import NOT_SETTINGS, Loader

SUFFIXES = (".yaml", ".yml")


class _Loader(Loader):
    """Reads 1e-3 as a number, as the command line and the presets do; YAML 1.1 wants 1.0e-3."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?\d[\d_]*(\.[\d_]*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def is_settings_file(argument: str) -> bool:
    """Whether an argument names a file of settings: it is no key=value, and ends in .yaml."""
    return "=" not in argument and argument.endswith(SUFFIXES)


def read_settings_file(path: Path, presets: Sequence[str]) -> list[str]:
    """Return the settings in a file as key=value. A run's own config.yaml is such a file.

    `presets`: names that `agent` can have; one that a run's agent was made of has the same keys.
    Raises ValueError: it cannot be read as settings. OSError: there is none.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is not a file of settings: YAML, as in `env: room_watermaze`.")
    content = {key: value for key, value in content.items() if key not in NOT_SETTINGS}
    agent, env, preset = content.get("agent"), content.get("env"), content.get("preset")
    groups: dict[str, Any] = {}  # that a run's parts are made of: what is chosen beside them fits
    if isinstance(env, dict) and env.get("backend") == "gymnasium":
        groups["env"] = "gymnasium"
    if isinstance(agent, dict) and preset in presets:
        groups["agent"] = preset
    elif isinstance(agent, dict) and "n_steps" in agent:
        groups["agent"] = "sb3_a2c"
    parts = {f"{group}.{key}": v for group in groups for key, v in content.pop(group).items()}
    content = {**groups, **parts, **content}
    return [f"{key}={_as_text(value)}" for key, value in _flat(content, path)]


def quoted(text: str) -> str:
    """Return a text so that Hydra reads it literally."""
    escaped = re.sub(r"(\\*)'", lambda found: found[1] * 2 + "\\'", text)
    backslashes = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{chr(92) * backslashes}'"


def _flat(values: Mapping[Any, Any], path: Path, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings with dotted keys, in the file's order. Raises ValueError for an odd key."""
    for key, value in values.items():
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z_][\w.]*", key):
            raise ValueError(f"{path}: {prefix}{key!r} is not the name of a setting.")
        if isinstance(value, dict) and value:
            yield from _flat(value, path, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _as_text(value: Any) -> str:
    """A value of YAML in Hydra's grammar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{','.join(map(_as_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_key(k)}:{_as_text(v)}' for k, v in value.items())}}}"
    return quoted(str(value))


def _key(key: Any) -> str:
    """A key in Hydra's grammar, which has quoted values but no quoted keys."""
    return re.sub(r"[\\()\[\]{}:=, \t]", r"\\\g<0>", str(key))
