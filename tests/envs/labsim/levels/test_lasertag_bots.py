import numpy as np
import pytest

from envs.labsim.levels.lasertag_aim import ACCURACY, FIRE_THROTTLE
from envs.labsim.levels.lasertag_fighters import DISC, hurt
from envs.labsim.levels.lasertag_maps import NO_WAY, walking_distances
from envs.labsim.levels.lasertag_three_opponents_small import since_bots_joined
from tests.envs.labsim.levels.lasertag_game import FIRE, LOOK_LEFT, STRAFE_LEFT, Game, Hall

Y = 553.0
WALL = ((1, 5), (2, 5), (3, 5), (4, 5), (5, 5), (6, 5), (7, 5), (8, 5), (9, 5))


def facing(distance=300.0, bot_yaw=180.0, agent_yaw=0.0, k=1):
    """A hall in which the agent and a thinking bot stand some way apart."""
    hall = Hall()
    hall.put(0, 203.0, Y, agent_yaw)
    hall.put(k, 203.0 + distance, Y, bot_yaw, thinks=True)
    return hall


def hold(hall, *kept):
    """Put fighters back to where they stood."""
    for fighter, x, y in kept:
        fighter["x"], fighter["y"], fighter["vx"], fighter["vy"] = x, y, 0.0, 0.0


def first_shot(hall, bot, frames=200):
    """Frames from noticing the agent to the first FIRE and to the first aim."""
    noticed = aimed = None
    ideal = float(bot["ideal_yaw"])
    places = [(f, float(f["x"]), float(f["y"])) for f in (hall.player, bot)]
    for frame in range(1, frames):
        hall.step(LOOK_LEFT if frame % 2 else 5, frames=1)
        hold(hall, *places)
        if bot["enemy"] == 0 and noticed is None:
            noticed = frame
            ideal = float(bot["ideal_yaw"])
        elif noticed and aimed is None and bot["ideal_yaw"] != ideal:
            aimed = frame
        if bot["shooting"]:
            return (frame - noticed) * 16, (aimed - noticed) * 16
    return None, None


def test_bots_aim_after_half_a_second_and_shoot_after_one():
    hall = facing(k=3)  # Epsilon, who never pauses
    shot_ms, aim_ms = first_shot(hall, hall.bot(3))
    assert 500 - 16 <= aim_ms <= 500 + 120
    assert 1000 - 16 <= shot_ms <= 1000 + 120


@pytest.mark.parametrize(
    ("distance", "turned", "notices"),
    [(90, 40, True), (90, 50, False), (780, 80, True), (780, 89, False), (405, 55, True),
     (405, 58, False)],
)  # fmt: skip
def test_the_field_of_view_grows_from_90_to_180_degrees(distance, turned, notices):
    hall = facing(distance, 180.0 + turned)
    hall.bot()["special_ammo"] = 10  # so that it does not mind being unseen
    hall.level.games["special"][0] = DISC
    hall.bot()["think_ms"] = 0
    hall.step(frames=4)
    assert (hall.bot()["enemy"] == 0) == notices


def test_a_bot_that_is_hurt_or_shot_at_notices_who_is_behind():
    for cause in ("nothing", "hurt", "decay", "shooting"):
        hall = facing(bot_yaw=0.0)
        hall.bot()["special_ammo"], hall.level.games["special"][0] = 10, DISC
        if cause == "hurt":
            hall.bot()["health"] = 95
        if cause == "decay":
            hall.bot()["health"] = hall.bot()["last_health"] = 125
            hall.bot()["decay_ms"] = 990
        hall.player["yaw"] = 90.0
        hall.step(FIRE if cause == "shooting" else LOOK_LEFT, frames=8)
        assert (hall.bot()["enemy"] == 0) == (cause != "nothing")


def test_walls_hide():
    hall = facing()
    hall.build((5, 3))
    hall.step(frames=40)
    assert hall.bot()["enemy"] == -1


def test_weak_bots_leave_alone_who_does_not_look_at_them():
    for agent_yaw, special_ammo, health, notices in (
        (180, 0, 100, False), (0, 0, 100, True), (180, 6, 100, True), (180, 5, 100, False),
        (180, 6, 59, False), (180, 6, 79, False), (180, 6, 80, True), (44, 0, 100, True),
        (46, 0, 100, False), (-44, 0, 100, True), (-46, 0, 100, False),
    ):  # fmt: skip
        hall = facing(agent_yaw=agent_yaw)
        bot = hall.bot()
        hall.level.games["special"][0], bot["special_ammo"] = DISC, special_ammo
        bot["health"] = bot["last_health"] = health
        hall.step(STRAFE_LEFT, frames=4)
        assert (bot["enemy"] == 0) == notices


def test_of_two_enemies_the_agent_is_preferred_and_bots_fight_each_other():
    hall = facing()
    hall.put(2, 350.0, 600.0, 0.0)
    hall.step(frames=4)
    assert hall.bot()["enemy"] == 0
    alone = Hall()
    alone.put(1, 303.0, Y, 0.0, thinks=True)
    alone.put(2, 603.0, Y, 180.0, thinks=True)
    alone.step(frames=4)
    assert (alone.bot(1)["enemy"], alone.bot(2)["enemy"]) == (2, 1)
    for _ in range(400):
        alone.step()
    assert alone.level.fighters["tags"][0, 1:].sum() >= 1


def test_a_bot_in_retreat_forgets_after_4_s_and_a_chasing_one_comes():
    for special_ammo in (0, 10):
        hall = facing()
        bot = hall.bot()
        hall.level.games["special"][0], bot["special_ammo"] = DISC, special_ammo
        hall.step(frames=4)
        assert bot["enemy"] == 0
        hall.build(*WALL[:-1])
        hall.put(0, 203.0, 150.0)
        bot["x"], bot["y"], bot["think_ms"] = 703.0, 250.0, 0
        for item in range(3):
            hall.lay(item, 0, 950.0, 150.0, from_ms=2**60)
        bot["seen_x"], bot["seen_y"] = 250.0, 950.0
        known, farthest_west = 0, 703.0
        while bot["enemy"] == 0 and known < 1000:
            hall.step(frames=1)
            known += 1
            farthest_west = min(farthest_west, bot["x"])
        if special_ammo == 0:
            assert 4000 <= known * 16 <= 4300
            assert bot["x"] > 850.0
        else:
            assert farthest_west < 400.0  # it went to where it had seen the agent


def test_fire_throttles():
    """Cygni pauses half of the time, Leonis and Epsilon hardly."""
    assert FIRE_THROTTLE.tolist() == [0.5, 0.9, 1.0]
    assert ACCURACY[:, 1].tolist() == [0.7, 0.9, 0.5]
    shares = []
    for k in (1, 3):
        hall = facing(200.0, k=k)
        bot, player = hall.bot(k), hall.player
        shooting = 0
        for frame in range(1500):
            hall.step(STRAFE_LEFT, frames=1)
            hold(hall, (player, 203.0, Y), (bot, 403.0, Y))
            player["health"], bot["rapid_ammo"] = 1000, 100
            shooting += bool(bot["shooting"]) * (frame >= 100)
        shares.append(shooting / 1400)
    assert 0.4 < shares[0] < 0.75
    assert shares[1] > 0.95


def test_bots_turn_at_most_240_degrees_a_second():
    hall = facing(bot_yaw=90.0, k=2)
    bot = hall.bot(2)
    bot["enemy"], bot["think_ms"], bot["ideal_yaw"] = 0, 2**60, 250.0
    turned = []
    for _ in range(70):
        before = float(bot["yaw"])
        hall.step(frames=1)
        turned.append(float(bot["yaw"]) - before)
    assert max(turned) == pytest.approx(3.84)  # in a frame of 16 ms
    assert bot["yaw"] == pytest.approx(250.0, abs=2.0)


def test_bots_think_every_100_ms_in_turn_and_the_dead_keep_time():
    game = Game(seed=0)
    game.level.fighters["alive"][0, 2], game.level.fighters["press_ms"][0, 2] = False, 2**60
    thoughts = [[], [], []]
    for frame in range(1, 100):
        before = game.level.fighters["think_ms"][0, 1:].copy()
        game.step(FIRE, 1)
        for k in np.flatnonzero(game.level.fighters["think_ms"][0, 1:] != before):
            thoughts[k].append(frame * 16)
    assert [times[0] for times in thoughts] == [16, 80, 48]
    for times in thoughts:
        assert set(np.diff(times).tolist()) == {96, 112}
        assert times[-1] - times[0] == pytest.approx(100 * (len(times) - 1), abs=15)


def test_what_bots_know_of_others_is_as_old_as_their_turn_makes_it():
    """Leonis thinks 64 or 80 ms after bots learnt where others are, and Cygni at once."""
    hall = Hall()
    player, known, ages = hall.put(0, 203.0, Y), [], {1: set(), 2: set(), 3: set()}
    fighters = hall.level.fighters[0]
    fighters["think_ms"] = Game(seed=7003).level.fighters["think_ms"][0]
    for frame in range(100):
        before = fighters["think_ms"].copy()
        player["x"] = 203.0 + frame
        hall.step(FIRE, 1)
        known.append(float(player["known_x"]))
        for k in np.flatnonzero(fighters["think_ms"] != before):
            ages[k].add(16 * (frame - known.index(known[-1])))
    assert ages == {1: {0}, 2: {64, 80}, 3: {32, 48}}


@pytest.mark.parametrize(("debt_ms", "age_ms"), [(16, 0), (32, 16), (14, 48), (12, 96), (0, 384)])
def test_a_servers_debt_tells_how_long_its_bots_have_played(debt_ms, age_ms):
    assert since_bots_joined(debt_ms) == age_ms


def test_bots_press_fire_at_a_thought_one_to_two_seconds_after_one():
    waits = []
    for seed in range(40):
        fighters = Game(seed=seed).level.fighters[0]
        fighters["think_ms"][1] = 77
        hurt(fighters, 1, 2, 1000, 1.0, 0.0, 0.0)
        waits.append(int(fighters["press_ms"][1]) - 77)
    assert min(waits) >= 1100
    assert set(waits) == set(range(1100, 2001, 100))


def test_bots_without_an_enemy_look_300_units_ahead_on_their_way():
    hall = Hall()
    hall.build(*WALL[:-1])
    bot = hall.put(1, 450.0, 150.0, 0.0, thinks=True)
    hall.level.fighters["alive"][0, 0] = False
    hall.step(frames=4)
    assert bot["goal"] == 0
    # The way to the corner leads along the wall to its end, in the row of cells at y = 950.
    assert bot["ideal_yaw"] == pytest.approx(90.0, abs=1.0)
    bot["x"], bot["y"], bot["think_ms"] = 450.0, 750.0, 0
    hall.step(frames=1)
    ahead = np.degrees(np.arctan2(950.0 - 750.0, 550.0 - 450.0))
    assert bot["ideal_yaw"] == pytest.approx(ahead)


def test_bots_shoot_even_if_somebody_stands_in_the_way():
    hall = facing(k=3)
    hall.put(2, 353.0, Y, 90.0)
    shot_ms, _ = first_shot(hall, hall.bot(3))
    assert shot_ms is not None


def test_a_fighting_bot_circles_jumping_and_comes_back_to_140_units():
    hall = facing(150.0)
    bot, player = hall.bot(), hall.player
    hall.level.games["special"][0] = DISC
    distances, bearings = [], []
    for frame in range(1200):
        hall.step(frames=1)
        hold(hall, (player, 503.0, Y))
        player["health"], bot["special_ammo"], bot["gadget"] = 1000, 10, DISC
        dx, dy = float(bot["x"]) - 503.0, float(bot["y"]) - Y
        if frame > 200:
            distances.append(np.hypot(dx, dy))
            bearings.append(np.arctan2(dy, dx))
    assert 90.0 < np.quantile(distances, 0.1) < 180.0
    assert np.quantile(distances, 0.9) < 400.0
    assert np.ptp(np.unwrap(bearings)) > 2.0


def test_bots_walk_to_items_around_walls_and_around_each_other():
    hall = Hall()
    hall.build(*WALL[:-1])
    bot = hall.put(1, 450.0, 150.0, 0.0, thinks=True)
    hall.lay(0, 1, 650.0, 150.0)
    bot["health"] = bot["last_health"] = 50
    hall.put(2, 450.0, 550.0, 90.0)["health"] = 1000  # in the way, looking elsewhere
    hall.level.fighters["alive"][0, 0] = False
    for _ in range(400):
        hall.step()
        if bot["health"] == 100:
            break
    assert bot["health"] == 100


def test_walking_distances_against_a_slow_search():
    rng = np.random.default_rng(0)
    solid = rng.random((7, 5)) < 0.4
    steps = walking_distances(solid).astype(int)
    cells = [divmod(c, 5) for c in range(35)]
    slow = np.where(np.eye(35, dtype=bool) & ~solid.ravel(), 0, 10_000)
    for a, (row, column) in enumerate(cells):
        for b, (other_row, other_column) in enumerate(cells):
            beside = abs(row - other_row) + abs(column - other_column) == 1
            if beside and not solid[row, column] and not solid[other_row, other_column]:
                slow[a, b] = 1
    for via in range(35):
        slow = np.minimum(slow, slow[:, [via]] + slow[[via]])
    assert (steps == np.where(slow < 10_000, slow, NO_WAY)).all()
