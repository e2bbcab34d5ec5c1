import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.labsim.levels.rooms_keys_doors_puzzle_generator import COLOURS, make_puzzle
from envs.labsim.maps import lab_seed
from envs.labsim.scene import NONE
from tests.envs.labsim.levels.keys_doors_game import (
    BLACK,
    BLUE,
    CLOSED,
    EMPTY,
    FORWARD,
    GOAL,
    GREEN,
    GREEN_KEY,
    RED,
    WHITE,
    WHITE_KEY,
    Game,
)


def test_episodes_last_3600_frames():
    game = Game(seeds=(1, 2))
    for step in range(1, 901):
        game.step()
        assert game.out.truncated.all() == (step == 900)
        assert not game.out.terminated.any()
    assert game.player["frame"] == 3600


def test_players_begin_in_the_middle_of_the_start_cell_with_any_heading():
    game = Game(seeds=range(400))
    players = game.level.players
    assert np.histogram(players["yaw"], 4, (0, 360))[0].min() > 65
    assert (players["z"] == 25.125).all()
    for i in (0, 7, 399):
        row, column = make_puzzle(lab_seed(i)).start
        assert (players["x"][i], players["y"][i]) == (100 * column + 50, 100 * row + 50)


def test_each_episode_has_another_puzzle():
    game = Game()
    maps = set()
    for _ in range(20):
        maps.add(game.level.solids.cells[0].tobytes() + game.level.doors[0].tobytes())
        game.level.begin(0)
    assert len(maps) == 20


@pytest.mark.parametrize(
    ("key", "dx", "dy", "taken"),
    [
        (WHITE_KEY, -49.9, 0, True),
        (WHITE_KEY, -50.1, 0, False),
        (GREEN_KEY, 43.9, 0, True),
        (GREEN_KEY, 44.1, 0, False),
        (WHITE_KEY, -40, 35.9, True),
        (WHITE_KEY, -40, 36.1, False),
    ],
)
def test_a_key_pays_one_and_is_carried(key, dx, dy, taken):
    """The box reaches 50 to the west, 44 to the east and 36 to the sides."""
    game = Game().put(key[0] + dx, key[1] + dy)
    assert game.level.is_open(0, key[0] + dx, key[1] + dy)
    colour = WHITE if key == WHITE_KEY else GREEN
    count = (game.level.keys["colour"][0] == colour).sum()
    assert game.held == EMPTY
    rewards = [game.step(frames=1)[0] for _ in range(3)]
    assert rewards == ([0, 1, 0] if taken else [0, 0, 0])  # it arrives one frame late
    assert game.held == (colour if taken else EMPTY)
    assert (game.level.keys["colour"][0] == colour).sum() == count - taken


def test_a_key_replaces_the_one_that_is_carried_and_stays_away():
    game = Game().put(*WHITE_KEY)
    game.step()
    assert game.held == WHITE
    game.put(*GREEN_KEY)
    assert game.step() == 1.0
    assert game.held == GREEN
    game.put(*WHITE_KEY)
    assert game.step() == 0.0
    assert game.held == GREEN


def test_the_square_shows_the_colour_of_the_key():
    game = Game()
    assert game.level.scene.square[0].tolist() == [0, 0, 0, 0]
    rgb = {
        RED: [255, 0, 0], GREEN: [0, 255, 0], BLUE: [0, 0, 255], BLACK: [0, 0, 0],
        WHITE: [255, 255, 255],
    }  # fmt: skip
    for colour, expected in rgb.items():
        game.held = colour
        game.step()
        assert game.level.scene.square[0].tolist() == [*expected, 1], COLOURS[colour]


def test_the_goal_pays_fifty_and_ends_the_episode():
    """0.2 s after what the clock showed before the frame of the touch: 12 frames more, or 11."""
    lengths = set()
    for wait in range(40):
        game = Game()
        game.step(frames=wait)
        game.put(*GOAL)
        rewards = []
        while not game.out.terminated[0]:
            rewards.append(float(game.step(frames=1)[0]))
        assert rewards[:3] == [0, 50, 0]
        assert sum(rewards) == 50
        lengths.add(len(rewards))
        assert not game.out.truncated[0]
        clock = (wait + len(rewards)) * 16 / 960
        assert clock > wait * 16 / 960 + 0.2 >= (wait + len(rewards) - 1) * 16 / 960
    assert lengths <= {12, 13}
    assert 13 in lengths


def test_the_last_frame_collects_the_goal():
    for wait, last in ((0, 1), (0, 2)):
        game = Game()
        game.level.players["last_frame"] = wait + last
        game.put(*GOAL)
        total = sum(float(game.step(frames=1)[0]) for _ in range(last))
        assert total == 50.0
        assert game.out.truncated[0]


def test_success_seconds_is_the_time_from_spawn_to_the_goal():
    game = Game()
    for _ in range(11):
        game.step()
        assert np.isnan(game.out.success_seconds[0])
    game.put(*GOAL).step()
    assert game.out.success_seconds[0] == pytest.approx(45 / 60)
    game.step()
    assert np.isnan(game.out.success_seconds[0])


def test_walls_are_solid_but_not_seen():
    game = Game()
    level = game.level
    assert not level.scene.solid.any()
    assert (level.scene.wall_texture == NONE).all()
    assert (level.scene.floor_texture != NONE).tolist() == (~level.solids.cells).tolist()
    game.put(750.0, 250.0, yaw=270.0)
    for _ in range(20):
        game.step(FORWARD)
    assert game.player["y"] == pytest.approx(200 + 1 + 15.125, abs=0.01)


def test_scene_shows_keys_doors_and_goal_until_they_are_taken():
    game = Game()
    shown = game.level.scene.thing_texture[0]
    assert (shown != NONE).tolist() == [True] * 4 + [False, True]
    game.put(*GOAL).step()
    assert shown[5] == NONE
    doors = (game.level.scene.segment_texture[0].reshape(9, -1) != NONE).all(axis=1)
    assert doors.tolist() == [True] * 7 + [False] * 2
    assert game.level.target(0).tolist() == list(GOAL)


def test_targets_cannot_be_placed():
    with pytest.raises(ValueError, match="goal"):
        Game().level.place_target(0, np.zeros(2))


@pytest.mark.parametrize(
    ("x", "y", "is_open"),
    [(750, 250, True), (750, 215.9, False), (750, 216.1, True), (883.9, 250, True),
     (884.1, 250, False), (930.9, 350, True), (931.1, 350, False), (-50, 250, False),
     (1450, 350, False), (950, 250, False), (884, 250, False), (931, 350, False)],
)  # fmt: skip
def test_is_open_knows_walls_and_closed_doors(x, y, is_open):
    assert Game().level.is_open(0, x, y) == is_open


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    runs=st.lists(st.tuples(st.integers(0, 8), st.integers(1, 40)), min_size=20, max_size=40),
)
def test_whatever_players_do_they_stay_out_of_walls_and_are_paid_for_events(seed, runs):
    game = Game(seeds=(seed,))
    level, total = game.level, 0.0
    keys = (level.keys["colour"] >= 0).sum()
    actions = np.concatenate([np.full(count, action) for action, count in runs])
    for step, action in enumerate(np.resize(actions, 900), 1):
        total += float(game.step(action)[0])
        player = game.player
        assert np.isfinite([player["x"], player["y"], player["yaw"], player["vx"]]).all()
        assert player["z"] == pytest.approx(25.125, abs=0.01)
        assert level.is_open(0, player["x"], player["y"])
        if game.out.terminated[0]:
            break
        assert game.out.truncated[0] == (step == 900)
    taken = keys - (level.keys["colour"] >= 0).sum()
    opened = (level.doors["opened_ms"] != CLOSED).sum()
    goal = level.games["goal_taken"][0]
    assert total == taken + opened + 50 * goal
    assert game.out.terminated[0] == goal
