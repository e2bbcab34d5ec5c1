"""Our A2C without memory against Stable-Baselines3's A2C: the same task, network and step.

    nice -n 10 python -m benchmarks.sb3_comparison [--seeds 5] [--steps 60_000]

Both learn Catch (benchmarks/catch.py) from the same initial parameters, with hyper-parameters that
make one step of either equal to one of the other (benchmarks/sb3_twin.py); games and actions are
drawn independently. Writes benchmarks/results/sb3_comparison/curves.csv and
docs/images/sb3_comparison.png, and prints whether the learning curves agree.
"""

import argparse
import csv
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from agents.config import AgentConfig, NetworkConfig
from agents.learner import Learner
from agents.sb3.learner import SB3A2CLearner
from analysis.figure import add_caption, draw_seeds, house_style, new_figure, save_figure
from analysis.statistics import FloatArray, aggregate_seeds, bin_centres, binned_means
from benchmarks.catch import Catch
from benchmarks.sb3_twin import copy_parameters, twin_settings
from envs.sb3_vec_env import SB3VecEnv
from records.whole_files import replaced_when_complete

ROOT = Path(__file__).resolve().parents[1]
CSV_PATH = ROOT / "benchmarks" / "results" / "sb3_comparison" / "curves.csv"
FIGURE_PATH = ROOT / "docs" / "images" / "sb3_comparison.png"
AGENTS = {"ours": "this project's A2C, core=none", "sb3": "Stable-Baselines3's A2C"}
COLOURS = {"ours": "black", "sb3": "#1f77b4"}
BINS = 20
NUM_ENVS = 16
CONFIG = AgentConfig(
    network=NetworkConfig("shallow", 64, core="none"),
    unroll_length=5,  # SB3's default n_steps
    discount=0.99,
    gae_lambda=1.0,
    learning_rate=2e-3,  # trials of one seed: learns within 50,000 steps
    entropy_cost=0.01,
    value_cost=0.5,
    rmsprop_epsilon=1e-5,
    max_grad_norm=40.0,  # 0.5 on the mean loss, SB3's default
    clip_rewards=False,
    normalize_advantages=False,
    bootstrap_on_timeout=True,
)


class Agreement(NamedTuple):
    """How far two sets of curves agree."""

    bins: int  # where all seeds of both have episodes
    overlapping: int  # of those: the seeds' 95 % intervals have a point in common
    difference: float  # of the mean return over the run, ours - SB3's
    low: float  # its 95 % bootstrap interval over seeds
    high: float


def make_learners(seed: int) -> dict[str, Learner | SB3A2CLearner]:
    """Both learners of one seed, with equal parameters."""
    device = torch.device("cpu")
    ours = Learner(
        CONFIG,
        make_envs=Catch,
        num_envs=NUM_ENVS,
        make_aux=lambda *sizes: None,
        aux_weight=0.0,
        total_frames=10**15,  # the learning rate stays as it is, like SB3's
        seed=seed,
        device=device,
        frames_per_step=1,
    )
    config, policy_kwargs = twin_settings(CONFIG, NUM_ENVS)
    theirs = SB3A2CLearner(
        config,
        make_envs=Catch,
        as_vec_env=SB3VecEnv,
        num_envs=NUM_ENVS,
        total_frames=10**15,
        seed=2**20 + seed,  # other games than ours
        device=device,
        frames_per_step=1,
        policy_kwargs=policy_kwargs,
    )
    copy_parameters(ours.agent, theirs)
    return {"ours": ours, "sb3": theirs}


def curve(learner: Learner | SB3A2CLearner, steps: int) -> FloatArray:
    """Train for `steps` agent steps; mean return of the episodes in each of BINS bins."""
    ends, returns = [], []
    learner.start()
    while learner.frames < steps:
        for episode in learner.collect():
            ends.append(learner.frames)
            returns.append(episode.ret)
        learner.update()
    learner.close()
    ones = np.ones(len(ends))
    return binned_means(np.array(ends), np.array(returns), ones, steps / BINS, BINS)


def agreement(ours: FloatArray, theirs: FloatArray) -> Agreement:
    """Compare curves [seeds, bins] of both; needs five seeds or more of each."""
    a, b = aggregate_seeds(ours), aggregate_seeds(theirs)
    assert a.low is not None
    assert a.high is not None
    assert b.low is not None
    assert b.high is not None
    both = ~np.isnan(a.centre + b.centre)
    overlap = (a.low <= b.high) & (b.low <= a.high) & both
    means = ours[:, both].mean(1), theirs[:, both].mean(1)
    interval = stats.bootstrap(
        means,
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    difference = float(means[0].mean() - means[1].mean())
    return Agreement(
        int(both.sum()), int(overlap.sum()), difference, float(interval.low), float(interval.high)
    )


def write_curves(curves: dict[str, FloatArray], steps: int, path: Path) -> None:
    """One row per agent, seed and bin."""
    with replaced_when_complete(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["agent", "seed", "steps_to", "return_mean"])
        for name, rows in curves.items():
            for seed, row in enumerate(rows, 1):
                for i, value in enumerate(row, 1):
                    writer.writerow([name, seed, round(i * steps / BINS), f"{value:.6g}"])


def draw(curves: dict[str, FloatArray], steps: int, path: Path) -> None:
    """Both agents' curves with their intervals over seeds."""
    with house_style():
        figure, (axes,) = new_figure(1, 1, width=6.4, height=4.3)
        axes.set_title("Catch", loc="left", fontweight="bold")
        axes.set_xlabel("agent steps (thousands)")
        axes.set_ylabel("return per episode")
        x = bin_centres(steps / BINS, BINS) / 1000
        notes = []
        for name, rows in curves.items():
            label = f"{AGENTS[name]} ({len(rows)} seeds)"
            notes += draw_seeds(axes, x, rows, COLOURS[name], "-", label)
        axes.set_xlim(0, steps / 1000)
        axes.legend(loc="best")
        add_caption(figure, notes)
    save_figure(figure, path)


def main(argv: list[str] | None = None) -> int:
    """Train both agents with every seed; write curves and figure, print how they agree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="at least 5 (default 5)")
    parser.add_argument("--steps", type=int, default=60_000, help="agent steps (default 60,000)")
    arguments = parser.parse_args(argv)
    if arguments.seeds < 5:
        parser.error(f"--seeds is {arguments.seeds}; an interval needs at least 5")
    torch.set_num_threads(1)  # so small a network gains nothing from more
    collected: dict[str, list[FloatArray]] = {name: [] for name in AGENTS}
    for seed in range(1, arguments.seeds + 1):
        for name, learner in make_learners(seed).items():
            collected[name].append(curve(learner, arguments.steps))
            last = collected[name][-1][-1]
            print(f"seed {seed} {name}: return {last:.2f} in the last bin", flush=True)
    curves = {name: np.array(rows) for name, rows in collected.items()}
    write_curves(curves, arguments.steps, CSV_PATH)
    draw(curves, arguments.steps, FIGURE_PATH)
    found = agreement(curves["ours"], curves["sb3"])
    print(
        f"intervals overlap in {found.overlapping} of {found.bins} bins; mean return over the run, "
        f"ours - SB3's: {found.difference:.3f}, 95 % interval {found.low:.3f} to {found.high:.3f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
