import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.fidelity import blind_walker
from benchmarks.recordings import SEEDS, load
from envs.labsim.raycaster import render_slice
from tests.envs.conftest import DATA
from tests.envs.labsim.levels.seekavoid_game import Game

LEVEL = "seekavoid_arena_01"


@pytest.mark.parametrize("seed", SEEDS)
def test_recorded_rewards_come_at_their_steps(seed):
    """The player knows the first recorded row alone, and all actions."""
    trace, game = load(LEVEL, seed), Game()
    start = np.array([*trace["pos"][0, :2], trace["rot"][0, 1]])
    game.level.place(0, start, np.zeros(2))
    rewards = [game.step(action)[0] for action in trace["actions"].astype(np.int64)]
    assert rewards == trace["rewards"].tolist()
    assert np.count_nonzero(rewards) == (1 if seed == 7001 else 4)


def recorded_policies():
    with (DATA / "seekavoid_policies.json").open() as file:
        return json.load(file)


def assert_alike(own, recorded):
    """Means differ by less than 2.8 joint standard errors."""
    recorded = np.array(recorded)
    error = np.sqrt(own.var() / len(own) + recorded.var() / len(recorded))
    assert abs(own.mean() - recorded.mean()) < 2.8 * error


def test_the_random_policy_scores_as_recorded():
    game, rng = Game(3000, seed=11), np.random.default_rng(2)
    rewards = np.array([game.step(rng.integers(0, 9, 3000)) for _ in range(300)])
    assert game.out.truncated.all()
    recorded = recorded_policies()["random_policy"]
    assert_alike(rewards.sum(axis=0), recorded["returns"])
    assert_alike((rewards > 0).sum(axis=0), recorded["positive_steps"])
    assert_alike((rewards < 0).sum(axis=0), recorded["negative_steps"])


def test_the_blind_walker_scores_as_recorded():
    game, policy = Game(3000, seed=5000), blind_walker(3000, 3)
    players, covered = game.level.players, np.zeros(3000)
    returns = np.zeros(3000)
    for _ in range(300):
        x, y = players["x"].copy(), players["y"].copy()
        returns += game.step(policy(covered))
        covered = np.hypot(players["x"] - x, players["y"] - y)
    assert_alike(returns, recorded_policies()["blind_walker"]["returns"])


@pytest.mark.parametrize("step", [40, 100])
def test_recorded_frames_of_deepmind_lab_look_the_same(step):
    trace, level = load(LEVEL, 7003), Game().level
    camera = np.array([[*trace["pos"][step] + [0.0, 0.0, 26.0], trace["rot"][step, 1]]])
    drawn = np.zeros((1, 72, 96, 3), np.uint8)
    render_slice(level.scene, camera, np.zeros(1, np.int64), drawn, 0, 1)
    with Image.open(DATA / "frames" / f"seekavoid_arena_01_96x72_t{step:03d}.png") as image:
        recorded = np.asarray(image.convert("RGB")).astype(float)
    # Without the time at the top and the status display at the bottom, which labsim does not draw.
    above = slice(6, 54)
    assert np.abs(drawn[0] - recorded)[above].mean() < 8.0
    for left in (0, 32, 64):
        part = (above, slice(left, left + 32))
        missed = drawn[0].astype(float)[part].mean((0, 1)) - recorded[part].mean((0, 1))
        assert np.abs(missed).max() < 8.0
