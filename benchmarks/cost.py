"""What training costs as the work grows: speed and memory against one size at a time.

    python -m benchmarks.cost [--sweeps NAME ...] [--seconds 3] [--threads N] [--json]
                              [--out FOLDER] [--figure FILE]

Each point is a run of the a2c preset on room_watermaze with one setting changed, in a process of
its own, one after the other; the preset's own point is measured anew in every sweep, so that a
change of the machine's speed shows. Speed is over at least `--seconds` after a warm-up; memory is
that of the process and its workers at the end, with shared memory counted once. Linux only.

--out writes cost.csv with the machine, --figure the panels. A full run takes some five minutes on
two quiet cores.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes

import envs.labsim.vector_env
from agents.batched_env import BatchedEnv
from agents.devices import available_cores, prepare_cpu
from analysis.figure import add_caption, house_style, new_figure, save_figure
from benchmarks.machine import machine_line
from benchmarks.process_tree import memory_of_tree
from benchmarks.train_speed import build_learner
from envs import FRAMES_PER_STEP, EnvConfig, make_vec_env

ROOT = Path(__file__).parent.parent
IMAGE, THREADS = "image", "threads"  # settings of a point that are not the configuration's


class Sweep(NamedTuple):
    """One setting, its values, and how their axis is drawn."""

    setting: str
    aux: str
    values: tuple[str, ...]
    title: str


def sweeps(threads: int) -> dict[str, Sweep]:
    """All sweeps, by name."""
    cores = [str(n) for n in (1, 2, 4, 8, 16, 32, 64) if n < threads] + [str(threads)]
    negatives = ("sequence", "same_step", "others", "pool")
    images = ("36x48", "54x72", "72x96", "108x144", "144x192")
    return {
        "num_envs": Sweep(
            "env.num_envs", "none", ("8", "16", "32", "64", "128", "256", "1024"), "environments"
        ),
        "unroll": Sweep(
            "agent.unroll_length", "none", ("25", "50", "100", "200", "400"), "unroll, agent steps"
        ),
        "image": Sweep(IMAGE, "none", images, "image, pixels"),
        "threads": Sweep(THREADS, "none", tuple(cores), "threads"),
        "horizon": Sweep(
            "aux.horizon", "cpc", ("1", "5", "10", "30", "60", "90"), "CPC: horizon K"
        ),
        "anchors": Sweep(
            "aux.anchors", "cpc", ("1", "5", "10", "30", "null"), "CPC: anchors (null: all)"
        ),
        "negatives": Sweep("aux.negatives", "cpc", negatives, "CPC: negatives"),
    }


class Point(NamedTuple):
    """One measurement."""

    sweep: str
    value: str
    agent_steps_per_s: float
    memory_mib: float  # shared memory counted once
    resident_mib: float  # counted in each process
    processes: int


def make_sized_envs(
    image: tuple[int, int], config: EnvConfig, num_envs: int, **kwargs: Any
) -> BatchedEnv:
    """As make_vec_env, with images of another height and width; at the top level for pickle."""
    envs.labsim.vector_env.HEIGHT, envs.labsim.vector_env.WIDTH = image
    return make_vec_env(config, num_envs, **kwargs)


def measure_here(sweep: Sweep, value: str, threads: int, seconds: float) -> dict[str, float]:
    """Train one point in this process."""
    settings: list[str] = []
    make_envs: Callable[..., BatchedEnv] | None = None
    if sweep.setting == THREADS:
        threads = int(value)
    elif sweep.setting == IMAGE:
        height, width = value.split("x")
        make_envs = partial(make_sized_envs, (int(height), int(width)))
    else:
        settings = [f"{sweep.setting}={value}"]
    prepare_cpu(threads)
    learner, _ = build_learner("a2c", sweep.aux, threads, settings, make_envs)
    learner.collect()
    learner.update()  # warm-up
    updates, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds or updates < 2:
        learner.collect()
        learner.update()
        updates += 1
    elapsed = time.perf_counter() - start
    memory = memory_of_tree(os.getpid())
    learner.close()
    steps = updates * learner.frames_per_rollout // FRAMES_PER_STEP
    return {
        "agent_steps_per_s": steps / elapsed,
        "memory_mib": memory.proportional,
        "resident_mib": memory.resident,
        "processes": memory.processes,
    }


def measure(name: str, value: str, threads: int, seconds: float) -> Point:
    """Train one point in a process of its own; raises CalledProcessError if that fails."""
    command = [
        sys.executable, "-m", "benchmarks.cost", "--point", name, value,
        f"--threads={threads}", f"--seconds={seconds}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Point(name, value, **json.loads(done.stdout))


def write_table(folder: Path, machine: str, points: Sequence[Point]) -> None:
    """Write cost.csv; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "cost.csv").open("w", newline="") as file:
        file.write(f"# {machine}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Point._fields)
        for point in points:
            writer.writerow(round(x, 1) if isinstance(x, float) else x for x in point)


def draw(path: Path, machine: str, points: Sequence[Point], all_sweeps: dict[str, Sweep]) -> None:
    """A column of panels for each sweep: speed above, memory below."""
    names = list(dict.fromkeys(point.sweep for point in points))
    with house_style():
        figure, panels = new_figure(2 * len(names), len(names), 2.1, 2.1)
        for column, name in enumerate(names):
            own = [point for point in points if point.sweep == name]
            above, below = panels[column], panels[len(names) + column]
            _draw_panel(above, own, [point.agent_steps_per_s for point in own])
            _draw_panel(below, own, [point.memory_mib for point in own])
            above.set_title(all_sweeps[name].title, fontsize=9)
        panels[0].set_ylabel("agent steps/s")
        panels[len(names)].set_ylabel("memory, MiB")
        add_caption(
            figure,
            [
                f"{machine}.",
                "The a2c preset on room_watermaze with one setting changed, those named CPC with "
                "aux=cpc; the axes of settings are not to scale.",
            ],
        )
    save_figure(figure, path)


def _draw_panel(axes: Axes, points: Sequence[Point], heights: Sequence[float]) -> None:
    axes.plot([point.value for point in points], heights, marker="o", markersize=3.5)
    axes.set_ylim(0, 1.1 * max(heights))
    axes.tick_params(labelsize=7)
    if len("".join(point.value for point in points)) > 20:
        axes.tick_params(axis="x", rotation=40)


def main(argv: list[str] | None = None) -> int:
    """Measure all or some sweeps; print a line for each point or one JSON list."""
    known = sweeps(available_cores())
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweeps", nargs="+", choices=known, default=list(known), metavar="NAME")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each point (default 3)")
    parser.add_argument("--threads", type=int, default=available_cores(), help="default: all cores")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write cost.csv there")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the panels")
    parser.add_argument("--point", nargs=2, metavar=("NAME", "VALUE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.point:
        name, value = arguments.point
        print(json.dumps(measure_here(known[name], value, arguments.threads, arguments.seconds)))
        return 0
    points = []
    for name in arguments.sweeps:
        for value in known[name].values:
            point = measure(name, value, arguments.threads, arguments.seconds)
            points.append(point)
            if not arguments.json:
                print(
                    f"{name:10} {value:>9} {point.agent_steps_per_s:8,.0f} agent steps/s "
                    f"{point.memory_mib:7,.0f} MiB ({point.resident_mib:,.0f} resident)",
                    flush=True,
                )
    machine = f"{machine_line()}; {arguments.threads} threads"
    if arguments.json:
        print(json.dumps([point._asdict() for point in points]))
    if arguments.out is not None:
        write_table(arguments.out, machine, points)
    if arguments.figure is not None:
        draw(arguments.figure, machine, points, known)
    return 0


if __name__ == "__main__":
    sys.exit(main())
