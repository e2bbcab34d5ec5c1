"""States that compiled code must never get: it would read and write beyond its arrays."""

import numpy as np
import pytest

from envs.config import LEVELS
from envs.labsim.vector_env import LabsimVectorEnv


@pytest.fixture(scope="module")
def env():
    env = LabsimVectorEnv("explore_goal_locations_small", 2)
    env.reset(seed=3)
    return env


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("player.x", np.nan, "player.x holds numbers that are not finite"),
        ("player.yaw", np.inf, "player.yaw holds numbers that are not finite"),
        ("player.vx", 1e30, "too large"),
        ("player.y", 1e6, "player.y holds places outside of the map"),
        ("player.x", -1.0, "player.x holds places outside of the map"),
        ("player.z", -9e8, "player.z holds heights outside of the map"),
        ("scene.wall_texture", 10**6, "scene.wall_texture holds numbers outside of -1 to"),
        ("scene.wall_texture", -2, "scene.wall_texture holds numbers outside of -1 to"),
    ],
)
def test_odd_states_are_refused_and_change_nothing(env, name, value, expected):
    before = env.get_state()
    state = env.get_state()
    state[name].reshape(-1)[-1] = value
    with pytest.raises(ValueError, match=expected):
        env.set_state(state)
    after = env.get_state()
    assert all((before[name] == after[name]).all() for name in before)


@pytest.mark.parametrize("level", LEVELS)
def test_what_leads_beyond_an_array_is_refused(level):
    env = LabsimVectorEnv(level, 2)
    env.reset(seed=3)
    limits = env.level.index_limits()
    assert bool(limits) == (level not in ("room_watermaze", "seekavoid_arena_01"))
    for name, (low, high) in limits.items():
        for value in (low - 1, high + 1):
            state = env.get_state()
            state[name].reshape(-1)[-1] = value
            with pytest.raises(ValueError, match=f"{name} holds numbers outside of {low} to"):
                env.set_state(state)
        for value in (low, high):
            state = env.get_state()
            state[name].reshape(-1)[-1] = value
            env.set_state(state)
    if "spawns" in env.get_state():
        state = env.get_state()
        state["spawns"][-1, 0, 1] = 1e5
        with pytest.raises(ValueError, match="spawns holds places outside of the map"):
            env.set_state(state)
    env.close()


@pytest.mark.parametrize("change", [np.float32, lambda array: array[:1], lambda array: array[None]])
def test_other_forms_are_refused(env, change):
    state = env.get_state()
    state["player.x"] = change(state["player.x"])
    with pytest.raises(ValueError, match="not a state of 2 environments"):
        env.set_state(state)


@pytest.mark.parametrize("level", LEVELS)
def test_a_levels_own_states_are_taken(level):
    """Infinite times and absent things included: a run must not refuse its own checkpoint."""
    env = LabsimVectorEnv(level, 3)
    env.set_state(env.get_state())
    env.reset(seed=11)
    rng = np.random.default_rng(5)
    for _ in range(19):
        env.step(rng.integers(0, 9, 3))
        env.set_state(env.get_state())
    env.close()
