"""What lasertag's bots do while the agent plays at random, against recorded episodes.

    python -m benchmarks.bots [--policy uniform|sticky] [--repeats N]

Prints, for maps with Orb, Beam and Disc and for all, how often agent and bots tag themselves and
others and die in an episode: mean, standard error clustered by map, and deviation. Maps are those
of the recorded episodes (uniform policy), or as many others (sticky), played N times each. How rare
the agent's recorded tags would be in labsim is told by as many of its episodes, drawn again and
again.
"""

import argparse
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.games import Games
from benchmarks.recordings import DATA
from envs.actions import ACTION_NAMES
from envs.labsim.levels.lasertag_fighters import BEAM, DISC, ORB

LEVEL = "lasertag_three_opponents_small"
FARTHEST_STEP = 60.0  # units in an agent step; farther only goes who returns from the dead
DISTANCE_INTERVAL = 10  # agent steps between two looks at the nearest bot
BOTS = ("Cygni", "Leonis", "Epsilon")
GADGETS = {"Orb": ORB, "Beam": BEAM, "Disc": DISC}
KEPT = {"uniform": 0.0, "sticky": 7.0 / 8.0}  # probability with which a policy keeps its action
TAGS = ("positive_steps", "negative_steps")
# Of the recorded sticky episodes, whose maps are not known: means of 0.045 +- 0.031 and 0.318.
STICKY_EPISODES, STICKY_TOTALS = 44, {"positive_steps": 2, "negative_steps": 14}
STICKY_SEEDS = range(1, 71)
DRAWS = 10_000

Statistics = dict[str, float]


def bot_statistics(episodes: int, seed: int) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Means over whole episodes of the uniform random policy, and what each episode earned.

    Statistics are named and measured as in tests/data/lasertag_statistics.json; the second result
    holds "return", "positive_steps" and "negative_steps", each [episodes].
    """
    games, rng = Games(LEVEL, range(seed, seed + episodes)), np.random.default_rng(seed)
    fighters = games.level.fighters  # type: ignore[attr-defined]
    bots, agent = fighters[:, 1:], fighters[:, :1]
    earned = {name: np.zeros(episodes) for name in ("return", *TAGS)}
    health, alive, way, steps = 0.0, 0, 0.0, 0
    nearest: list[np.ndarray] = []
    while games.running.any():
        before = bots["x"].copy(), bots["y"].copy()
        reward = games.step(rng.integers(0, 9, episodes))
        earned["return"] += reward
        earned["positive_steps"] += reward > 0
        earned["negative_steps"] += reward < 0
        moved = np.hypot(bots["x"] - before[0], bots["y"] - before[1])
        way += float(moved[moved < FARTHEST_STEP].sum())
        living = bots["alive"].astype(bool)
        health += float(bots["health"][living].sum())
        alive += int(living.sum())
        if steps % DISTANCE_INTERVAL == 0:
            away = np.hypot(bots["x"] - agent["x"], bots["y"] - agent["y"])
            nearest.append(np.where(living, away, np.inf).min(axis=1))
        steps += 1
    return {
        "agent_deaths_per_episode": float(agent["deaths"].mean()),
        "bot_deaths_per_bot_and_episode": float(bots["deaths"].mean()),
        "bot_dead_fraction": 1.0 - alive / (bots.size * steps),
        "bot_mean_health_alive": health / alive,
        "bot_mean_travel_per_agent_step": way / (bots.size * steps),
        "median_distance_to_nearest_bot": float(np.median(nearest, axis=0).mean()),
    }, earned


def recorded_statistics() -> Statistics:
    """The recorded means of the same names."""
    recorded = json.loads((DATA / "lasertag_statistics.json").read_text())
    return {name: value[0] for name, value in recorded.items() if isinstance(value, list)}


def recorded_episodes() -> dict[str, NDArray[np.int64]]:
    """Map seeds and the agent's TAGS of the recorded episodes of the uniform policy, [N] each."""
    recorded = json.loads((DATA / "lasertag_random_policy.json").read_text())
    return {name: np.array(recorded[name]) for name in ("seeds", *TAGS)}


def gadgets(seeds: Sequence[int]) -> NDArray[np.int64]:
    """Which gadget lies in the first map of each seed, [N] of ORB, BEAM and DISC."""
    return Games(LEVEL, seeds).level.games["special"].copy()  # type: ignore[attr-defined]


def play(policy: str, seeds: NDArray[np.int64], seed: int) -> dict[str, NDArray]:
    """Play an episode of each map seed [N] with a policy of KEPT; everything drawn from `seed`.

    Gives "seeds", "gadgets", the agent's TAGS and how often he, a bot on average and each of them
    died, and how often a bot tagged itself, [N] each.
    """
    games, rng = Games(LEVEL, seeds.tolist()), np.random.default_rng(seed)
    level = games.level
    level.players["rng"] = rng.integers(0, 2**63, len(seeds), np.uint64)
    fighters = level.fighters  # type: ignore[attr-defined]
    episodes: dict[str, NDArray] = {name: np.zeros(len(seeds), np.int64) for name in TAGS}
    actions = rng.integers(0, len(ACTION_NAMES), len(seeds))
    while games.running.any():
        reward = games.step(actions)
        episodes["positive_steps"] += reward > 0
        episodes["negative_steps"] += reward < 0
        drawn = rng.integers(0, len(ACTION_NAMES), len(seeds))
        actions = np.where(rng.random(len(seeds)) < KEPT[policy], actions, drawn)
    kinds = level.games["special"].copy()  # type: ignore[attr-defined]
    episodes |= {"seeds": seeds, "gadgets": kinds}
    deaths, self_tags = fighters["deaths"].copy(), fighters["self_tags"][:, 1:]
    episodes |= {"agent_deaths": deaths[:, 0], "bot_deaths": deaths[:, 1:].mean(axis=1)}
    episodes |= {f"deaths_{name}": deaths[:, k] for k, name in enumerate(BOTS, start=1)}
    return episodes | {"bot_self_tags": self_tags.mean(axis=1)}


def clustered(values: NDArray, seeds: NDArray[np.int64]) -> tuple[float, float]:
    """Mean of values [N] and its standard error if episodes of one map seed [N] are alike."""
    mean = float(values.mean())
    sums = np.array([(values[seeds == seed] - mean).sum() for seed in np.unique(seeds)])
    count = len(sums)
    return mean, float(np.sqrt((sums**2).sum() * count / max(count - 1, 1)) / len(values))


def chance(totals: NDArray[np.int64], recorded: int) -> float:
    """The part of totals [N] that are as far from their middle as the recorded one, or farther.

    One-sided: on the side on which the recorded one lies.
    """
    return float(min((totals <= recorded).mean(), (totals >= recorded).mean()))


def drawn_totals(
    played: NDArray[np.int64], seeds: NDArray[np.int64], like: NDArray[np.int64] | int, seed: int
) -> NDArray[np.int64]:
    """Sums over DRAWS sets of played episodes [N]: any so many, or of the same maps as `like`."""
    rng = np.random.default_rng(seed)
    if isinstance(like, int):
        return played[rng.integers(0, len(played), (DRAWS, like))].sum(axis=1)
    totals = np.zeros(DRAWS, np.int64)
    for map_seed in like:
        same = played[seeds == map_seed]
        totals += same[rng.integers(0, len(same), DRAWS)]
    return totals


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--policy", choices=KEPT, default="uniform", help="default: uniform")
    parser.add_argument("--repeats", type=int, default=4, help="of each map; default: 4")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"--repeats is {options.repeats}; allowed is 1 or more")
    recorded = recorded_episodes()
    like: NDArray[np.int64] | int = STICKY_EPISODES
    maps, totals = np.array(STICKY_SEEDS), STICKY_TOTALS
    if options.policy == "uniform":
        maps, like = np.unique(recorded["seeds"]), recorded["seeds"]
        totals = {name: int(recorded[name].sum()) for name in TAGS}
        _print("recorded", recorded | {"gadgets": gadgets(recorded["seeds"].tolist())})
    played = play(options.policy, np.repeat(maps, options.repeats), seed=1)
    _print("labsim", played)
    for name in TAGS:
        mean = played[name].mean()
        part = chance(drawn_totals(played[name], played["seeds"], like, seed=1), totals[name])
        print(f"{name}: {totals[name]} recorded, labsim {mean:.3f} an episode, chance {part:.4f}")


def _print(title: str, episodes: dict[str, NDArray]) -> None:
    for gadget, kind in {**GADGETS, "all": None}.items():
        chosen = np.ones(len(episodes["seeds"]), np.bool_)
        if kind is not None:
            chosen = episodes["gadgets"] == kind
        print(f"{title}, {gadget}: {chosen.sum()} episodes")
        for name in (name for name in episodes if name not in ("seeds", "gadgets")):
            values = episodes[name][chosen]
            mean, error = clustered(values, episodes["seeds"][chosen])
            spread = values.std(ddof=1)
            print(f"    {name:16} {mean:7.3f} +- {error:.3f}, deviation {spread:.2f}", flush=True)


if __name__ == "__main__":
    main()
