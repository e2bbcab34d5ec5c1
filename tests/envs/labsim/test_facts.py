"""Facts against states that were written by hand, and against the levels' own."""

import numpy as np
import pytest

from envs.config import LEVELS
from envs.labsim.facts import read_facts, sees_a_bot
from envs.labsim.levels.seekavoid_arena_01_scene import APPLES, ITEMS
from envs.labsim.vector_env import LabsimVectorEnv


def player(x, y, yaw):
    return {
        f"player.{name}": np.array([value])
        for name, value in zip(("x", "y", "yaw"), (x, y, yaw), strict=True)
    }


def of_one(facts):
    """The facts of the first of the environments, as lists and numbers."""
    return {name: values[0].tolist() for name, values in facts.items()}


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_has_facts(level):
    env = LabsimVectorEnv(level, 3)
    env.reset_into([5, 6, 7], np.empty((3, 72, 96, 3), np.uint8))
    facts = read_facts(level, env.get_state())
    env.close()
    poses = env.reset(seed=5)[1]["pose"]
    assert facts["position"].tolist() == poses[:, :2].tolist()
    angle = np.degrees(np.arctan2(facts["heading"][:, 1], facts["heading"][:, 0]))
    np.testing.assert_allclose(angle, poses[:, 4], atol=0.01)
    for name, values in facts.items():
        if name in ("holds a key", "sees a bot"):
            assert (values.shape, values.dtype) == ((3,), np.int64)
        else:
            assert (values.ndim, len(values), values.dtype) == (2, 3, np.float64), name
            assert np.isfinite(values).all(), name


def test_the_platform_is_where_it_is_seen_from_the_player():
    """He looks along +y; the platform is 3 to his left and 4 ahead."""
    state = player(10.0, 20.0, 90.0) | {
        "platform.x": np.array([7.0]),
        "platform.y": np.array([24.0]),
    }
    facts = of_one(read_facts("room_watermaze", state))
    assert facts["position"] == [10.0, 20.0]
    assert facts["heading"] == pytest.approx([0.0, 1.0])
    assert facts["distance to platform"] == [5.0]
    assert facts["direction of platform"] == pytest.approx([0.8, 0.6])  # ahead, left


def test_what_he_stands_on_has_no_direction():
    state = player(7.0, 24.0, 90.0) | {
        "maze.goal_x": np.array([7.0]),
        "maze.goal_y": np.array([24.0]),
    }
    facts = of_one(read_facts("explore_goal_locations_small", state))
    assert facts["distance to goal"] == [0.0]
    assert np.isnan(facts["direction of goal"]).all()


def test_the_nearest_fruit_is_one_that_is_left():
    x, y = ITEMS[0]
    present = np.ones((1, len(ITEMS)), np.bool_)
    present[:, len(APPLES) :] = False
    facts = of_one(read_facts("seekavoid_arena_01", player(x - 3.0, y, 0.0) | {"present": present}))
    assert facts["distance to nearest apple"] == [3.0]
    assert facts["direction of nearest apple"] == pytest.approx([1.0, 0.0])
    assert np.isnan(facts["distance to nearest lemon"]).all()
    assert np.isnan(facts["direction of nearest lemon"]).all()
    present[0, 0] = False
    facts = of_one(read_facts("seekavoid_arena_01", player(x - 3.0, y, 0.0) | {"present": present}))
    others = np.hypot(*(ITEMS[1 : len(APPLES)] - (x - 3.0, y)).T)
    assert facts["distance to nearest apple"] == [others.min()]


def test_keys_that_are_taken_count_no_more():
    state = player(0.0, 0.0, 0.0) | {
        "game.goal_x": np.array([0.0]), "game.goal_y": np.array([7.0]), "game.held": np.array([2]),
        "key.x": np.array([[3.0, 5.0]]), "key.y": np.zeros((1, 2)),
        "key.colour": np.array([[-1, 4]]),
    }  # fmt: skip
    facts = of_one(read_facts("rooms_keys_doors_puzzle", state))
    assert facts["distance to goal"] == [7.0]
    assert facts["distance to nearest key"] == [5.0]
    assert facts["holds a key"] == 1
    state["game.held"] = np.array([-1])
    assert of_one(read_facts("rooms_keys_doors_puzzle", state))["holds a key"] == 0


def test_a_dead_bot_is_no_opponent():
    state = {
        "fighter.x": np.array([[1.0, 2.0, 11.0, 1.0]]),
        "fighter.y": np.array([[0.0, 0.0, 0.0, 23.0]]),
        "fighter.yaw": np.array([[180.0, 0.0, 0.0, 0.0]]),
        "fighter.alive": np.array([[True, False, True, True]]),
        "fighter.health": np.array([[83, 5, 5, 5]]),
        "solids.cells": np.zeros((1, 3, 3), np.bool_),
    }  # fmt: skip
    facts = of_one(read_facts("lasertag_three_opponents_small", state))
    assert facts["position"] == [1.0, 0.0]
    assert facts["distance to nearest bot"] == [10.0]
    assert facts["direction of nearest bot"] == pytest.approx([-1.0, 0.0])
    assert facts["health"] == [83.0]
    assert facts["sees a bot"] == 0


def test_a_bot_is_seen_if_it_lives_where_the_agent_looks_and_no_wall_is_between():
    """In each of five environments bots stand to the east, farther east, and to the north."""
    state = {
        "fighter.x": np.tile([150.0, 450.0, 850.0, 150.0], (5, 1)),
        "fighter.y": np.tile([250.0, 250.0, 250.0, 950.0], (5, 1)),
        "fighter.yaw": np.zeros((5, 4)),
        "fighter.alive": np.ones((5, 4), np.bool_),
        "solids.cells": np.zeros((5, 11, 11), np.bool_),
    }
    state["fighter.yaw"][:, 0] = [5.0, -355.0, 7.0, 95.0, 0.0]  # off: 5, 5, 7, 5 of bot 3, 0
    state["fighter.alive"][1, 1:3] = False
    state["solids.cells"][4, :, 3] = True  # a wall between x = 300 and 400
    assert sees_a_bot(state, 6.0).tolist() == [True, False, False, True, False]
    assert sees_a_bot(state, 91.0).tolist() == [True, True, True, True, True]
