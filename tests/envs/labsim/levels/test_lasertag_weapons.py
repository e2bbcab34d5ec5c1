import numpy as np
import pytest

from envs.labsim.levels.lasertag_fighters import BEAM, DISC, IMPULSE, ORB, RAPID, hurt
from envs.labsim.levels.lasertag_weapons import free_way, sees
from tests.envs.labsim.levels.lasertag_game import FIRE, LOOK_LEFT, Hall

Y = 553.0


def armed(gadget, x=203.0, yaw=0.0):
    """A hall with the agent, who has a gadget with many shots in his hands."""
    hall = Hall()
    hall.put(0, x, Y, yaw)
    hall.level.games["special"][0] = gadget if gadget >= ORB else DISC
    hall.player["gadget"], hall.player["rapid_ammo"] = gadget, 200
    hall.player["special_ammo"] = 200 if gadget >= ORB else 0
    return hall


@pytest.mark.parametrize(
    ("gadget", "period_ms"), [(RAPID, 100), (ORB, 800), (BEAM, 50), (DISC, 1500)]
)
def test_gadgets_fire_once_in_their_period(gadget, period_ms):
    hall = armed(gadget)
    shots = 0
    for frame in range(1, 401):
        hall.step(FIRE, frames=1)
        shots = 400 - hall.player["rapid_ammo"] - hall.player["special_ammo"]
        if gadget < ORB:
            shots -= 200
        assert shots == 1 + (frame - 1) * 16 // period_ms
        hall.player["health"] = 100
    assert shots > 4


def test_impulse_fires_every_400_ms_and_only_on_contact():
    hall = armed(IMPULSE)
    for _ in range(60):
        hall.step(FIRE, frames=1)
    target = hall.put(1, 240.0, Y)
    target["health"] = 1000
    hits, health = [], 1000
    for frame in range(1, 101):
        target["x"], target["vx"] = 240.0, 0.0
        hall.step(FIRE, frames=1)
        if target["health"] < health:
            hits.append(frame)
            health = target["health"]
    assert hits == [1, 26, 51, 76]


@pytest.mark.parametrize(
    ("gadget", "damage"), [(IMPULSE, 50), (RAPID, 7), (ORB, 100), (BEAM, 8), (DISC, 100)]
)
def test_damage_of_one_shot(gadget, damage):
    hall = armed(gadget)
    target = hall.put(1, 243.0, Y)
    target["health"] = 1000
    hall.step(FIRE, frames=1)
    assert 1000 - target["health"] == damage


@pytest.mark.parametrize(("gadget", "reach"), [(IMPULSE, 32.0), (BEAM, 768.0)])
def test_reach(gadget, reach):
    for gap, hits in ((reach - 0.5, True), (reach + 0.5, False)):
        hall = armed(gadget, x=120.0)
        target = hall.put(1, 120.0 + 14.0 + gap + 15.0, Y)
        target["health"] = 1000
        hall.step(FIRE, frames=1)
        assert (target["health"] < 1000) == hits


@pytest.mark.parametrize("gadget", [RAPID, DISC])
def test_rapid_and_disc_reach_through_the_whole_maze(gadget):
    hall = armed(gadget, x=120.0)
    target = hall.put(1, 980.0, Y)
    target["health"] = 1000
    for _ in range(20):
        hall.step(FIRE, frames=7)
    assert target["health"] < 1000


def test_rapid_spreads_by_200_in_8192():
    spread = 200 / 8192
    for part, hits in ((0.8, True), (1.02, False)):
        hall = armed(RAPID, x=120.0)
        way = 800.0
        target = hall.put(1, 134.0 + way + 15.0, Y + part * spread * way + 15.0)
        target["health"] = 10_000
        for _ in range(400):
            hall.player["rapid_ammo"] = 200
            hall.step(FIRE, frames=7)
        assert (target["health"] < 10_000) == hits


def test_a_disc_goes_through_fighters_and_other_shots_do_not():
    for gadget in (DISC, BEAM, RAPID):
        hall = armed(gadget)
        for k, x in ((1, 260.0), (2, 340.0)):
            hall.put(k, x, Y)["health"] = 1000
        hall.step(FIRE, frames=1)
        assert hall.bot(1)["health"] < 1000
        assert (hall.bot(2)["health"] < 1000) == (gadget == DISC)


@pytest.mark.parametrize("gadget", [RAPID, BEAM, DISC])
def test_walls_stop_shots(gadget):
    hall = armed(gadget)
    hall.build((5, 4))
    target = hall.put(1, 640.0, Y)
    for _ in range(20):
        hall.step(FIRE)
    assert target["health"] == 100


def test_an_orb_flies_900_units_a_second_with_50_ms_head_start():
    hall = armed(ORB)
    hall.step(FIRE, frames=1)
    start = 203.0 + 14.0 + 0.050 * 900.0
    for frame in range(1, 30):
        orb = hall.level.orbs[0, 0]
        assert orb["owner"] == 0
        assert orb["x"] == pytest.approx(start + frame * 0.016 * 900.0)
        assert (orb["y"], orb["z"]) == (Y, 51.125)
        hall.step(LOOK_LEFT, frames=1)


def burst(hall, y, owner=0):
    """Let an Orb burst at the east wall, at (998, y), as high as a fighter's origin."""
    orb = hall.level.orbs[0, 3 * owner]
    orb["owner"], orb["x"], orb["y"], orb["z"] = owner, 990.0, y, 25.0
    orb["dx"], orb["dy"], orb["dz"] = 1.0, 0.0, 0.0
    return hall.step(LOOK_LEFT, frames=1)[0]


@pytest.mark.parametrize(("gap", "damage"), [(0, 99), (30, 75), (60, 50), (119, 1), (121, 0)])
def test_a_splash_falls_linearly_over_120_units(gap, damage):
    hall = Hall()
    target = hall.put(1, 983.0 - 0.5, Y)
    target["health"] = 1000
    burst(hall, Y + 15.0 + gap)
    assert 1000 - target["health"] == pytest.approx(damage, abs=1)
    assert (target["vx"] ** 2 + target["vy"] ** 2 > 0) == (damage > 0)


@pytest.mark.parametrize(("gap", "damage"), [(0.9, 100), (1.1, 99), (120.9, 0)])
def test_a_splash_is_measured_from_a_unit_beyond_the_body(gap, damage):
    hall = Hall()
    target = hall.put(1, 983.0 - 0.5, Y)
    target["health"] = 1000
    burst(hall, Y + 15.0 + gap)
    assert 1000 - target["health"] == damage


def test_a_splash_hurts_its_own_fighter_half_and_walls_shield():
    hall = Hall()
    hall.put(0, 983.0, Y)
    burst(hall, Y + 15.0 + 60.0)
    assert hall.player["health"] == 100 - 25
    shielded = Hall()
    shielded.build((6, 9), (6, 8))
    shielded.put(1, 982.5, 582.0)
    burst(shielded, 702.0)
    assert shielded.bot()["health"] == 100


def test_a_direct_hit_has_no_splash_for_the_same_fighter():
    hall = armed(ORB)
    target = hall.put(1, 400.0, Y)
    near = hall.put(2, 400.0, Y + 60.0)
    target["health"] = near["health"] = 1000
    for _ in range(40):
        hall.step(FIRE if hall.player["special_ammo"] == 200 else LOOK_LEFT, frames=1)
    assert target["health"] == 900
    assert 900 < near["health"] < 960


@pytest.mark.parametrize(("armour", "left", "taken"), [(200, 134, 34), (50, 0, 50), (0, 0, 100)])
def test_armour_takes_66_percent(armour, left, taken):
    hall = Hall()
    target = hall.put(1, 500.0, Y)
    target["health"], target["armour"] = 200, armour
    hurt(hall.level.fighters[0], 1, 0, 100, 1.0, 0.0, 0.0)
    assert (target["armour"], 200 - target["health"]) == (left, taken)


def test_knockback_is_5_units_a_second_for_each_point_and_slides_for_200_ms():
    hall = Hall()
    target = hall.put(1, 300.0, Y)
    target["health"] = 1000
    hurt(hall.level.fighters[0], 1, 0, 100, 1.0, 0.0, 0.0)
    assert (target["vx"], target["vy"], target["slide_ms"]) == (500.0, 0.0, 200)
    hall.step(frames=9)
    assert target["vx"] > 490.0
    hall.step(frames=12)
    assert target["vx"] < 300.0
    assert target["z"] < 40.0
    weak = hall.put(2, 300.0, 300.0)
    hurt(hall.level.fighters[0], 2, 0, 7, 0.0, 1.0, 0.0)
    assert (weak["vy"], weak["slide_ms"]) == (35.0, 50)


def test_who_slides_stays_on_the_floor_and_who_is_hit_in_the_air_falls():
    hall = Hall()
    player = hall.put(0, 300.0, Y, 90.0)
    player["health"] = 1000
    standing = float(player["z"])
    hurt(hall.level.fighters[0], 0, 1, 100, 1.0, 0.0, 0.0)
    for frame in range(1, 14):
        hall.step(LOOK_LEFT, frames=1)
        assert player["z"] == standing
        assert (player["vx"] == 500.0) == (frame <= 12)  # 200 ms, then friction
    assert player["vx"] < 460.0
    player["z"], player["vz"] = 80.0, -100.0
    hurt(hall.level.fighters[0], 0, 1, 100, 1.0, 0.0, 0.0)
    hall.step(LOOK_LEFT, frames=1)
    assert player["vz"] < -110.0


def test_an_empty_gadget_gives_way_to_the_best_that_has_shots():
    for special_ammo, expected in ((5, DISC), (0, IMPULSE)):
        hall = armed(RAPID)
        hall.player["rapid_ammo"], hall.player["special_ammo"] = 0, special_ammo
        hall.step(FIRE, frames=1)
        assert hall.player["gadget"] == expected
        # 500 ms until it is noticed, 450 ms until the other is in the hands.
        hall.step(FIRE, frames=59)
        assert hall.player["special_ammo"] == special_ammo
        hall.step(FIRE, frames=2)
        assert hall.player["special_ammo"] == max(special_ammo - 1, 0)


def test_lines_of_sight_against_a_slow_walk():
    hall = Hall()
    hall.build((3, 4), (5, 5), (6, 5), (7, 2))
    cells = hall.level.solids.cells[0]
    rng = np.random.default_rng(4)
    for x, y, turn in rng.uniform((101, 101, 0), (999, 999, 2 * np.pi), (300, 3)):
        dx, dy = np.cos(turn), np.sin(turn)
        if cells[int(y / 100), int(x / 100)]:
            continue
        way = np.arange(0.0, 1500.0, 0.05)
        column, row = ((x + way * dx) / 100).astype(int), ((y + way * dy) / 100).astype(int)
        inside = (column >= 0) & (column < 11) & (row >= 0) & (row < 11)
        solid = np.zeros(len(way), bool)
        solid[inside] = cells[row[inside], column[inside]]
        slow = way[np.argmax(solid)]
        found = free_way(cells, x, y, dx, dy, 8192.0)
        thick = slow - found  # the wall stands one unit before its cell
        assert thick * max(abs(dx), abs(dy)) > -0.1
        assert thick * min(abs(dx), abs(dy)) < 1.1
        assert sees(cells, x, y, x + (found - 1) * dx, y + (found - 1) * dy)
        assert not sees(cells, x, y, x + (slow + 1) * dx, y + (slow + 1) * dy)
