"""Run folders made up of known numbers."""

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

EPISODE_COLUMNS = (
    "frames",
    "return",
    "length",
    "successes",
    "first_success_seconds",
    "later_success_seconds",
)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a run's folder under tmp_path/runs and return it.

    `episodes`: (frames, return) or rows of all six columns; None: no table yet.
    """

    def make(
        aux: str = "none",
        seed: int = 1,
        episodes: Iterable[Sequence[Any]] | None = (),
        *,
        tag: str | None = None,
        level: str = "room_watermaze",
        root: str = "runs",
        **changes: Any,
    ) -> Path:
        arm = aux if tag is None else f"{aux}-{tag}"
        folder = tmp_path / root / "labsim" / level / "a2c_laptop" / arm / f"seed_{seed}"
        folder.mkdir(parents=True)
        config: dict[str, Any] = {
            "env": {"level": level, "backend": "labsim", "num_envs": 16},
            "agent": {"network": {"encoder": "shallow"}, "learning_rate": 0.004},
            "aux": {"name": aux, "weight": 0.03, "horizon": 30},
            "preset": "a2c_laptop",
            "total_frames": 1000,
            "seed": seed,
            "device": "auto",
            "run_root": root,
            "tag": tag,
            "threads": None,
            "log": {"every_frames": 100},
            "resume": {"extend": False},
            "starts": [{"git": {"commit": None, "dirty": None}, "versions": {"numpy": "2.0"}}],
        }
        for key, value in changes.items():
            *path, last = key.split("__")
            place = config
            for name in path:
                place = place[name]
            place[last] = value
        (folder / "config.yaml").write_text(
            yaml.safe_dump(config, allow_unicode=True), encoding="utf-8"
        )
        if episodes is not None:
            rows = [row if len(row) == 6 else (*row, 1800, 0, None, None) for row in episodes]
            write_csv(folder / "episodes.csv", EPISODE_COLUMNS, rows)
        return folder

    return make
