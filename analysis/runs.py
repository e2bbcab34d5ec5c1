"""Run folders on disk: finding them, reading their tables, and telling which belong together.

A run's folder is `<root>/<backend>/<level>/<preset>/<aux>[-<tag>]/seed_<n>/` with config.yaml,
episodes.csv, progress.csv and aux_by_horizon.csv. An exported run (see `export`) is the same
without `<backend>`, with shorter tables, and has curves.csv in place of episodes.csv.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from analysis.statistics import FloatArray
from records.file_names import AGENT_FILE, CONFIG_FILE, EPISODES_FILE, PROGRESS_FILE
from records.settings import NOT_SETTINGS, OLDER_RUNS, flattened, may_differ, read_config

CURVES_FILE = "curves.csv"  # of an exported run, in place of episodes.csv

FRAME_COLUMNS = ("frames", "frames_from", "frames_to")


class Returns(NamedTuple):
    """Returns of a run in the order of training; a row is one episode, or one exported bin.

    Arrays are float64 [N]; NaN where a row has nothing to report.
    """

    frames: FloatArray  # environment frames when the episode ended (an exported bin's centre)
    episodes: FloatArray  # episodes in the row: 1, or the bin's number
    mean_return: FloatArray  # raw rewards summed over an episode
    successes: FloatArray  # per episode
    first_seconds: FloatArray  # nominal seconds to an episode's first success
    first_count: FloatArray  # episodes behind first_seconds
    later_seconds: FloatArray  # nominal seconds from respawn to each later success
    later_count: FloatArray  # successes behind later_seconds


@dataclass(frozen=True)
class Run:
    """A run's folder and its settings."""

    folder: Path
    config: Mapping[str, Any]

    @property
    def level(self) -> str:
        """Canonical name of the level."""
        return str(self.config["env"]["level"])

    @property
    def backend(self) -> str:
        """What simulates the level, such as "labsim"."""
        return str(self.config["env"]["backend"])

    @property
    def preset(self) -> str:
        """Name of the agent's preset, such as "a2c_laptop"."""
        return str(self.config["preset"])

    @property
    def aux(self) -> str:
        """Name of the auxiliary loss; "none" for the baseline."""
        return str(self.config["aux"]["name"])

    @property
    def arm(self) -> str:
        """`<aux>` or `<aux>-<tag>`, as in the folder's name."""
        tag = self.config.get("tag")
        return self.aux if tag is None else f"{self.aux}-{tag}"

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.config["seed"])

    @property
    def total_frames(self) -> float:
        """Environment frames after which the run is finished; 0 if it does not say."""
        return float(self.config.get("total_frames", 0))

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides what is learned, as {"agent.learning_rate": 4e-3, ...}."""
        kept = {key: value for key, value in self.config.items() if key not in NOT_SETTINGS}
        settings = {
            key: value
            for key, value in flattened(kept).items()
            if not may_differ(key) and value is not None  # older runs lack what is unset
        }
        for key, value in OLDER_RUNS.items():
            section = key.rpartition(".")[0]  # which other agents do not have
            if any(known.rpartition(".")[0] == section for known in settings):
                settings.setdefault(key, value)
        if self.aux == "none":  # then the other keys of aux change nothing
            return {k: v for k, v in settings.items() if k == "aux.name" or k[:4] != "aux."}
        return settings

    @property
    def shared_settings(self) -> dict[str, Any]:
        """The settings that arms of one comparison have in common: no seed, tag or aux."""
        return {
            key: value
            for key, value in self.settings.items()
            if key not in ("seed", "tag") and not key.startswith("aux.")
        }

    @cached_property
    def returns(self) -> Returns:
        """The run's finished episodes. Raises ValueError for a table that is not one, or an agent.

        An agent to share (`analysis.pretrained`) is no run: it has no curves.
        """
        if (self.folder / AGENT_FILE).is_file():
            raise ValueError(f"{self.folder} is an agent without curves; name the run it is of")
        exported = self.folder / CURVES_FILE
        if exported.is_file():
            return _exported_returns(exported)
        return _episode_returns(self.folder / EPISODES_FILE)

    @cached_property
    def frames(self) -> float:
        """Environment frames that the run has trained for, as far as its tables tell."""
        seen = [self.returns.frames]
        for name, column in ((PROGRESS_FILE, "frames"), (CURVES_FILE, "frames_to")):
            if (self.folder / name).is_file():
                seen.append(read_table(self.folder / name, (column,))[column])
        return max((float(frames[-1]) for frames in seen if len(frames)), default=0.0)

    @cached_property
    def bin_width(self) -> float:
        """Environment frames behind each row of `returns`; 0 where a row is an episode."""
        exported = self.folder / CURVES_FILE
        if not exported.is_file():
            return 0.0
        return float(read_table(exported, ("frames_to",))["frames_to"][0])


def open_run(folder: Path) -> Run:
    """The run in `folder`. Raises ValueError: it has no config.yaml, or not a run's."""
    run = Run(folder, read_config(folder))
    try:
        _ = (run.level, run.backend, run.preset, run.aux, run.seed, run.total_frames)
    except (KeyError, TypeError, ValueError, OverflowError):  # the last: a seed of .inf
        raise ValueError(
            f"{folder / CONFIG_FILE} is not a run's configuration: "
            "it needs env.level, env.backend, preset, aux.name, seed, and a number as total_frames"
        ) from None
    return run


def find_runs(paths: Iterable[Path]) -> list[Run]:
    """All runs in `paths`, in a fixed order, each once.

    A path is a run's folder, or a folder that holds run folders (named seed_<n>) at any depth, or
    agents to share.
    Raises ValueError: no such folder, or no run in it.
    """
    found: dict[Path, Run] = {}
    for path in paths:
        if not path.is_dir():
            raise ValueError(f"there is no folder {path}")
        inside = [path] if (path / CONFIG_FILE).is_file() else []
        inside += [config.parent for config in path.glob(f"**/seed_*/{CONFIG_FILE}")]
        inside += [agent.parent for agent in path.glob(f"*/{AGENT_FILE}")]
        if not inside:
            raise ValueError(f"there is no run in {path}: a run's folder holds {CONFIG_FILE}")
        for folder in inside:
            found.setdefault(folder.resolve(), open_run(folder))
    return sorted(found.values(), key=_order)


def matching_runs(run_dir: Path) -> list[Path]:
    """Folders of the runs that may share a figure with `run_dir`, itself included.

    They lie in the same preset's folder and have the same settings apart from seed, aux, tag and
    what does not change learning (device, threads, logging). Raises ValueError if `run_dir` is no
    run.
    """
    this = open_run(run_dir)
    matches = []
    for config in run_dir.resolve().parents[1].glob(f"*/seed_*/{CONFIG_FILE}"):
        try:
            other = open_run(config.parent)
        except (ValueError, OSError):
            continue  # a damaged neighbour must not spoil this run's figure
        if not differing_settings(this, other):
            matches.append(other)
    return [run.folder for run in sorted(matches, key=_order)]


def readable_runs(folders: Iterable[Path]) -> tuple[list[Path], list[str]]:
    """Sort `folders` into those whose tables can be drawn, and sentences on why others cannot."""
    readable, damaged = [], []
    for folder in folders:
        try:
            run = open_run(folder)
            _ = run.returns, run.frames
            readable.append(folder)
        except (ValueError, OSError) as error:
            damaged.append(str(error))
    return readable, damaged


def differing_settings(run: Run, other: Run) -> list[str]:
    """Names of the shared settings (see `Run.shared_settings`) in which two runs differ."""
    one, two = run.shared_settings, other.shared_settings
    return [key for key in sorted(one.keys() | two.keys()) if one.get(key) != two.get(key)]


def column_names(path: Path) -> list[str]:
    """The header of a CSV file; empty while it has no line. Raises ValueError: it is no table."""
    with _as_table(path), open(path, newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def read_table(path: Path, columns: Iterable[str]) -> dict[str, FloatArray]:
    """The named columns of a CSV file, float64 [N]; empty cells are NaN.

    A last line without its newline is still being written by a running process and is left out; so
    is everything in a file that has no line yet.
    Raises ValueError: a column is missing, a row has too few cells, a cell is not a number, frames
    are not finite, or the file is no table.
    """
    with _as_table(path):
        text = path.read_text(encoding="utf-8")
        rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))
    if not rows:
        return {column: np.empty(0) for column in columns}
    header, body = rows[0], rows[1:]
    table = {}
    for column in columns:
        if column not in header:
            raise ValueError(f"{path} has no column {column!r}")
        place = header.index(column)
        try:
            values = [float(row[place]) if row[place] else math.nan for row in body]
            if column in FRAME_COLUMNS and not all(map(math.isfinite, values)):
                raise ValueError
        except (ValueError, IndexError):
            raise ValueError(f"{path} has a row without a number for {column!r}") from None
        table[column] = np.array(values, dtype=np.float64)
    return table


@contextmanager
def _as_table(path: Path) -> Iterator[None]:
    """Let what Python raises inside where `path` holds no table of text name it."""
    try:
        yield
    except (UnicodeDecodeError, csv.Error):
        raise ValueError(f"{path} is damaged: it is no table of text") from None


def _episode_returns(path: Path) -> Returns:
    names = ("frames", "return", "successes", "first_success_seconds", "later_success_seconds")
    # A run that has just begun has no table yet: the same as a table without rows.
    table = read_table(path, names) if path.is_file() else {name: np.empty(0) for name in names}
    frames, mean_return, successes, first, later = (table[name] for name in names)
    return Returns(
        frames=frames,
        episodes=np.ones_like(frames),
        mean_return=mean_return,
        successes=successes,
        first_seconds=first,
        first_count=(~np.isnan(first)).astype(np.float64),
        later_seconds=later,
        later_count=np.where(np.isnan(later), 0.0, np.nan_to_num(successes) - 1.0),
    )


def _exported_returns(path: Path) -> Returns:
    table = read_table(path, ("frames_from", "frames_to", *CURVES_COLUMNS))
    centres = (table["frames_from"] + table["frames_to"]) / 2
    return Returns(centres, *(table[name] for name in CURVES_COLUMNS))


# Columns of curves.csv after frames_from and frames_to, in the order of Returns' fields.
CURVES_COLUMNS = (
    "episodes",
    "return_mean",
    "successes_mean",
    "first_success_seconds",
    "first_successes",
    "later_success_seconds",
    "later_successes",
)


def _order(run: Run) -> tuple[str, str, str, str, int, str]:
    return run.level, run.backend, run.preset, run.arm, run.seed, str(run.folder)
