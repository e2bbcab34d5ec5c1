import numpy as np
import pytest

from envs.labsim.levels.lasertag_fighters import BEAM, DISC, ORB, RAPID
from envs.labsim.levels.lasertag_items import ARMOUR, GADGET, HEALTH
from tests.envs.labsim.levels.lasertag_game import FIRE, NEVER, Hall

X, Y = 553.0, 553.0


def lying(kind, special=DISC):
    """A hall with the agent far from one item of a kind."""
    hall = Hall()
    hall.put(0, 203.0, 203.0)
    hall.level.games["special"][0] = special
    return hall, hall.lay(0, kind, X, Y)


def visit(hall, x=X, y=Y):
    """Stand at a place for one frame."""
    hall.player["x"], hall.player["y"], hall.player["vx"], hall.player["vy"] = x, y, 0.0, 0.0
    hall.step(frames=1)
    hall.player["x"], hall.player["y"] = 203.0, 203.0


def shown(hall):
    return bool(hall.level.scene.thing_texture[0, 3] >= 0)


@pytest.mark.parametrize(("kind", "back_ms"), [(GADGET, 5000), (HEALTH, 35000), (ARMOUR, 25000)])
def test_items_come_back(kind, back_ms):
    hall, _ = lying(kind)
    hall.player["health"] = 10
    hall.step(frames=1)
    assert shown(hall)
    visit(hall)
    gone = 0
    hall.step(frames=1)
    while not shown(hall):
        gone += 1
        hall.step(frames=1)
    assert gone * 16 <= back_ms < (gone + 2) * 16


@pytest.mark.parametrize(
    ("before", "after"), [(1, 51), (49, 99), (70, 100), (100, 100), (120, 120)]
)
def test_health_gives_50_up_to_100(before, after):
    hall, item = lying(HEALTH)
    hall.player["health"] = before
    visit(hall)
    assert hall.player["health"] == after
    assert (item["from_ms"] > 0) == (before < 100)


@pytest.mark.parametrize(("before", "after"), [(0, 50), (120, 170), (170, 200), (200, 200)])
def test_armour_gives_50_up_to_200(before, after):
    hall, item = lying(ARMOUR)
    hall.player["armour"] = before
    visit(hall)
    assert hall.player["armour"] == after
    assert (item["from_ms"] > 0) == (before < 200)


@pytest.mark.parametrize(("special", "shots"), [(ORB, 10), (BEAM, 100), (DISC, 10)])
def test_a_gadget_tops_up_its_shots_or_adds_one_and_is_taken_into_the_hands(special, shots):
    for before, after in ((0, shots), (shots - 3, shots), (shots, shots + 1), (199, 200),
                          (200, 200)):  # fmt: skip
        hall, _ = lying(GADGET, special)
        hall.player["special_ammo"] = before
        visit(hall)
        assert hall.player["special_ammo"] == after
        assert hall.player["gadget"] == special
        assert hall.player["weapon_ms"] == 450


@pytest.mark.parametrize(
    ("dx", "dy", "touched"),
    [(-50, 0, True), (-50.1, 0, False), (44, 0, True), (44.1, 0, False), (0, 36, True),
     (0, 36.1, False)],
)  # fmt: skip
def test_the_touch_box(dx, dy, touched):
    hall, item = lying(GADGET)
    visit(hall, X + dx, Y + dy)
    assert (item["from_ms"] > 0) == touched


def test_the_dead_drop_their_special_gadget_for_30_s():
    for gadget, ammo, drops in ((DISC, 3, True), (DISC, 0, False), (RAPID, 3, False)):
        hall = Hall()
        hall.level.games["special"][0] = DISC
        victim = hall.put(1, X, Y)
        victim["gadget"], victim["special_ammo"], victim["health"] = gadget, ammo, 1
        hall.put(0, 403.0, Y, 0.0)
        hall.step(FIRE, frames=1)
        assert not victim["alive"]
        victim["died_ms"] = NEVER
        drop = hall.level.items[0, 3]
        assert (drop["kind"] == GADGET) == drops
        if not drops:
            continue
        assert (drop["x"], drop["y"]) == (X, Y)
        now = int(hall.player["engine_ms"])
        for _ in range(30000 // 16 - 4):
            hall.step(frames=1)
        assert drop["kind"] == GADGET
        hall.step(frames=8)
        assert drop["kind"] != GADGET
        assert int(hall.player["engine_ms"]) - now < 30100


def test_a_dropped_gadget_brings_all_its_shots_and_does_not_come_back():
    hall, _ = lying(ARMOUR)
    hall.player["armour"] = 200
    drop = hall.lay(5, GADGET, X, Y)
    hall.player["special_ammo"] = 7
    visit(hall)
    assert hall.player["special_ammo"] == 17
    assert drop["from_ms"] == drop["until_ms"]


def test_at_most_six_drops_lie_about_and_the_oldest_makes_room():
    hall = Hall()
    hall.level.games["special"][0] = DISC
    for n in range(8):
        victim = hall.put(1, 203.0 + 60 * n, Y)
        victim["gadget"], victim["special_ammo"], victim["health"] = DISC, 3, 1
        hall.put(0, 203.0 + 60 * n, Y - 150.0, 90.0)
        hall.step(FIRE, frames=1)
    places = np.sort(hall.level.items["x"][0, 3:])
    assert places.tolist() == [203.0 + 60 * n for n in range(2, 8)]
