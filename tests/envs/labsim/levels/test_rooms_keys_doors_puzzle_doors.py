import numpy as np
import pytest

from tests.envs.labsim.levels.keys_doors_game import (
    BLACK,
    EMPTY,
    FORWARD,
    GREEN,
    NORTH_SOUTH_DOOR,
    WHITE,
    WHITE_DOOR,
    Game,
)


@pytest.mark.parametrize(("held", "opens"), [(WHITE, True), (GREEN, False), (EMPTY, False)])
def test_a_door_opens_for_its_colour_pays_one_and_takes_the_key(held, opens):
    game = Game().put(900.0, 350.0)
    game.held = held
    rewards = [game.step(frames=1)[0] for _ in range(3)]
    assert rewards == ([0, 1, 0] if opens else [0, 0, 0])
    assert game.opened(WHITE_DOOR) == opens
    assert game.held == (EMPTY if opens else held)


@pytest.mark.parametrize(
    ("at", "x", "y", "low", "high"),
    [
        (WHITE_DOOR, 885.1, 350, True, False),
        (WHITE_DOOR, 884.9, 350, False, False),
        (WHITE_DOOR, 930, 350, True, False),
        (WHITE_DOOR, 970, 350, False, True),
        (WHITE_DOOR, 1014.9, 350, False, True),
        (WHITE_DOOR, 1015.1, 350, False, False),
        (WHITE_DOOR, 936.1, 350, True, True),
        (WHITE_DOOR, 935.9, 350, True, False),
        (WHITE_DOOR, 963.9, 350, True, True),
        (WHITE_DOOR, 964.1, 350, False, True),
        (NORTH_SOUTH_DOOR, 350, 385.1, True, False),
        (NORTH_SOUTH_DOOR, 350, 384.9, False, False),
        (NORTH_SOUTH_DOOR, 350, 514.9, False, True),
        (NORTH_SOUTH_DOOR, 286, 385.1, True, False),
        (NORTH_SOUTH_DOOR, 284, 385.1, False, False),
    ],
)
def test_triggers_are_49_units_deep_on_both_sides(at, x, y, low, high):
    """They feel the player's box of 30 units; between them, 2 units do not."""
    game = Game().put(x, y)
    game.step(frames=1)
    door = game.level.doors[0, game.door(at)]
    assert (door["low_ready_ms"] > 0, door["high_ready_ms"] > 0) == (low, high)


def test_a_trigger_sleeps_for_a_second_after_a_touch():
    game = Game().put(900.0, 350.0)
    game.step(frames=1)
    game.held = WHITE
    touched_ms = game.player["server_ms"]
    while not game.opened(WHITE_DOOR):
        game.step(frames=1)
    assert game.player["server_ms"] - touched_ms == 1000


def test_the_other_trigger_does_not_sleep():
    game = Game().put(900.0, 350.0)
    game.step(frames=1)
    game.held = WHITE
    game.put(1000.0, 350.0).step(frames=1)
    assert game.opened(WHITE_DOOR)


@pytest.mark.parametrize(
    ("at", "beside", "colour", "axis"),
    [(WHITE_DOOR, (900.0, 350.0), WHITE, 1), (NORTH_SOUTH_DOOR, (350.0, 400.0), BLACK, 0)],
)
def test_a_door_slides_94_units_aside_at_400_a_second_after_50_ms(at, beside, colour, axis):
    """+y for a passage from east to west, +x for one from north to south."""
    game = Game().put(*beside)
    game.held = colour
    game.step(frames=1)
    k = game.door(at)
    opened_ms = game.player["server_ms"]
    closed = game.level.solids.boxes[0, k].copy()
    expected = [*at, 50.0, 4.0] if axis == 0 else [*at, 4.0, 50.0]
    expected[axis] += 1.0
    assert closed.tolist() == expected
    moved = {}
    for _ in range(60):
        game.step(frames=1)
        change = game.level.solids.boxes[0, k] - closed
        assert np.delete(change, axis).tolist() == [0, 0, 0]
        moved.setdefault(int(game.player["server_ms"] - opened_ms), round(change[axis], 6))
    late = {ms: way for ms, way in moved.items() if ms > 300}
    assert {ms: way for ms, way in moved.items() if ms <= 300} == {
        50: 0, 100: 20, 150: 40, 200: 60, 250: 80, 300: 94
    }  # fmt: skip
    assert set(late.values()) == {94}
    segments = game.level.scene.segments[0].reshape(9, -1, 10)[k]
    along = segments[:, [axis, axis + 2]]
    assert along.min() == pytest.approx(at[axis] + 95 - 50)
    assert along.max() == pytest.approx(at[axis] + 95 + 50)


def test_a_closed_door_stops_players_and_an_open_one_lets_them_pass():
    game = Game().put(900.0, 350.0)
    for _ in range(20):
        game.step(FORWARD)
    assert game.player["x"] == pytest.approx(950 - 4 - 15.125, abs=0.01)
    game.held = WHITE
    for _ in range(30):
        game.step(FORWARD)
    assert game.player["x"] > 1100


def test_an_open_door_still_is_in_the_way_at_its_side():
    game = Game().put(900.0, 350.0)
    game.held = WHITE
    for _ in range(8):
        game.step()
    game.put(920.0, 380.5)
    for _ in range(20):
        game.step(FORWARD)
    assert game.player["x"] == pytest.approx(950 - 4 - 15.125, abs=0.01)
