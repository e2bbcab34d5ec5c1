from pathlib import Path

import labmaze
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.bots import bot_statistics, recorded_statistics
from benchmarks.fidelity import gap_in_errors, recorded_policies
from envs.labsim.levels.lasertag_fighters import ORB, RAPID
from envs.labsim.levels.lasertag_items import ARMOUR, GADGET, HEALTH
from envs.labsim.levels.lasertag_maps import make_map
from envs.labsim.maps import lab_seed
from envs.labsim.raycaster import render_slice
from envs.labsim.vector_env import LabsimVectorEnv
from tests.envs.labsim.levels.lasertag_game import (
    FIRE,
    FORWARD,
    LOOK_LEFT,
    LOOK_RIGHT,
    NEVER,
    Game,
    Hall,
)

LEVEL = "lasertag_three_opponents_small"
DATA = Path(__file__).parents[3] / "data"
TRACES = {7001: f"{LEVEL}_seed7001_uniform", 7003: f"{LEVEL}_seed7003_sticky"}
Y = 553.0


def load(seed):
    return dict(np.load(DATA / f"{TRACES[seed]}.npz"))


def test_an_episode_is_14400_frames():
    game = Game()
    assert game.level.episode_steps == 3600
    for frame in range(1, 14401):
        game.step(frames=1)
        assert game.out.truncated[0] == (frame == 14400)
        assert not game.out.terminated[0]
        assert np.isnan(game.out.success_seconds[0])
    game.step()
    assert game.player["frame"] == 14400


def test_fighters_begin_with_125_health_and_100_shots_of_rapid():
    level = Game(40).level
    fighters = level.fighters
    assert fighters["alive"].all()
    for name, value in (("health", 125), ("armour", 0), ("gadget", RAPID), ("rapid_ammo", 100),
                        ("special_ammo", 0)):  # fmt: skip
        assert (fighters[name] == value).all()
    assert np.histogram(fighters["yaw"], 4, (0, 360))[0].min() > 20
    for i in range(40):
        spawns = level.spawns[i, : level.games["num_spawns"][i]].tolist()
        places = [[f["x"], f["y"]] for f in fighters[i]]
        assert all(place in spawns for place in places)
        assert len({tuple(place) for place in places}) == 4


def test_surplus_health_and_armour_fall_by_one_a_second_to_100():
    hall = Hall()
    player = hall.put(0, 203.0, Y)
    player["decay_ms"], player["health"], player["armour"] = 0, 125, 103
    for frame in range(1, 2001):
        hall.step(frames=1)
        assert player["health"] == max(125 - frame * 16 // 1000, 100)
        assert player["armour"] == max(103 - frame * 16 // 1000, 100)


def test_a_tag_pays_one_and_a_self_tag_costs_one_and_nothing_else_pays():
    hall = Hall()
    hall.put(0, 403.0, Y)
    hall.put(1, 553.0, Y)["health"] = 8
    assert hall.step(FIRE, frames=1) == 0.0
    assert hall.step(FIRE, frames=8) == 1.0
    assert (hall.player["tags"], hall.bot()["deaths"]) == (1, 1)
    hall.put(2, 403.0, Y - 150.0, 90.0)["shooting"] = True
    hall.player["health"] = 7
    assert hall.step(LOOK_LEFT, frames=1) == 0.0  # being tagged
    assert (hall.player["deaths"], hall.bot(2)["tags"]) == (1, 1)
    hall.put(3, 553.0, Y - 150.0)["health"] = 7
    hall.put(2, 403.0, Y - 150.0)["shooting"] = True
    assert hall.step(LOOK_LEFT, frames=1) == 0.0  # a bot tags another
    assert hall.bot(3)["deaths"] == 1
    hall.level.games["special"][0] = ORB
    player = hall.put(0, 940.0, Y)
    player["gadget"], player["special_ammo"], player["health"] = ORB, 3, 20
    assert hall.step(FIRE, frames=4) == -1.0
    assert (player["self_tags"], player["deaths"], player["tags"]) == (1, 2, 1)


def dead(hall, x=203.0):
    """Kill the agent in front of a bot that then stands still."""
    player = hall.put(0, x, Y, 33.0)
    player["health"] = 7
    bot = hall.put(1, x + 150.0, Y, 180.0)
    bot["shooting"] = True
    hall.step(LOOK_LEFT, frames=1)
    bot["shooting"] = False
    assert not player["alive"]
    return player


@pytest.mark.parametrize(
    ("action", "frames"), [(FIRE, 107), (LOOK_LEFT, 1357)]
)  # more than 1700 ms, and more than 21700 ms, of 16 each
def test_the_dead_return_with_fire_after_1700_ms_or_by_themselves_after_21700(action, frames):
    hall = Hall()
    player = dead(hall)
    yaw, x = float(player["yaw"]), float(player["x"])
    player["special_ammo"], player["armour"] = 5, 50
    for frame in range(1, frames + 1):
        assert not player["alive"]
        assert (player["yaw"], player["x"], player["y"]) == (yaw, x, Y)
        hall.step(action if frame % 2 or action == FIRE else FORWARD, frames=1)
    assert player["alive"]
    assert (player["health"], player["rapid_ammo"], player["gadget"]) == (125, 100, RAPID)
    assert (player["special_ammo"], player["armour"]) == (0, 0)
    spawns = hall.level.spawns[0, : hall.level.games["num_spawns"][0]].tolist()
    assert [player["x"], player["y"]] in spawns


def test_fire_before_1700_ms_does_not_count_and_a_held_fire_does_not_shoot_after_return():
    hall = Hall()
    player = dead(hall)
    hall.step(FIRE, frames=100)
    hall.step(LOOK_LEFT, frames=100)
    assert not player["alive"]
    hall.step(FIRE, frames=1)
    assert player["alive"]
    hall.step(FIRE, frames=50)
    assert player["rapid_ammo"] == 100
    hall.step(LOOK_LEFT, frames=1)
    hall.step(FIRE, frames=1)
    assert player["rapid_ammo"] == 99


def test_bots_return_1700_to_2100_ms_after_their_death():
    waits = []
    for seed in range(30):
        hall = Hall(seed)
        hall.put(0, 403.0, Y)
        bot = hall.put(1, 553.0, Y)
        bot["health"], bot["think_ms"] = 7, 77
        hall.step(FIRE, frames=1)
        frames = 0
        while not bot["alive"]:
            hall.step(frames=1)
            frames += 1
        waits.append(frames * 16)
    assert 1700 < min(waits) <= 1712
    assert 1950 < max(waits) <= 2077


def test_nobody_returns_where_somebody_stands():
    hall = Hall()
    level, player = hall.level, dead(hall)
    spawns = level.spawns[0, : level.games["num_spawns"][0]]
    for k, place in enumerate(spawns[:2]):
        hall.put(2 + k, *place)
    free = {tuple(place) for place in spawns[2:].tolist()}
    seen = set()
    for _ in range(100):
        player["alive"], player["died_ms"] = False, -NEVER
        level.solids.boxes[0, 0] = -1.0
        hall.step(FIRE, frames=1)
        seen.add((float(player["x"]), float(player["y"])))
    assert seen == free


def test_bodies_block_and_the_dead_do_not():
    hall = Hall()
    hall.put(0, 403.0, Y)
    hall.put(1, 503.0, Y)
    hall.step(FORWARD, frames=60)
    assert 503.0 - 30.2 < hall.player["x"] <= 503.0 - 30.0
    hall.bot()["alive"], hall.bot()["died_ms"] = False, NEVER
    hall.step(FORWARD, frames=60)
    assert hall.player["x"] > 520.0


@pytest.mark.parametrize("seed", TRACES)
def test_a_reset_seed_gives_deepmind_labs_own_maze(seed):
    trace, level = load(seed), Game(seed=seed).level
    maze = labmaze.RandomMaze(
        11, 11, 3, 3, 5, 1000, 0.05, 26, False, True, 3, "P", 0, "G", lab_seed(seed)
    )
    assert (level.solids.cells[0] == (np.array(maze.entity_layer) == "*")[::-1]).all()
    columns, rows = (trace["pos"][:, :2] / 100).astype(int).T
    assert not level.solids.cells[0][rows, columns].any()
    assert trace["pos"][0, :2].tolist() in level.spawns[0].tolist()


def test_maps_have_one_gadget_and_two_power_ups_on_free_cells():
    maps = [make_map(seed) for seed in range(1, 201)]
    for made in maps:
        columns, rows = (made.item_places.T // 100).astype(int)
        assert (made.maze.entities[rows, columns] == " ").all()
        assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 3
        assert made.item_kinds[0] == GADGET
    kinds = np.concatenate([made.item_kinds[1:] for made in maps])
    assert 160 < (kinds == HEALTH).sum() < 240
    assert (kinds == HEALTH).sum() + (kinds == ARMOUR).sum() == 400
    assert np.bincount([made.special for made in maps])[ORB:].min() > 45
    assert np.histogram([made.hue_deg for made in maps], 3, (0, 360))[0].min() > 45
    assert sum(len(made.spawns) == 9 for made in maps) > 185


@settings(max_examples=6, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(1, 40)), min_size=1, max_size=30),
    st.integers(0, 2**64 - 1),
)
def test_whatever_the_player_does(runs, seed):
    """All stay inside, numbers stay finite, and the return is what the tags are worth."""
    game = Game(seed=0)
    game.level.seed(0, seed)
    game.level.begin(0, 200)
    actions = np.resize(np.repeat(*np.array(runs).T), 200)
    total = 0.0
    for action in actions:
        total += game.step(action)[0]
        fighters = game.level.fighters[0]
        assert all(game.level.is_open(0, fighter["x"], fighter["y"]) for fighter in fighters)
        assert ((fighters["z"] > 24.0) & (fighters["z"] < 150.0)).all()
        assert ((fighters["health"] > 0) == fighters["alive"]).all()
        assert all(np.isfinite(fighters[name]).all() for name in ("x", "y", "vx", "vy", "yaw"))
    assert game.out.truncated[0]
    assert fighters["frame"][0] == 800
    assert total == fighters["tags"][0] - fighters["self_tags"][0]
    assert fighters["tags"].sum() + fighters["self_tags"].sum() == fighters["deaths"].sum()


def test_the_random_policy_and_the_bots_do_as_recorded():
    """Within 15 % of what recorded bots do, and of the recorded returns' uncertainty."""
    own, earned = bot_statistics(50, seed=31)
    recorded = recorded_statistics()
    for name, value in own.items():
        assert value == pytest.approx(recorded[name], rel=0.15), name
    theirs = recorded_policies(LEVEL)["random_policy"]
    for name, values in earned.items():
        assert abs(gap_in_errors(values, *theirs[name])) < 2.8, name


def test_a_state_goes_on_as_the_original_and_threads_do_not_matter():
    actions = np.random.default_rng(3).integers(0, 9, (400, 3))
    one = LabsimVectorEnv(LEVEL, 3, num_threads=1)
    two = LabsimVectorEnv(LEVEL, 3, num_threads=2)
    for env in (one, two):
        env.reset(seed=5)
    for action in actions[:300]:
        ends = [env.step(action) for env in (one, two)]
    assert (ends[0][0] == ends[1][0]).all()
    state = one.get_state()
    other = LabsimVectorEnv(LEVEL, 3)
    other.reset(seed=99)
    other.set_state(state)
    for action in actions[300:]:
        ends = [env.step(action) for env in (one, other)]
        assert (ends[0][0] == ends[1][0]).all()
        assert (ends[0][1] == ends[1][1]).all()
    state = other.level.state()
    for name, array in one.level.state().items():
        assert np.array_equal(array, state[name]), name
    for env in (one, two, other):
        env.close()


def test_new_episodes_have_new_mazes_and_end_on_time():
    env = LabsimVectorEnv(LEVEL, 2)
    env.reset(seed=1)
    before = env.level.solids.cells.copy()
    env.level.players["last_frame"] = 8
    env.step(np.zeros(2, np.int64))
    *_, ended, _ = env.step(np.zeros(2, np.int64))
    assert ended.all()
    assert (env.level.solids.cells != before).any(axis=(1, 2)).all()
    assert (env.level.players["frame"] == 0).all()
    env.close()


def test_reset_options_place_the_player_and_there_is_no_target():
    env = LabsimVectorEnv(LEVEL)
    x, y = load(7003)["pos"][0, :2]
    env.reset(seed=7003, options={"pose": (x, y, 30.0), "velocity": (100.0, 0.0)})
    assert env.level.players["yaw"][0] == 30.0
    assert env.level.players["vx"][0] == pytest.approx(100.0 * np.cos(np.pi / 6))
    with pytest.raises(ValueError, match="no target"):
        env.reset(seed=7003, options={"target": (x, y)})
    with pytest.raises(ValueError, match="not inside"):
        env.reset(seed=7003, options={"pose": (50.0, 50.0, 0.0)})
    assert env.level.target(0) is None
    env.close()


def seen(hall):
    image = np.zeros((1, 72, 96, 3), np.uint8)
    player = hall.player
    camera = np.array([[player["x"], player["y"], player["z"] + 26.0, player["yaw"]]])
    render_slice(hall.level.scene, camera, np.zeros(1, np.int64), image, 0, 1)
    return image[0].astype(int)


def test_bots_show_their_sides_and_vanish_when_dead_and_orbs_fly_in_sight():
    hall = Hall()
    hall.put(0, 303.0, Y)
    hall.step(LOOK_RIGHT, frames=0)
    empty, views = seen(hall), []
    for yaw in (180.0, 270.0, 0.0):
        hall.put(1, 403.0, Y, yaw)
        hall.step(LOOK_RIGHT, frames=0)
        views.append(seen(hall))
        assert 100 < (views[-1] != empty).any(axis=2).sum() < 1500
    assert (views[0] != views[1]).any()
    assert (views[0] != views[2]).any()
    hall.bot()["alive"] = False
    hall.step(LOOK_RIGHT, frames=0)
    assert (seen(hall) == empty).all()
    orb = hall.level.orbs[0, 3]
    orb["owner"], orb["x"], orb["y"], orb["z"] = 1, 500.0, Y, 51.0
    hall.step(LOOK_RIGHT, frames=0)
    assert (seen(hall) != empty).any()
