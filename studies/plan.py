"""A plan: the runs of a study as a yaml file.

    run_root: runs/pilots                 # where their folders go
    settings: [agent=a2c_laptop]          # of every run, as on train_agent.py's command line
    levels:                               # of the runs of a level
      room_watermaze: [total_frames=10e6]
    arms:                                 # of the runs of an arm; a name begins with its aux
      none: [aux=none]
      cpc-weak: [aux=cpc, aux.weight=0.01]
    variants:                             # optional: every arm is run once with each
      entropy-1e-3: [agent.entropy_cost=1e-3]
    cells:                                # optional: of one arm of one level
      room_watermaze: {none: [agent.entropy_cost=3e-3]}
    seeds: [101, 102]

Its runs are all combinations, the level changing fastest, then arm, variant and seed: a study that
is cut short has something of everything. Later settings replace earlier ones of the same key, in
the order level, arm, variant, cell. What the names of arm and variant add to the aux becomes the
run's tag: arm cpc-weak, variant entropy-1e-3 is the folder cpc-weak-entropy-1e-3.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import NamedTuple

import yaml

from configs import RunConfig, compose_runs
from configs.compose import GROUPS
from configs.from_mapping import from_mapping

Settings = list[str]


@dataclass(frozen=True)
class Plan:
    """The content of a plan's file, see the module's docstring."""

    run_root: str
    levels: dict[str, Settings]
    arms: dict[str, Settings]
    seeds: list[int]
    settings: Settings = field(default_factory=list)
    variants: dict[str, Settings] = field(default_factory=lambda: {"": []})
    cells: dict[str, dict[str, Settings]] = field(default_factory=dict)


class PlannedRun(NamedTuple):
    """A run of a plan: what to give train_agent.py, and what that composes to."""

    settings: tuple[str, ...]
    config: RunConfig

    @property
    def name(self) -> str:
        """Level, arm and seed, for messages."""
        return f"{self.config.env.level} {self.config.arm} seed {self.config.seed}"


def read_plan(path: Path) -> Plan:
    """Read a plan's file.

    Raises ValueError: it is no mapping, or a key or the type of its value is not allowed. OSError.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as yaml: {why}") from None
    if not isinstance(content, dict):
        raise ValueError(
            f"{path} is not a plan; it needs {', '.join(f.name for f in fields(Plan))}."
        )
    try:
        plan = from_mapping(Plan, content)
        _check(plan)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return plan


def _check(plan: Plan) -> None:
    for name in ("run_root", "levels", "arms", "variants", "seeds"):
        if not getattr(plan, name):
            raise ValueError(f"{name} is empty.")
    for level, arms in plan.cells.items():
        for arm in arms:
            if level not in plan.levels or arm not in plan.arms:
                raise ValueError(f"cells has {level} {arm}, which is not in the plan.")


def planned_runs(plan: Plan, run_root: str | None = None) -> list[PlannedRun]:
    """The runs of `plan`, each of them checked; `run_root` replaces the plan's.

    Raises ValueError, in one sentence, for settings that make no run, and where two runs would
    share a folder.
    """
    runs: list[PlannedRun] = []
    for seed, variant, arm, level in product(plan.seeds, plan.variants, plan.arms, plan.levels):
        settings = _last_of_each_key(
            [
                f"env={level}",
                *plan.settings,
                *plan.levels[level],
                *plan.arms[arm],
                *plan.variants[variant],
                *plan.cells.get(level, {}).get(arm, []),
                f"seed={seed}",
                f"run_root={run_root or plan.run_root}",
            ]
        )
        runs.append(_checked(settings, level, arm, variant))
    folders: dict[Path, PlannedRun] = {}
    for run in runs:
        other = folders.setdefault(run.config.folder, run)
        if other is not run:
            raise ValueError(f"{run.name} is in the plan twice: {' '.join(run.settings)}.")
    return runs


def _last_of_each_key(settings: Iterable[str]) -> tuple[str, ...]:
    """Groups (env=, agent=, aux=) first: they would undo what was set before them."""
    by_key = {setting.partition("=")[0]: setting for setting in settings}
    return tuple(sorted(by_key.values(), key=lambda s: s.partition("=")[0] not in GROUPS))


def _checked(settings: Sequence[str], level: str, arm: str, variant: str) -> PlannedRun:
    """Add the tag to a run's settings, and compose it."""
    aux = next((s.partition("=")[2] for s in settings if s.startswith("aux=")), "none")
    if arm.partition("-")[0] != aux:
        raise ValueError(f"arm {arm} has aux={aux}; its name must begin with {aux}.")
    tag = "-".join(part for part in (arm.partition("-")[2], variant) if part)
    named = (*settings, f"tag={tag}") if tag else tuple(settings)
    (request,) = compose_runs(list(named))
    if request.config is None:
        where = f"level {level}, arm {arm}{f', variant {variant}' if variant else ''}"
        raise ValueError(f"The plan's {where}: {request.error}")
    return PlannedRun(named, request.config)
