"""Arms of a comparison: runs that differ in nothing but their seed, with a name and a look."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.runs import Run
from analysis.statistics import statistic_name

BASELINE = "none"

# Baseline black and CPC red, as in figure 6 of the CPC paper (van den Oord et al. 2018).
COLOURS = {BASELINE: "black", "cpc": "#d62728", "cpc_action": "#1f77b4"}
OTHER_COLOUR = "#2ca02c"
NAMES = {BASELINE: "A2C", "cpc": "A2C + CPC", "cpc_action": "A2C + CPC|A"}
# Arms of the same auxiliary loss share its colour; dashes are kept for committed results.
LINE_STYLES = ("-", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


@dataclass(frozen=True)
class Arm:
    """Runs of equal settings, one per seed, and how they are drawn."""

    runs: tuple[Run, ...]
    label: str
    colour: str
    line_style: Any = "-"

    @property
    def label_with_seeds(self) -> str:
        """The label, how many seeds there are and how they are summarised."""
        count = len(self.runs)
        if count == 1:
            return f"{self.label} (1 seed)"
        return f"{self.label} ({statistic_name(count)} of {count} seeds)"


def group_arms(runs: Iterable[Run]) -> list[Arm]:
    """Sort `runs` of one level into arms: the baseline first, then CPC, then the others.

    Arms that share aux and tag are told apart by naming the settings in which they differ. A seed
    counts once in an arm: of several copies of a run, the one that has trained furthest is kept.
    """
    groups: dict[tuple[int, str, str, str], dict[int, Run]] = {}
    for run in runs:
        seeds = groups.setdefault(_arm_key(run), {})
        if run.seed not in seeds or run.frames > seeds[run.seed].frames:
            seeds[run.seed] = run
    members = [tuple(run for _, run in sorted(groups[key].items())) for key in sorted(groups)]
    drawn = Counter[str]()  # arms so far, by aux
    arms = []
    for runs_of_arm in members:
        first = runs_of_arm[0]
        alike = [other[0] for other in members if other[0].arm == first.arm]
        style = LINE_STYLES[drawn[first.aux] % len(LINE_STYLES)]
        drawn[first.aux] += 1
        label = ", ".join([_name(first), *_differences(first, alike)])
        arms.append(Arm(runs_of_arm, label, COLOURS.get(first.aux, OTHER_COLOUR), style))
    return arms


def _arm_key(run: Run) -> tuple[int, str, str, str]:
    """Equal for runs of one arm; sorts arms into the order of COLOURS."""
    rank = list(COLOURS).index(run.aux) if run.aux in COLOURS else len(COLOURS)
    settings = {key: value for key, value in run.settings.items() if key != "seed"}
    return rank, run.aux, run.arm, repr(sorted(settings.items()))


def _name(run: Run) -> str:
    name = NAMES.get(run.aux, f"A2C + {run.aux}")
    tag = run.config.get("tag")
    return name if tag is None else f"{name} [{tag}]"


def _differences(run: Run, alike: Sequence[Run]) -> list[str]:
    """What tells `run` from the runs `alike`: its preset, and `key=value` for each other setting.

    Settings of other presets are not compared: their names may differ as well.
    """
    same = [other for other in alike if other.preset == run.preset]
    preset = [run.preset] if len(same) < len(alike) else []
    return preset + [
        f"{key.rpartition('.')[2]}={value}"
        for key, value in sorted(run.settings.items())
        if key != "seed" and any(other.settings.get(key) != value for other in same)
    ]
