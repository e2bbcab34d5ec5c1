"""What MiniWorld draws of labsim's scenes, against labsim's own raycaster."""

import numpy as np
import pytest

from benchmarks.miniworld import depth_errors
from envs.config import LEVELS
from envs.labsim.scene import NONE, X0, X1
from envs.labsim.vector_env import LabsimVectorEnv
from envs.labsim.world import EYE
from envs.miniworld.env import MiniworldVectorEnv

pytestmark = pytest.mark.slow  # draws through OpenGL

SKY = 4990.0  # units: depths beyond this are those of nothing at all


@pytest.fixture
def make():
    """Makes a begun level drawn by MiniWorld, to be closed after the test."""
    made = []

    def make_one(level, seed=7):
        env = MiniworldVectorEnv(level)
        made.append(env)
        env.reset(seed=seed)
        return env

    yield make_one
    for env in made:
        env.close()


def view(env):
    """What the player sees now, [72, 96, 3]."""
    obs = np.zeros((1, 72, 96, 3), np.uint8)
    env.render_into(obs)
    return obs[0]


@pytest.mark.parametrize("level", LEVELS)
def test_depths_of_walls_are_those_of_labsim(level):
    errors = depth_errors(level, range(3), 2)
    assert len(errors) > 500
    assert np.median(errors) < 0.05
    # The edge of a wall can lie a pixel aside, and there are few pixels in thin fences.
    assert np.mean(errors > 1.0) < 0.05


@pytest.mark.parametrize("level", LEVELS)
def test_colours_are_those_of_labsim(level, make):
    drawn, truth = make(level), LabsimVectorEnv(level)
    rng = np.random.default_rng(2)
    means = []
    for seed in range(5):
        views = [env.reset(seed=seed)[0] for env in (drawn, truth)]
        for _ in range(7):
            action = rng.integers(4, 8, 1)
            views = [env.step(action)[0] for env in (drawn, truth)]
        means.append([view[0].mean(axis=(0, 1)) for view in views])
    drawn_means, true_means = np.array(means).transpose(1, 0, 2)
    off = np.abs(drawn_means - true_means).mean(axis=0)
    assert (off < 45.0 if level == "room_watermaze" else off < 20.0).all()  # bluer water


def test_floor_lies_below_the_eye_even_of_a_lifted_player(make):
    env = make("room_watermaze")
    for lift in (0.0, 23.0):
        env.level.place(0, np.array([-410.0, 130.0, 20.0]), np.zeros(2))
        env.level.players["z"][0] += lift
        view(env)
        eye = env.level.players["z"][0] + EYE
        slope = (71 + 0.5 - 36) / 48
        np.testing.assert_allclose(env.depths()[71], eye / slope, rtol=1e-4)


def test_pits_show_the_sky(make):
    env = make("rooms_keys_doors_puzzle")
    depths = env.depths()
    below = depths[36:]
    assert (below > SKY).any()
    assert (below < 1000.0).any()


def test_things_are_seen_until_they_vanish(make):
    env = make("seekavoid_arena_01")
    env.reset(options={"pose": (288.0 - 80.0, -128.0, 0.0)})  # before an apple
    scene = env.level.scene
    with_apple = view(env)
    red = (with_apple[..., 0] > 200) & (with_apple[..., 1:].max(axis=2) < 60)
    red[:, :43] = red[:, 53:] = False  # other apples
    red[:40] = False
    assert red.sum() > 20
    k = np.argmin(np.abs(scene.things[0, :, :2] - (288.0, -128.0)).sum(axis=1))
    scene.thing_texture[0, k] = NONE
    without = view(env)
    assert (without[red] != with_apple[red]).any(axis=1).all()


def test_doors_move(make):
    env = make("rooms_keys_doors_puzzle", seed=8)
    scene = env.level.scene
    closed = view(env)
    depths = env.depths()
    scene.segments[0, :, [X0, X1]] += 92.0
    assert (view(env) != closed).any()
    assert (env.depths() != depths).any()
    scene.segments[0, :, [X0, X1]] -= 92.0
    assert (view(env) == closed).all()


def test_key_square_has_its_colour_and_place(make):
    env = make("rooms_keys_doors_puzzle")
    before = view(env)
    env.level.scene.square[0] = (10, 200, 30, 1)
    after = view(env)
    assert (after[2:9, 2:9] == (10, 200, 30)).all()
    after[2:9, 2:9] = before[2:9, 2:9]
    assert (after == before).all()


def test_platform_and_water_move(make):
    env = make("room_watermaze")
    env.level.place(0, np.array([-410.0, 130.0, 20.0]), np.zeros(2))
    calm = view(env)
    env.level.players["engine_ms"][0] += 2000
    assert (view(env)[36:] != calm[36:]).any()
    env.level.players["engine_ms"][0] -= 2000
    env.level.scene.platform[0] = (-250.0, 188.0, 30.0)
    raised = view(env)
    grey = (raised == 77).all(axis=2)
    assert grey.sum() > 20
    assert not (calm == 77).all(axis=2)[grey].any()


def test_new_maze_is_built_when_the_rules_change_it(make):
    level = "explore_goal_locations_small"
    env, fresh = make(level, seed=3), make(level, seed=4)
    view(env)
    env.reset(seed=4)
    assert (view(env) == view(fresh)).all()
    assert (env.depths() == fresh.depths()).all()
