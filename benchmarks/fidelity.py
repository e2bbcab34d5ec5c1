"""Compare labsim's levels with recordings of the real DeepMind Lab.

    python -m benchmarks.fidelity [level ...] [--json] [--episodes N]

Replays recorded actions from every recorded row, checks at which steps recorded rewards come, and
plays two policies that need no pixels against their recorded returns and rewarded steps; gaps are
in joint standard errors. Nothing is rendered.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import bots
from benchmarks.games import Games
from benchmarks.recordings import (
    DATA,
    EVENTS,
    SEEDS,
    clock_start,
    drift,
    free_rows,
    living_rows,
    load,
    replay,
    rewarded_steps,
)
from envs.actions import ACTION_NAMES
from envs.config import LEVELS, canonical_level

EPISODES = {"lasertag_three_opponents_small": 1000}  # two to twelve times as long as others' ..
DEFAULT_EPISODES = 3000  # .. of each policy
BOT_EPISODES = 200
FORWARD, LOOK_LEFT, LOOK_RIGHT = 0, 4, 5
TOLERANCE = {1: 0.8, 10: 3.0}  # agent steps -> units within which a position counts as met
MEASURES = ("return", "positive_steps", "negative_steps")

Policy = Callable[[NDArray[np.float64]], NDArray[np.int64]]  # units covered [B] -> actions [B]


def uniform_policy(num_envs: int, seed: int) -> Policy:
    """Draw every action anew."""
    rng = np.random.default_rng(seed)
    return lambda covered: rng.integers(0, len(ACTION_NAMES), num_envs)


def blind_walker(num_envs: int, seed: int) -> Policy:
    """Walk straight; after a step of less than 19 units turn by 6 to 17 looks to a random side.

    A turn starts only after more than four forward steps since the last one.
    """
    rng = np.random.default_rng(seed)
    walked = np.zeros(num_envs, np.int64)  # forward steps since the last turn
    turns_left = np.zeros(num_envs, np.int64)
    side = np.full(num_envs, LOOK_LEFT)

    def act(covered: NDArray[np.float64]) -> NDArray[np.int64]:
        stuck = (walked > 4) & (covered < 19.0) & (turns_left == 0)
        turns_left[stuck] = rng.integers(6, 18, stuck.sum())
        side[stuck] = rng.choice([LOOK_LEFT, LOOK_RIGHT], stuck.sum())
        walked[stuck] = 0
        turning = turns_left > 0
        turns_left[turning] -= 1
        walked[~turning] += 1
        return np.where(turning, side, FORWARD)

    return act


POLICIES = {"random_policy": uniform_policy, "blind_walker": blind_walker}


def play(
    level: str, make_policy: Callable[[int, int], Policy], episodes: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Play whole episodes; give each one's return and numbers of rewarded steps, as MEASURES."""
    games = Games(level, range(seed, seed + episodes))
    policy = make_policy(episodes, seed)
    earned = {name: np.zeros(episodes) for name in MEASURES}
    covered = np.full(episodes, np.inf)
    while games.running.any():
        before = games.xy()
        reward = games.step(policy(covered))
        covered = np.hypot(*(games.xy() - before).T)
        earned["return"] += reward
        earned["positive_steps"] += reward > 0
        earned["negative_steps"] += reward < 0
    return earned


def gap_in_errors(ours: NDArray, mean: float, standard_error: float) -> float:
    """Difference of our mean to a recorded one, in units of their joint standard error."""
    gap = float(ours.mean()) - mean
    joint = float(np.hypot(np.sqrt(ours.var(ddof=1) / len(ours)), standard_error))
    return gap / joint if gap != 0.0 else 0.0  # both may be 0 always: then there are no errors


def recorded_policies(level: str) -> dict[str, dict[str, list[float]]]:
    """What policies earned in the real level: by policy and measure, [mean, standard error]."""
    policies = json.loads((DATA / "policies.json").read_text())
    return {name: policies[name][level] for name in POLICIES if level in policies[name]}


def replay_errors(level: str, seed: int) -> dict[str, Any]:
    """How far labsim is off after one and ten recorded steps, and if it starts from row 0 alone."""
    trace, solids = load(level, seed), Games(level, [seed]).level.solids
    errors: dict[str, Any] = {"clock_start_frames": clock_start(level, seed), "yaw_max_deg": 0.0}
    for steps, tolerance in TOLERANCE.items():
        chosen = {
            "free": free_rows(level, trace, solids, steps),
            "living": living_rows(level, trace, steps),
        }
        for choice, rows in chosen.items():
            missed = replay(level, seed, rows, steps)
            errors |= {
                f"{choice}_rows_{steps}_steps": len(rows),
                f"{choice}_within_{tolerance}": float((missed.distance <= tolerance).mean()),
                f"{choice}_{steps}_steps_median": float(np.median(missed.distance)),
                f"{choice}_{steps}_steps_max": float(missed.distance.max()),
            }
            if choice == "free":
                errors["yaw_max_deg"] = max(errors["yaw_max_deg"], float(missed.yaw.max()))
    if level != bots.LEVEL:  # what bots do there nobody can know
        missed_rows = drift(level, seed)
        errors |= {"drift_rows": len(missed_rows), "drift_max": float(missed_rows.max())}
    return errors


def measure(level: str, episodes: int) -> dict[str, dict[str, Any]]:
    """Collect everything that is printed about a level."""
    results: dict[str, dict[str, Any]] = {}
    for seed, name in SEEDS.items():
        results[f"trace {name}"] = replay_errors(level, seed)
    for event_level, seed in EVENTS:
        if event_level == level:
            recorded, rewarded = rewarded_steps(level, seed)
            results[f"rewards {SEEDS[seed]}"] = {
                "recorded_steps": recorded,
                "labsim_steps": rewarded,
            }
    for policy, theirs in recorded_policies(level).items():
        earned = play(level, POLICIES[policy], episodes, seed=1)
        results[policy] = {"episodes": episodes}
        for name in (name for name in MEASURES if name in theirs):
            results[policy][name] = float(earned[name].mean())
            results[policy][f"recorded_{name}"] = theirs[name][0]
            results[policy][f"{name}_gap_in_errors"] = gap_in_errors(earned[name], *theirs[name])
    if level == bots.LEVEL:
        recorded_bots = bots.recorded_statistics()
        results["bots"] = {"episodes": BOT_EPISODES}
        for name, value in bots.bot_statistics(BOT_EPISODES, seed=1)[0].items():
            results["bots"] |= {name: value, f"recorded_{name}": recorded_bots[name]}
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("levels", nargs="*", metavar="level", help="all levels if none is given")
    parser.add_argument(
        "--episodes", type=int, help="of each policy; if not given, 3000 (lasertag 1000)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        levels = [canonical_level(level) for level in options.levels or LEVELS]
    except ValueError as error:
        parser.error(str(error))
    results = {}
    for level in levels:
        episodes = options.episodes or EPISODES.get(level, DEFAULT_EPISODES)
        results[level] = measure(level, episodes)
        if not options.json:
            _print(level, results[level])
    if options.json:
        print(json.dumps(results))


def _print(level: str, results: dict[str, dict[str, Any]]) -> None:
    print(level)
    for section, values in results.items():
        print(f"  {section}")
        for name, value in values.items():
            text = value if isinstance(value, list | int) else f"{value:.4f}"
            print(f"    {name:32} {text}", flush=True)


if __name__ == "__main__":
    main()
