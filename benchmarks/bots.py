"""What lasertag's bots do while the agent plays at random, against recorded episodes."""

import json

import numpy as np

from benchmarks.recordings import DATA
from benchmarks.rules import Rules

LEVEL = "lasertag_three_opponents_small"
FARTHEST_STEP = 60.0  # units in an agent step; farther only goes who returns from the dead
DISTANCE_INTERVAL = 10  # agent steps between two looks at the nearest bot

Statistics = dict[str, float]


def bot_statistics(episodes: int, seed: int) -> tuple[Statistics, dict[str, np.ndarray]]:
    """Means over whole episodes of the uniform random policy, and what each episode earned.

    Statistics are named and measured as in tests/data/lasertag_statistics.json; the second result
    holds "return", "positive_steps" and "negative_steps", each [episodes].
    """
    rules, rng = Rules(LEVEL, range(seed, seed + episodes)), np.random.default_rng(seed)
    fighters = rules.level.fighters  # type: ignore[attr-defined]
    bots, agent = fighters[:, 1:], fighters[:, :1]
    earned = {name: np.zeros(episodes) for name in ("return", "positive_steps", "negative_steps")}
    health, alive, way, steps = 0.0, 0, 0.0, 0
    nearest: list[np.ndarray] = []
    while rules.running.any():
        before = bots["x"].copy(), bots["y"].copy()
        reward = rules.step(rng.integers(0, 9, episodes))
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
