import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.bots import bot_statistics, recorded_statistics
from benchmarks.fidelity import gap_in_errors, recorded_policies
from benchmarks.recordings import load
from envs.labsim.levels.lasertag_fighters import ORB, RAPID
from envs.labsim.raycaster import render_slice
from envs.labsim.vector_env import LabsimVectorEnv
from tests.envs.labsim.levels.lasertag_game import FIRE, LOOK_LEFT, LOOK_RIGHT, Game, Hall

LEVEL = "lasertag_three_opponents_small"
Y = 553.0


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
    assert hall.step(LOOK_LEFT, frames=4) == 0.0  # being tagged
    assert (hall.player["deaths"], hall.bot(2)["tags"]) == (1, 1)
    hall.put(3, 553.0, Y - 150.0)["health"] = 7
    hall.put(2, 403.0, Y - 150.0)["shooting"] = True
    assert hall.step(LOOK_LEFT, frames=4) == 0.0  # a bot tags another
    assert hall.bot(3)["deaths"] == 1
    hall.level.games["special"][0] = ORB
    player = hall.put(0, 940.0, Y)
    player["gadget"], player["special_ammo"], player["health"] = ORB, 3, 20
    assert hall.step(FIRE, frames=4) == -1.0
    assert (player["self_tags"], player["deaths"], player["tags"]) == (1, 2, 1)


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


def test_nothing_of_earlier_episodes_is_left_after_a_seed():
    """The sides that bots took last, too, which they keep until the next fight."""
    used, fresh = LabsimVectorEnv(LEVEL, 1), LabsimVectorEnv(LEVEL, 1)
    used.reset(seed=5)
    actions = np.random.default_rng(5).integers(0, 9, (400, 1))
    for action in actions[:50]:
        used.step(action)
    used.level.fighters["avoid_right"] = used.level.fighters["strafe_right"] = True
    used.reset(seed=11)
    fresh.reset(seed=11)
    for action in actions:
        for name in ("x", "y", "yaw", "health"):
            assert (used.level.fighters[name] == fresh.level.fighters[name]).all(), name
        for env in (used, fresh):
            env.step(action)
    for env in (used, fresh):
        env.close()


def test_reset_options_place_the_player_and_there_is_no_target():
    env = LabsimVectorEnv(LEVEL)
    x, y = load(LEVEL, 7003)["pos"][0, :2]
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
