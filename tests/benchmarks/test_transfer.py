"""The zero-shot table: its numbers, and that the documents show what is measured."""

import json
from pathlib import Path

from benchmarks.transfer import MEASURED, table

ROOT = Path(__file__).parents[2]


def test_what_is_kept_of_a_return():
    common = {"level": "maze", "frames": 7_000_000}
    runs = [
        common | {"aux": "none", "labsim": [5.0, 0.13, 11], "real": [6.5, 0.17, 19]},
        common | {"aux": "cpc", "labsim_last_tenth": 20.0, "real": [14.0, 0.5, 23]},
    ]
    assert table(runs).splitlines()[2:] == [
        "| maze | A2C | 7 million | 5.00 +- 0.13 (11) | 6.50 +- 0.17 (19) | 130% |",
        "| maze | A2C + CPC | 7 million | 20.00 (training) | 14.00 +- 0.50 (23) | 70% |",
    ]


def test_documents_show_the_committed_measurements():
    runs = json.loads(MEASURED.read_text())["runs"]
    assert table(runs) in (ROOT / "docs/backends_dmlab.md").read_text()
    readme = (ROOT / "README.md").read_text()
    for line in table([run for run in runs if run["frames"] == 10_000_000]).splitlines()[2:]:
        level, agent, _, there, real, kept = line.strip("| ").split(" | ")
        there, real = there.removesuffix(" (training)"), real.rpartition(" (")[0]
        assert f"| {level}, {agent} | {there} | {real} | {kept} |" in readme
