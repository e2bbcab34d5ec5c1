"""What agents that were trained in labsim alone keep of their return in the real DeepMind Lab.

    python -m benchmarks.transfer

prints the table of docs/backends_dmlab.md from benchmarks/results/transfer/real_lab.json, whose
README.md says how it was measured.
"""

import json
from pathlib import Path
from typing import Any

MEASURED = Path(__file__).parent / "results" / "transfer" / "real_lab.json"
ARMS = {"none": "A2C", "cpc": "A2C + CPC"}


def table(runs: list[dict[str, Any]]) -> str:
    """Return a Markdown table of `runs`, the entries of the file."""
    lines = [
        "| level | agent | frames | return in labsim | return in the real Lab | kept |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        evaluated = "labsim" in run
        there = run["labsim"][0] if evaluated else run["labsim_last_tenth"]
        in_labsim = with_error(run["labsim"]) if evaluated else f"{there:.2f} (training)"
        cells = [
            run["level"],
            ARMS[run["aux"]],
            f"{run['frames'] // 1_000_000} million",
            in_labsim,
            with_error(run["real"]),
            f"{run['real'][0] / there:.0%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_error(measured: list[float]) -> str:
    """Return a mean, its standard error and the number of episodes."""
    mean, error, episodes = measured
    return f"{mean:.2f} +- {error:.2f} ({episodes:.0f})"


if __name__ == "__main__":
    print(table(json.loads(MEASURED.read_text())["runs"]))
