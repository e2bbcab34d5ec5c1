"""Table and figure of the comparison."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from analysis.figure import add_caption, house_style, new_figure, save_figure
from envs import FRAMES_PER_STEP

OURS = ("ours", "labsim")  # what names of this project's own begin with


class Row(NamedTuple):
    """One agent or environment."""

    name: str
    label: str
    what: str  # an agent's memory; an environment's picture
    agent_steps_per_s: float
    ours_is_times_as_fast: float
    gradient_passes_per_sample: int | None = None  # None: an environment

    def as_json(self) -> dict[str, Any]:
        """All but the names, without what does not apply."""
        row = self._asdict()
        return {k: v for k, v in row.items() if k not in ("name", "label") and v is not None}


def markdown(machine: str, agents: Sequence[Row], worlds: Sequence[Row]) -> str:
    """Both tables."""
    lines = [
        f"Machine: {machine}.",
        "",
        "| agent | memory | gradient passes per sample | agent steps/s | frames/s | ours is |",
        "|---|---|---|---|---|---|",
    ]
    for row in agents:
        frames = f"{FRAMES_PER_STEP * row.agent_steps_per_s:,.0f}"
        lines.append(
            f"| {row.label} | {row.what} | {row.gradient_passes_per_sample} "
            f"| {row.agent_steps_per_s:,.0f} | {frames} | {row.ours_is_times_as_fast:.2f} times |"
        )
    lines += [
        "",
        "| environment, one core | picture | agent steps/s | labsim's batch is |",
        "|---|---|---|---|",
    ]
    for row in worlds:
        lines.append(
            f"| {row.label} | {row.what} | {row.agent_steps_per_s:,.0f} "
            f"| {row.ours_is_times_as_fast:.2f} times |"
        )
    return "\n".join(lines)


def write_report(folder: Path, machine: str, agents: Sequence[Row], worlds: Sequence[Row]) -> None:
    """Write peers.md, peers.csv and peers.png; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.md").write_text(markdown(machine, agents, worlds) + "\n")
    with (folder / "peers.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        for row in [*agents, *worlds]:
            writer.writerow("" if x is None else x for x in row)
    with house_style():
        figure, (left, right) = new_figure(2, 2, 5.2, 3.0)
        _draw_bars(left, agents, "training, agent steps/s")
        _draw_bars(right, worlds, "environment alone, one core, agent steps/s")
        add_caption(figure, [f"{machine}.", "Medians over alternating blocks of one process."])
    save_figure(figure, folder / "peers.png")


def _draw_bars(axes: Axes, rows: Sequence[Row], title: str) -> None:
    """A bar per row, the first on top, each with its number."""
    colours = ["C0" if row.name.startswith(OURS) else "0.6" for row in rows]
    bars = axes.barh(
        [row.label for row in rows], [r.agent_steps_per_s for r in rows], color=colours
    )
    axes.bar_label(bars, [f"{r.agent_steps_per_s:,.0f}" for r in rows], padding=3, fontsize=8)
    axes.margins(x=0.25)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7.5)
