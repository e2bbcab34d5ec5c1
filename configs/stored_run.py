"""The settings in a run's folder, which anybody may have written.

Reading them runs no code. What they name is imported only where the user has said so, and never
from the run's own folder or beside it: a folder that was downloaded must not bring its own program.
"""

import importlib.util
import sysconfig
from pathlib import Path

from configs.from_mapping import from_mapping
from configs.run_config import RunConfig
from envs.config import EnvConfig
from records.settings import load_settings

# Settings that reach into an environment or a file system as they are.
PASSED_ON = ("kwargs", "lab_settings", "level_cache")
INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")  # folders of installed packages


def config_of_run(run: Path, trust: bool = False) -> RunConfig:
    """Return the checked settings of the run in the folder `run`.

    `trust`: the user trusts whoever made the run. Raises ValueError, in one sentence: the settings
    cannot be read or are not allowed, or they need trust that was not given or cannot be.
    """
    config = from_mapping(RunConfig, load_settings(run))
    config.validate()
    needs = [f"import {module}{_from(module)}" for module in modules(config.env)]
    for module in modules(config.env):
        if comes_with(run, module):
            raise ValueError(
                f"{run} names the module {module}, which comes with the run{_from(module)}; only "
                "installed packages and your own modules elsewhere are imported."
            )
    needs += [
        f"use env.{name}={getattr(config.env, name)}"
        for name in PASSED_ON
        if getattr(config.env, name)
    ]
    if needs and not trust:
        raise ValueError(
            f"{run} asks to {', '.join(needs)}; if you trust whoever made it, add trust=true."
        )
    return config


def modules(config: EnvConfig) -> list[str]:
    """The modules that making these environments imports, beside Gymnasium's own and ours."""
    named = [str(config.id).rpartition(":")[0]] if config.id else []
    extra = (config.wrappers.extra if config.wrappers else None) or []
    named += [path.rpartition(".")[0] for path in extra]
    return [name for name in named if name]


def comes_with(run: Path, module: str) -> bool:
    """Return whether `module` lies in the folder `run`, beside it, or in a package around it."""
    run = run.resolve()
    installed = [Path(sysconfig.get_path(name)).resolve() for name in INSTALLED]
    for place in _places(module):
        if any(place.is_relative_to(path) for path in installed):
            continue
        if place.is_relative_to(run.parent) or (place.is_dir() and run.is_relative_to(place)):
            return True
    return False


def _places(module: str) -> list[Path]:
    """Files and folders of the top-level package of `module`, found without importing it."""
    try:
        spec = importlib.util.find_spec(module.split(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return []
    folders = list(spec.submodule_search_locations or [])
    files = [spec.origin] if spec.origin is not None and spec.has_location else []
    return [Path(place).resolve() for place in folders or files]


def _from(module: str) -> str:
    places = _places(module)
    return f" ({places[0]})" if places else ""
