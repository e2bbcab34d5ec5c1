"""What scripted players who know a level's state earn: proof that the level can be won.

    python -m benchmarks.experts [level ...] [--episodes N] [--json]

Prints each level's mean return with its standard error, and what is asked of it. Nothing is
rendered.
"""

import argparse
import importlib
import json
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.games import Games
from envs.config import LEVELS, canonical_level

# What is asked of the means of 100 episodes: 0.8 of what people score (`dmlab30.py` of Espeholt et
# al. 2018); seekavoid_arena_01, where that is not known: nearly what IMPALA's agent does.
THRESHOLDS = {
    "room_watermaze": 43.0,
    "explore_goal_locations_small": 214.0,
    "seekavoid_arena_01": 40.0,
    "lasertag_three_opponents_small": 14.8,
    "rooms_keys_doors_puzzle": 43.0,
}


def returns(level: str, episodes: int, first_seed: int = 0) -> NDArray[np.float64]:
    """Let a level's expert play one episode of each seed; give the returns, [episodes]."""
    games = Games(level, range(first_seed, first_seed + episodes))
    module = importlib.import_module(f"benchmarks.experts.{level}")
    experts = [module.Expert(games.level, i) for i in range(episodes)]
    total = np.zeros(episodes)
    while games.running.any():
        playing = zip(experts, games.running.tolist(), strict=True)
        total += games.step(np.array([e.act() if runs else 0 for e, runs in playing]))
    return total


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what the experts of some or all levels earn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("levels", nargs="*", metavar="level", help="all levels if none is given")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        levels = [canonical_level(level) for level in options.levels or LEVELS]
    except ValueError as error:
        parser.error(str(error))
    if options.episodes < 2:
        parser.error("a standard error needs at least 2 episodes")
    results = {}
    for level in levels:
        earned = returns(level, options.episodes)
        mean, spread = earned.mean(), earned.std(ddof=1) / math.sqrt(len(earned))
        results[level] = {
            "episodes": options.episodes,
            "mean": float(mean),
            "standard_error": float(spread),
            "threshold": THRESHOLDS[level],
        }
        if not options.json:
            print(f"{level:32} {mean:7.2f} +- {spread:.2f}, asked: {THRESHOLDS[level]:.0f}")
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
