"""Command-line settings to runs: Hydra composes the yaml files, the schema checks the outcome.

Hydra's compose API is used instead of `hydra.main`, because a run's folder must not depend on
Hydra's, one sentence must explain a mistake, and a failed run must not end a sweep.
"""

import argparse
import itertools
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override, OverrideType
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from configs.from_mapping import from_mapping, keys_of, unknown_key
from configs.run_config import RunConfig
from configs.settings_file import is_settings_file, quoted, read_settings_file
from cpc_aux.config import CONFIGS, AuxConfig
from envs.config import ALIASES, LEVELS

FOLDER = Path(__file__).resolve().parent
GROUPS = ("env", "agent", "aux")
TEXTS = keys_of(RunConfig, str)
SECTIONS = keys_of(RunConfig, dict)
MAX_VALUES = 10_000  # of one key in a sweep: range(1,inf) has no end


class RunRequest(NamedTuple):
    """One run that was asked for: the settings given, and what they make, or why they do not."""

    settings: tuple[str, ...]  # key=value, one value each
    config: RunConfig | None
    error: ValueError | None
    name: str = ""  # the settings that tell it from the others of a sweep
    arguments: tuple[str, ...] = ()  # that ask for this run alone: files of settings, key=value


def parse_runs(argv: list[str] | None, description: str) -> list[RunRequest]:
    """Return the runs that a command line asks for (None: this process's own).

    `-h` prints `description` and ends the program. Raises ValueError: see `compose_runs`.
    """
    groups = "\n".join(f"  {group}={' | '.join(options(group))}" for group in GROUPS)
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"presets:\n{groups}\n\nall settings: {FOLDER / 'config.yaml'} and beside it",
    )
    parser.add_argument("settings", nargs="*", metavar="key=value | FILE.yaml")
    parser.add_argument("-m", "--multirun", action="store_true", help="run all combinations")
    arguments, unknown = parser.parse_known_intermixed_args(argv)
    if unknown:
        raise ValueError(
            f"{unknown[0]} is not an option; allowed: -m, -h, key=value settings and files of them."
        )
    return compose_runs(arguments.settings, arguments.multirun)


def compose_runs(arguments: list[str], multirun: bool = False) -> list[RunRequest]:
    """Return the runs that `arguments` (Hydra's key=value grammar, files of settings) ask for.

    With `multirun`, a key may have several values (`seed=1,2,3`, `seed=range(1,4)`), and every
    combination is a request, the last key changing fastest. One whose values are not allowed
    carries its error. Raises ValueError where `arguments` cannot be read at all, and where two
    different runs would be trained in one folder.
    """
    files = [argument for argument in arguments if is_settings_file(argument)]
    from_files = [read_settings_file(Path(file), options("agent")) for file in files]
    settings = [a for a in arguments if not is_settings_file(a)]  # which win over the files'
    chosen = {a.partition("=")[0] for a in settings}
    alternatives = [[a] for a in itertools.chain(*from_files) if not _replaced(a, chosen)]
    in_files = len(alternatives)
    alternatives += [_alternatives(setting, multirun) for setting in settings]
    requests = [_request(settings) for settings in itertools.product(*alternatives)]
    _refuse_a_shared_folder(requests)
    varies = [len(set(given)) > 1 for given in zip(*(r.settings for r in requests), strict=True)]
    return [
        request._replace(
            name=shlex.join(itertools.compress(request.settings, varies)),
            arguments=(*files, *request.settings[in_files:]),
        )
        for request in requests
    ]


def _replaced(setting: str, chosen: set[str]) -> bool:
    """Whether a file's setting goes with the member of a group in whose place another is chosen."""
    key = setting.partition("=")[0]
    group = "agent" if key == "preset" else key.split(".")[0]
    return group in GROUPS and group in chosen


def _refuse_a_shared_folder(requests: list[RunRequest]) -> None:
    """Raise ValueError, with a tag that would help, if two different runs have the same folder."""
    first: dict[Path, RunRequest] = {}
    for request in requests:
        if request.config is None:
            continue
        other = first.setdefault(request.config.folder, request)
        if other.config == request.config:
            continue
        pairs = zip(other.settings, request.settings, strict=True)
        one, two = zip(*((a, b) for a, b in pairs if a != b), strict=True)
        keys = [setting.partition("=")[0] for setting in one]
        tag = "tag=" + "_".join(f"{key.rpartition('.')[2]}${{{key}}}" for key in keys)
        hint = "" if set(keys) & set(GROUPS) else f", as in {shlex.quote(tag)}"
        raise ValueError(
            f"{' '.join(one)} and {' '.join(two)} would both be trained in "
            f"{request.config.folder}; tell them apart with a tag{hint}."
        )


def options(group: str) -> list[str]:
    """Return the names that `group` ("env", "agent" or "aux") can take."""
    return sorted(path.stem for path in (FOLDER / group).glob("*.yaml"))


def _request(settings: tuple[str, ...]) -> RunRequest:
    try:
        return RunRequest(settings, _compose(settings), None)
    except ValueError as error:
        return RunRequest(settings, None, error)


def _compose(settings: tuple[str, ...]) -> RunConfig:
    """Return the checked run that `settings` make of the yaml files."""
    try:
        with initialize_config_dir(str(FOLDER), version_base="1.3"):
            hydra_settings = [_for_hydra(setting) for setting in settings]
            composed = compose("config", hydra_settings, return_hydra_config=True)
        choices = composed.hydra.runtime.choices
        composed = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
        values: Any = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        said = str(error).splitlines()[0]
        if found := re.fullmatch(r"Error merging override \++(.*)", said):
            raise ValueError(f"{found[1]} is not of the kind that belongs there.") from error
        raise ValueError(f"{' '.join(settings)}: {said}") from error
    level = values["env"].get("level")
    if choices["env"] not in (level, "gymnasium") and level in (*LEVELS, *ALIASES):
        # As env=level, with what is tuned for it.
        rest = [s for s in settings if s.partition("=")[0] != "env"]
        return _compose((f"env={level}", *rest))
    values.setdefault("preset", choices["agent"])
    values["aux"] = {"name": choices["aux"], **(values.get("aux") or {})}
    of_sb3 = "n_steps" in values["agent"] and "unroll_length" not in values["agent"]
    if of_sb3 and values["env"].get("backend") != "labsim":
        raise ValueError(
            f"agent=sb3_a2c trains in labsim only, but env.backend is {values['env']['backend']}."
        )
    if values["aux"]["name"] == "none":
        # Keys of the other arms are allowed, so that one sweep can hold both, and say nothing.
        others = (
            set().union(*map(get_type_hints, CONFIGS.values())) - get_type_hints(AuxConfig).keys()
        )
        values["aux"] = {k: v for k, v in values["aux"].items() if k not in others}
    config = from_mapping(RunConfig, values)
    if config.aux.name == "none":
        config = replace(config, aux=AuxConfig(name="none"))
    config.validate()
    return replace(config, env=config.env.canonical())  # one name, one folder


def _parse(argument: str) -> Override:
    """Return the argument in Hydra's terms. Raises ValueError.

    What is not of Hydra's grammar, as a folder's name may be, is taken literally where a text is
    wanted.
    """
    key, _, text = argument.partition("=")
    for form in (argument, f"{key}={quoted(text)}"):
        try:
            override = OverridesParser.create().parse_overrides([form])[0]
        except (HydraException, RecursionError):
            continue
        named = override.key_or_group and override.package is None
        allowed = form is argument or override.key_or_group in TEXTS
        if named and allowed and override.type is not OverrideType.DEL:
            return override
    raise ValueError(f"{argument!r} is not a setting; write key=value, as in total_frames=1e6.")


def _alternatives(argument: str, multirun: bool) -> list[str]:
    """Return the argument once per value that it lists. Raises ValueError: none, or too many."""
    override = _parse(argument)
    key = override.get_key_element().lstrip("+")
    if not override.is_sweep_override():
        return [argument.lstrip("+")]
    if isinstance(override.value(), Glob):
        names = f"={','.join(options(key))}" if key in GROUPS else ""
        raise ValueError(f"{argument} is a pattern; list the values: {key}{names or '=1,2,3'}.")
    if not multirun:
        number = key.endswith("frames") and re.fullmatch(r"[^=]+=\d+(,\d{3})+", argument)
        meant = f", or write {argument.replace(',', '_')}" if number else ""
        raise ValueError(
            f"{argument} lists several values; add -m to run one after the other{meant}."
        )
    if not override.is_discrete_sweep():
        raise ValueError(f"{argument} is a continuous range; list the values: {key}=1,2,3.")
    try:
        values = list(itertools.islice(override.sweep_string_iterator(), MAX_VALUES + 1))
    except (HydraException, ValueError):  # a step of 0
        values = []
    if not values:
        raise ValueError(f"{argument} lists no value; write the values, as in {key}=1,2,3.")
    if len(values) > MAX_VALUES:
        raise ValueError(f"{argument} lists more than {MAX_VALUES} values; each of them is a run.")
    return [f"{key}={value}" for value in values]


def _for_hydra(setting: str) -> str:
    """Return the setting as an override that Hydra accepts without knowing the key.

    Raises ValueError for an unknown member of a group, for a part of the settings that is replaced
    by something else, and for Hydra's own settings and the tuned values; the schema finds other
    unknown keys.
    """
    override = _parse(setting)
    key, value = override.key_or_group, override.value()
    if key.split(".")[0] in ("hydra", "tuned"):
        raise unknown_key(RunConfig, key)
    if key in GROUPS:
        names = options(key)
        if value not in names:
            others = "; others are env=gymnasium env.id=CartPole-v1, say" if key == "env" else ""
            raise ValueError(f"{setting} is not known; {key} can be {', '.join(names)}{others}.")
        return setting
    if key in SECTIONS and not isinstance(value, dict | None):
        raise ValueError(f"{key} is {value!r}; set its parts, as in {key}.NAME=VALUE.")
    if key in TEXTS and not isinstance(value, str | None):  # tag=1e3 is no number
        return f"++{key}={quoted(setting.partition('=')[2])}"
    return f"++{override.input_line}"
