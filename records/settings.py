"""The settings in a run's config.yaml, and which of them decide what is learned."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from records.file_names import CONFIG_FILE

# What may differ when a run continues: none of it changes what is learned.
MAY_DIFFER = (
    "device",
    "fast",
    "run_root",
    "threads",
    "log",
    "resume",
    "agent.compile",
    "env.worker_timeout_s",
    "env.level_cache",
)
EXTENDABLE = "total_frames"
NOT_SETTINGS = ("starts",)  # what config.yaml holds for the record
MAX_CONFIG_BYTES = 2**20

# Settings that did not exist for older runs, and what those did.
OLDER_RUNS = {
    "agent.learning_rate_decay": True,
    "agent.rmsprop_bias_correction": False,
    "agent.network.core": "lstm",
    "agent.network.precision": "auto",
    "aux.trains": "both",
}


class Loader(yaml.SafeLoader):
    """Reads plain data; a value that contains itself, as `&x {a: *x}` does, is a YAMLError."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """What `node` says, with all that it contains, so that PyYAML meets it again inside."""
        return super().construct_object(node, deep=True)


def load_settings(path: Path) -> dict[str, Any]:
    """Return the settings in a run folder's config.yaml.

    Raises ValueError: there is none, or it cannot be read.
    """
    return {key: value for key, value in read_config(path).items() if key not in NOT_SETTINGS}


def read_config(path: Path) -> dict[str, Any]:
    """Return what is in a run folder's config.yaml: plain data, whoever wrote it.

    Raises ValueError: there is none, or it cannot be read.
    """
    file = path / CONFIG_FILE
    try:
        if file.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError("too large")
        content = yaml.load(file.read_text(encoding="utf-8"), Loader)
    except (FileNotFoundError, NotADirectoryError):
        below = min(path.glob(f"seed_*/{CONFIG_FILE}"), default=None)
        hint = "" if below is None else f" {below.parent} is one."
        raise ValueError(
            f"{path} is not the folder of a run: it has no {CONFIG_FILE}.{hint}"
        ) from None
    # ValueError: no text, or a date that is none; RecursionError: nested too deeply
    except (yaml.YAMLError, ValueError, RecursionError, IsADirectoryError):
        content = None
    if not isinstance(content, dict) or not _names_are_texts(content):
        raise ValueError(f"{file} cannot be read as settings.")
    return content


def _names_are_texts(settings: Mapping[Any, Any]) -> bool:
    return all(
        isinstance(key, str) and (not isinstance(value, Mapping) or _names_are_texts(value))
        for key, value in settings.items()
    )


def first_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return (key, old value, new value) of the first setting that differs, or None.

    What `may_differ` is not compared, nor the other keys of an auxiliary loss that is "none" in
    both. `total_frames` comes last, so that it is named only where it is the only difference.
    """
    now = flattened(new)
    before = {key: value for key, value in OLDER_RUNS.items() if key in now} | flattened(old)
    no_aux = before.get("aux.name") == now.get("aux.name") == "none"
    keys = sorted(before.keys() | now.keys(), key=lambda key: (key == EXTENDABLE, key))
    for key in keys:
        compared = not may_differ(key) and not (no_aux and key.startswith("aux."))
        if compared and before.get(key) != now.get(key):
            return key, before.get(key), now.get(key)
    return None


def may_differ(key: str) -> bool:
    """Whether the setting `key`, dotted, is one that does not change what is learned."""
    return key in MAY_DIFFER or key.split(".")[0] in MAY_DIFFER


def flattened(settings: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested settings as one level of dotted keys."""
    flat = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat.update(flattened(value, f"{path}{key}."))
        else:
            flat[path + key] = value
    return flat
