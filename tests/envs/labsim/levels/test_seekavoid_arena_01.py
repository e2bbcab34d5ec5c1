import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.labsim.levels.seekavoid_arena_01_scene import APPLES, ITEMS, LEMONS
from envs.labsim.raycaster import render_slice
from tests.envs.labsim.levels.seekavoid_game import FAR, FORWARD, Game


def test_items_lie_where_the_map_has_them():
    # Distances from the spawn point in whole units, and sums of all coordinates.
    apples = [96, 132, 191, 200, 208, 208, 222, 234, 261, 272, 279, 301, 326, 334, 404]
    lemons = [131, 159, 204, 240, 296, 300, 307, 329]
    for kind, expected in ((APPLES, apples), (LEMONS, lemons)):
        distances = np.hypot(*(np.array(kind) - (192, -128)).T)
        assert sorted(distances.round().astype(int).tolist()) == expected
    assert np.sum(APPLES, axis=0).tolist() == [2936, -1632]
    assert np.sum(LEMONS, axis=0).tolist() == [1208, -928]
    assert len(ITEMS) == 23


def test_players_spawn_at_one_point_with_any_heading():
    level = Game(3000).level
    assert (level.players["x"] == 192).all()
    assert (level.players["y"] == -128).all()
    assert (level.players["z"] == 24.125).all()
    assert np.histogram(level.players["yaw"], 8, (0, 360))[0].min() > 300


@pytest.mark.parametrize(("item", "value"), [(0, 1.0), (14, 1.0), (15, -1.0), (22, -1.0)])
def test_apples_pay_one_and_lemons_cost_one_and_both_vanish(item, value):
    game = Game()
    assert game.visit(item) == value
    assert not game.level.present[0, item]
    assert game.level.scene.thing_texture[0, item] == -1
    assert game.level.present[0].sum() == 22
    assert game.visit(item) == 0.0


@pytest.mark.parametrize(
    ("dx", "dy", "touched"),
    [(-50, 0, True), (-50.1, 0, False), (44, 0, True), (44.1, 0, False),
     (0, 36, True), (0, 36.1, False), (0, -36, True), (0, -36.1, False)],
)  # fmt: skip
def test_the_touch_box_of_an_item(dx, dy, touched):
    game = Game()
    item = 14  # all others are farther away than any touch box reaches
    game.put(ITEMS[item, 0] + dx, ITEMS[item, 1] + dy)
    game.step(frames=1)
    assert game.level.present[0, item] != touched
    assert game.level.present[0].sum() == 23 - touched


def test_a_reward_arrives_in_the_second_frame_after_the_touch():
    game = Game()
    game.put(*ITEMS[3])
    assert [game.step(frames=1)[0] for _ in range(4)] == [0, 1, 0, 0]


def test_the_fifteenth_apple_has_the_map_loaded_again():
    game = Game(seed=3)
    headings = {float(game.level.players["yaw"][0])}
    for _ in range(2):
        for item in (20, *range(14)):  # lemons do not count
            game.visit(item)
        assert game.level.arenas["apples_left"][0] == 1
        game.put(*ITEMS[14])
        game.step(frames=1)
        assert game.level.present[0].sum() == 7
        game.put(*FAR[:2])
        game.level.players["vx"] = 77.0
        # The next frame loads the map and does not move the player.
        assert game.step(FORWARD, frames=1)[0] == 1.0
        player = game.level.players[0]
        assert (player["x"], player["y"], player["vx"], player["vy"]) == (192, -128, 0, 0)
        assert player["engine_ms"] == 0
        assert game.level.present[0].all()
        assert (game.level.scene.thing_texture[0] >= 0).all()
        headings.add(float(player["yaw"]))
    assert len(headings) == 3
    game.step(FORWARD, frames=1)
    assert game.level.players["vx"][0] ** 2 + game.level.players["vy"][0] ** 2 > 50**2


def test_an_episode_is_1200_frames():
    game = Game()
    assert game.level.episode_steps == 300
    game.put(*FAR[:2])
    for frame in range(1, 1201):
        game.step(frames=1)
        assert game.out.truncated[0] == (frame == 1200)
        assert not game.out.terminated[0]
        assert np.isnan(game.out.success_seconds[0])
    game.step()
    assert game.level.players["frame"][0] == 1200


def test_a_new_episode_owes_nothing_and_has_all_items():
    game = Game()
    for item in range(14):
        game.visit(item)
    game.put(*ITEMS[14])
    game.step(frames=1)
    game.level.begin(0)
    assert game.level.present[0].all()
    assert game.level.arenas["apples_left"][0] == 15
    game.put(*FAR[:2])
    assert game.step() == 0.0
    assert game.level.players["x"][0] == FAR[0]


def test_the_last_frame_collects_what_is_owed():
    for late, paid in ((0, 0.0), (1, 1.0)):
        game = Game(length_steps=5)
        game.put(*FAR[:2])
        game.step(frames=20 - late)
        game.put(*ITEMS[0])
        reward = game.step()[0]
        assert reward == paid


def test_there_is_no_target():
    level = Game().level
    assert level.target(0) is None
    with pytest.raises(ValueError, match="no target"):
        level.place_target(0, np.zeros(2))


@pytest.mark.parametrize(
    ("x", "y", "is_open"),
    [(-552, 0, True), (-554, 0, False), (1000, 0, True), (1002, 0, False),
     (0, -744, True), (0, -746, False), (0, 552, True), (0, 554, False)],
)  # fmt: skip
def test_the_arena_ends_at_its_walls(x, y, is_open):
    assert Game().level.is_open(0, x, y) == is_open


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(1, 40)), min_size=1, max_size=30),
    st.integers(0, 2**64 - 1),
)
def test_whatever_the_player_does(runs, seed):
    """He stays inside, numbers stay finite, and the return is what the taken items are worth."""
    game = Game()
    game.level.seed(0, seed)
    game.level.begin(0)
    actions = np.resize(np.repeat(*np.array(runs).T), 300)
    total, taken, present = 0.0, 0.0, np.ones(23, bool)
    for action in actions:
        for _ in range(4):
            total += game.step(action, frames=1)[0]
            player, now = game.level.players[0], game.level.present[0]
            lost = present & ~now
            taken += lost[:15].sum() - lost[15:].sum()
            present = now.copy()
            assert game.level.is_open(0, player["x"], player["y"])
            assert all(np.isfinite(player[name]) for name in ("x", "y", "z", "vx", "vy", "yaw"))
    assert game.out.truncated[0]
    assert player["frame"] == 1200
    assert total == taken


def test_apples_are_red_and_lemons_yellow_from_the_spawn_point():
    level = Game().level
    seen = {}
    for item in (0, 15):
        x, y = ITEMS[item]
        level.present[0] = False
        views = []
        for shown in (False, True):
            level.present[0, item] = shown
            level._update_scene(0)
            yaw = np.degrees(np.arctan2(y + 128.0, x - 192.0))
            image = np.zeros((1, 72, 96, 3), np.uint8)
            camera = np.array([[192.0, -128.0, 50.125, yaw]])
            render_slice(level.scene, camera, np.zeros(1, np.int64), image, 0, 1)
            views.append(image[0].astype(int))
        changed = (views[0] != views[1]).any(axis=2)
        assert changed.sum() >= 10
        seen[item] = views[1][changed].mean(axis=0)
    assert seen[0][0] > 3 * seen[0][1]
    assert seen[15][1] > 0.75 * seen[15][0] > 2 * seen[15][2]


def test_same_seed_same_game_and_other_seeds_differ():
    actions = np.random.default_rng(0).integers(0, 9, (50, 3))
    ends = []
    for seeds in ((5, 6, 7), (5, 6, 7), (8, 6, 9)):
        game = Game(3)
        for i, seed in enumerate(seeds):
            game.level.seed(i, seed)
            game.level.begin(i)
        for action in actions:
            game.step(action)
        ends.append(game.level.players.copy())
    assert (ends[0] == ends[1]).all()
    assert (ends[0] == ends[2]).tolist() == [False, True, False]


def test_a_game_goes_on_from_its_state():
    """Also what is drawn: bobbing items, and which of them are gone."""
    actions = np.random.default_rng(1).integers(0, 9, (60, 2))
    game, other = Game(2, seed=4), Game(2, seed=9)
    for action in actions[:30]:
        game.step(action)
    for name, array in other.level.state().items():
        array[...] = game.level.state()[name]
    for action in actions[30:]:
        assert (game.step(action) == other.step(action)).all()
    for name, array in other.level.state().items():
        assert (array == game.level.state()[name]).all(), name
    assert (other.level.scene.things == game.level.scene.things).all()
    assert not game.level.present.all()


def test_a_restart_forgets_what_is_due_and_loads_what_is_to_be_loaded():
    game = Game(seed=3)
    for item in range(14):
        game.visit(item)
    game.put(*ITEMS[14])
    game.step(frames=1)
    assert game.level.arenas["reloading"][0]
    game.put(*FAR[:2])
    game.level.restart_clock(0)
    assert game.level.present[0].all()
    assert (game.level.scene.thing_texture[0] >= 0).all()
    assert game.level.arenas["apples_left"][0] == 15
    assert game.step(frames=2)[0] == 0
    assert game.level.players["x"][0] == FAR[0]
