import json

import numpy as np

from tests.envs.conftest import DATA
from tests.envs.labsim.levels.keys_doors_game import Game


def test_recorded_games_are_replayed_from_their_first_row_alone(keys_doors_traces):
    """All rewards come when they came, and 899 steps later the player is where he was."""
    for seed, trace in keys_doors_traces.items():
        game = Game(seeds=(seed,))
        game.level.place(0, np.array([*trace["pos"][0, :2], trace["rot"][0, 1]]), np.zeros(2))
        missed = []
        for t in range(len(trace["pos"]) - 1):
            assert game.level.is_open(0, *trace["pos"][t, :2])
            assert game.step(trace["actions"][t])[0] == trace["rewards"][t], (seed, t)
            way = trace["pos"][t + 1, :2] - (game.player["x"], game.player["y"])
            missed.append(np.hypot(*way))
        assert len(missed) == 899
        assert max(missed) < 0.3


def test_random_policy_does_as_in_deepmind_lab():
    recorded = json.loads((DATA / "keys_doors_random_policy.json").read_text())
    num = 400
    game = Game(seeds=range(10_000, 10_000 + num))
    generator = np.random.default_rng(0)
    returns, events, running = np.zeros(num), np.zeros(num), np.ones(num, bool)
    for _ in range(900):
        reward = game.step(generator.integers(0, 9, num))
        returns += reward * running
        events += (reward > 0) * running
        running &= ~(game.out.terminated | game.out.truncated)
    assert not running.any()
    error = np.hypot(recorded["standard_error"], returns.std() / np.sqrt(num))
    assert abs(returns.mean() - np.mean(recorded["returns"])) < 2.8 * error
    # Episodes with one seed share a map: their mean counts once.
    seeds = np.array(recorded["seeds"])
    of_maps = [
        np.array(recorded["rewarded_steps_positive"])[seeds == s].mean() for s in np.unique(seeds)
    ]
    error = np.hypot(np.std(of_maps) / np.sqrt(len(of_maps)), events.std() / np.sqrt(num))
    assert abs(events.mean() - np.mean(of_maps)) < 2.8 * error
