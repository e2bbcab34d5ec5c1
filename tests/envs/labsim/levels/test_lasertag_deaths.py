import pytest

from envs.labsim.levels.lasertag_fighters import RAPID
from tests.envs.labsim.levels.lasertag_game import FIRE, FORWARD, LOOK_LEFT, NEVER, Hall

Y = 553.0


def dead(hall, x=203.0):
    """Kill the agent in front of a bot that then stands still."""
    player = hall.put(0, x, Y, 33.0)
    player["health"] = 7
    bot = hall.put(1, x + 150.0, Y, 180.0)
    bot["shooting"] = True
    while player["alive"]:
        hall.step(LOOK_LEFT, frames=1)
    bot["shooting"] = False
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
