"""Command-line settings to runs: Hydra composes the yaml files, the schema checks the outcome.

Hydra's compose API is used instead of `hydra.main`, because a run's folder must not depend on
Hydra's, one sentence must explain a mistake, and a failed job must not end a sweep.
"""

import argparse
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from configs.run_config import RunConfig
from configs.typed import from_mapping

FOLDER = Path(__file__).resolve().parent
GROUPS = ("env", "agent", "aux")


class Job(NamedTuple):
    """One run that was asked for: the settings given, and what they make, or why they do not."""

    settings: tuple[str, ...]  # key=value, one value each
    config: RunConfig | None
    error: str | None


def jobs_from_command_line(argv: list[str] | None, description: str) -> list[Job]:
    """Return the runs that a command line asks for (None: this process's own).

    `-h` prints `description` and ends the program. Raises ValueError: see `compose_jobs`.
    """
    groups = "\n".join(f"  {group}={' | '.join(options(group))}" for group in GROUPS)
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"presets:\n{groups}\n\nall settings: {FOLDER / 'config.yaml'} and beside it",
    )
    parser.add_argument("settings", nargs="*", metavar="key=value")
    parser.add_argument("-m", "--multirun", action="store_true", help="run all combinations")
    arguments, unknown = parser.parse_known_intermixed_args(argv)
    if unknown:
        raise ValueError(f"{unknown[0]} is not an option; allowed: -m, -h and key=value settings.")
    return compose_jobs(arguments.settings, arguments.multirun)


def compose_jobs(arguments: list[str], multirun: bool = False) -> list[Job]:
    """Return the runs that `arguments` (Hydra's key=value grammar) ask for.

    With `multirun`, a key may have several values (`seed=1,2,3`, `seed=range(1,4)`), and every
    combination is a job, the last key changing fastest. A job whose values are not allowed carries
    its error. Raises ValueError where `arguments` cannot be read at all.
    """
    alternatives = [_alternatives(argument, multirun) for argument in arguments]
    return [_job(settings) for settings in itertools.product(*alternatives)]


def options(group: str) -> list[str]:
    """Return the names that `group` ("env", "agent" or "aux") can take."""
    return sorted(path.stem for path in (FOLDER / group).glob("*.yaml"))


def _job(settings: tuple[str, ...]) -> Job:
    try:
        return Job(settings, _compose(settings), None)
    except ValueError as error:
        return Job(settings, None, str(error))


def _compose(settings: tuple[str, ...]) -> RunConfig:
    """Return the checked run that `settings` make of the yaml files."""
    try:
        with initialize_config_dir(str(FOLDER), version_base="1.3"):
            composed = compose("config", [_for_hydra(setting) for setting in settings])
        values: Any = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ValueError(f"{' '.join(settings)}: {str(error).splitlines()[0]}") from error
    if "n_steps" in values["agent"] and values["env"].get("backend") != "labsim":
        raise ValueError(
            f"agent=sb3_a2c trains in labsim only, but env.backend is {values['env']['backend']}."
        )
    config = from_mapping(RunConfig, values)
    if config.aux.name == "none":
        # Keys of the other arms are allowed, so that one sweep can hold both, and say nothing.
        config = from_mapping(RunConfig, values | {"aux": {"name": "none"}})
    config.validate()
    return replace(config, env=config.env.canonical())  # one name, one folder


def _parse(argument: str) -> Override:
    """Return the argument in Hydra's terms. Raises ValueError."""
    try:
        override = OverridesParser.create().parse_overrides([argument])[0]
    except HydraException:
        override = None
    if override is None or not override.key_or_group or override.type is OverrideType.DEL:
        raise ValueError(f"{argument!r} is not a setting; write key=value, as in total_frames=1e6.")
    return override


def _alternatives(argument: str, multirun: bool) -> list[str]:
    """Return the argument once per value that it lists."""
    override = _parse(argument)
    key = override.get_key_element().lstrip("+")
    if not override.is_sweep_override():
        return [argument.lstrip("+")]
    if not multirun:
        raise ValueError(f"{argument} lists several values; add -m to run one after the other.")
    if not override.is_discrete_sweep():
        raise ValueError(f"{argument} is a continuous range; list the values: {key}=1,2,3.")
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def _for_hydra(setting: str) -> str:
    """Return the setting as an override that Hydra accepts without knowing the key.

    Raises ValueError for an unknown member of a group; the schema finds unknown keys.
    """
    override = _parse(setting)
    if override.key_or_group not in GROUPS:
        return "++" + setting
    names, value = options(override.key_or_group), override.value()
    if value not in names:
        raise ValueError(
            f"{setting} is not known; {override.key_or_group} can be {', '.join(names)}."
        )
    return setting
