import numpy as np
import pytest

from envs.labsim.levels.room_watermaze import RoomWatermaze
from envs.labsim.scene import NOWHERE
from tests.envs.labsim.levels.level_game import LevelGame

FORWARD, LOOK_RIGHT, FIRE = 0, 5, 8
SPAWNS = {
    (-488, 488),
    (-728, 0),
    (-496, -496),
    (0, -712),
    (504, -504),
    (712, 0),
    (504, 504),
    (0, 720),
}


class Game(LevelGame):
    """room_watermaze with begun episodes, advanced by single frames or agent steps."""

    def __init__(self, num_envs=1, seed=0, length_steps=1800):
        super().__init__(RoomWatermaze, range(seed, seed + num_envs), length_steps)

    def stand_on_platform(self, x=100.0, y=-200.0):
        for i in range(len(self.level.players)):
            self.level.place_target(i, np.array([x, y]))
            self.level.place(i, np.array([x + 30.0, y + 30.0, 0.0]), np.zeros(2))
        return self

    def __getattr__(self, name):
        source = (
            self.level.players if name in self.level.players.dtype.names else self.level.platforms
        )
        return source[name][0]

    def set(self, name, value):
        source = (
            self.level.players if name in self.level.players.dtype.names else self.level.platforms
        )
        source[name] = value

    @property
    def since_touch(self):
        return self.server_ms - self.touched_ms


def test_platform_is_uniform_over_the_disc_of_radius_580():
    level = Game(3000).level
    x, y = level.platforms["x"], level.platforms["y"]
    radius = np.hypot(x, y)
    assert 570 < radius.max() <= 580
    for share in (0.25, 0.5, 0.75):
        assert np.quantile(radius, share) == pytest.approx(580 * np.sqrt(share), rel=0.03)
    assert np.histogram(np.arctan2(y, x), 8)[0].std() < 45
    assert (level.scene.platform[:, 2] == NOWHERE).all()


def test_players_spawn_at_the_eight_points_with_any_heading():
    level = Game(3000).level
    points, counts = np.unique(
        np.stack([level.players["x"], level.players["y"]], 1), axis=0, return_counts=True
    )
    assert {tuple(p) for p in points.astype(int).tolist()} == SPAWNS
    assert counts.min() > 300
    assert np.histogram(level.players["yaw"], 8, (0, 360))[0].min() > 300
    assert (level.players["z"] == 40.125).all()
    assert (level.players["vx"] == 0).all()


@pytest.mark.parametrize(
    ("x", "y", "touched"),
    [(78.9, 0, True), (79.1, 0, False), (0, -78.9, True), (0, -79.1, False),
     (60.2, 60.2, True), (60.3, 60.3, False), (-60.2, 60.2, True), (60.3, -60.3, False)],
)  # fmt: skip
def test_the_platform_feels_the_players_box(x, y, touched):
    """Octagon of apothem 64, box of half-width 15: 79 along an axis, 85.2 along a diagonal."""
    game = Game()
    game.level.place_target(0, np.array([100.0, -200.0]))
    game.level.place(0, np.array([100.0 + x, -200.0 + y, 0.0]), np.zeros(2))
    game.step(frames=1)
    assert (game.touched_ms >= 0) == touched


@pytest.mark.parametrize("debt", range(0, 50, 7))
def test_platform_rises_at_700_units_a_second_after_150_ms(debt):
    game = Game().stand_on_platform()
    game.set("server_debt", debt)
    tops = {}
    for _ in range(40):
        game.step(frames=1)
        tops.setdefault(game.since_touch, game.top)
    early = {ms: top for ms, top in tops.items() if ms <= 300}
    assert early == {0: -2, 50: -2, 100: -2, 150: -2, 200: 33, 250: 68, 300: 94}
    assert game.top == 94
    assert game.level.scene.platform[0].tolist() == [100, -200, 94]


def test_the_player_is_lifted_and_lands_on_the_platform():
    game = Game().stand_on_platform()
    heights = []
    for _ in range(40):
        game.step(frames=1)
        heights.append(game.z)
    # Pushed by 35, 35 and 26 units while he falls: above the top, then down on it.
    assert 124 < max(heights) < 40.125 + 96
    assert 118.125 <= heights[-1] < 118.4


def test_the_player_is_held_in_the_middle_every_100_ms():
    game = Game().stand_on_platform()
    game.set("yaw", 90.0)
    game.step(FORWARD, frames=1)
    while game.since_touch < 1500:
        before = game.server_ms
        game.step(FORWARD, frames=1)
        walked = game.y - -200.0  # since he was put in the middle
        assert walked < 41.0 if game.since_touch < 100 else walked < 20.0
        if game.server_ms != before and game.since_touch % 100 == 0:
            assert game.x == pytest.approx(100.0, abs=0.01)
            assert walked < 0.93  # one frame from rest
        elif game.server_ms != before and game.since_touch > 500:
            assert walked > 2.0


def frames_until_reload(game, limit=2000):
    """Frames in which rewards arrived, and the number of frames until the reload is due."""
    rewarded = []
    for frame in range(limit):
        reward = game.step(frames=1)[0]
        if reward:
            assert reward == 1.0
            rewarded.append(frame)
        if game.reloading:
            return rewarded, frame
    raise AssertionError("no reload")


def test_five_rewards_one_a_second_then_the_map_is_loaded_again():
    """Early in a trial the timer nearly always is just switched on and off again."""
    game = Game(seed=2).stand_on_platform()
    game.step(frames=1)
    game.set("server_debt", 34)  # the next server frame falls into the next frame
    rewarded, reload = frames_until_reload(game)
    # A payment at t ms happens in frame ceil(t / 16) - 1, its reward comes one frame later.
    expected = [int(np.ceil((ms - 50) / 16)) + 1 for ms in (250, 1250, 2250, 3250, 4250)]
    assert rewarded == expected
    assert reload == int(np.ceil((5250 - 50) / 16))


@pytest.mark.parametrize(
    ("timer_ms", "next_payment_ms"),
    [
        (10**9, 1250),  # pending: the toggle at 750 switches it off
        (-(10**9), 1250),  # in the past of the engine clock: it never fires, but counts as on
        (0, 750),  # idle
        (5400, 500),  # due at 5400: pays in the server frame at 5400, before the toggle at 750
    ],
)
def test_the_timer_after_a_payment(timer_ms, next_payment_ms):
    game = Game().stand_on_platform()
    game.set("server_ms", 4900)
    while game.payments == 0:
        game.step(frames=1)
    assert (game.touched_ms, game.since_touch) == (4900, 250)
    game.set("timer_ms", timer_ms)
    while game.payments == 1:
        game.step(frames=1)
    assert game.since_touch == next_payment_ms


def test_the_timer_waits_for_up_to_100_seconds_either_way():
    game = Game(2000)
    game.set("server_debt", 12)  # all at the same point of their clocks' course
    game.set("lag_ms", 49)
    game.stand_on_platform()
    game.set("server_ms", 10**6)
    while not game.payments:
        game.step(frames=1)
    waits = game.level.platforms["timer_ms"] - game.server_ms
    assert -100_000 < waits.min() < -99_000
    assert 99_000 < waits.max() < 100_000
    assert np.quantile(waits, [0.25, 0.75]) == pytest.approx([-50_000, 50_000], abs=3500)


@pytest.mark.parametrize(
    ("found_after_s", "mean_s"), [(2, 5.1), (10, 5.0), (20, 4.7), (40, 4.2), (80, 3.2)]
)
def test_visits_get_shorter_with_the_time_since_the_last_load(found_after_s, mean_s):
    game = Game(800).stand_on_platform()
    game.set("server_ms", found_after_s * 1000)
    ends = np.full(800, np.nan)
    for _ in range(350):
        game.step(frames=1)
        platforms, clock = game.level.platforms, game.level.players["server_ms"]
        new = platforms["reloading"] & np.isnan(ends)
        ends[new] = (clock - platforms["touched_ms"])[new] / 1000
    assert np.nanmax(ends) == 5.25
    assert ends.mean() == pytest.approx(mean_s, abs=0.13)


def test_reload_takes_one_frame_and_starts_a_new_trial_with_the_platform_where_it_was():
    game = Game(seed=4).stand_on_platform()
    frames_until_reload(game)
    frame = game.frame
    game.step(LOOK_RIGHT, frames=1)
    assert (game.frame, game.trial_start) == (frame + 1, frame + 1)
    assert (int(game.x), int(game.y)) in SPAWNS
    assert (game.z, game.vx, game.vy) == (25.0, 0.0, 0.0)
    assert (game.level.platforms["x"][0], game.level.platforms["y"][0]) == (100.0, -200.0)
    assert (game.top, game.payments, game.timer_ms, game.touched_ms) == (-2.0, 0, 0, -1)
    assert (game.server_ms, game.engine_ms, game.floor) == (0, 0, 16.0)
    assert game.level.scene.platform[0, 2] == NOWHERE
    yaw = game.yaw
    game.step(LOOK_RIGHT, frames=1)  # nothing was turned in the frame of the reload, now it is
    assert (yaw - game.yaw) % 360 == pytest.approx(2.112)
    assert game.z == 40.125
    game.stand_on_platform()
    rewarded, _ = frames_until_reload(game)
    assert len(rewarded) == 5


def test_episodes_last_7200_frames():
    game = Game(2)
    for step in range(1, 1801):
        game.step()
        assert game.out.truncated.all() == (step == 1800)
    assert game.frame == 7200


def test_the_last_frame_collects_what_it_earned():
    """A payment in the last frame is not lost, in the one before it neither."""
    game = Game().stand_on_platform()
    while not game.payments:
        game.step(frames=1)
    payment = game.frame
    for last, total in ((payment - 1, 0), (payment, 1), (payment + 1, 1)):
        game.level.begin(0)
        game.stand_on_platform()
        game.set("last_frame", last)
        assert sum(game.step(frames=1)[0] for _ in range(30)) == total
        assert game.frame == last


def test_success_seconds_is_the_time_from_spawn_to_the_first_reward():
    game = Game(seed=4)
    for _ in range(11):
        game.step()
        assert np.isnan(game.out.success_seconds[0])
    game.stand_on_platform()
    found = []
    for step in range(11, 120):
        reward = game.step()[0]
        if not np.isnan(game.out.success_seconds[0]):
            assert reward == 1.0
            found.append((step, game.out.success_seconds[0]))
        if game.trial_start:
            break
    assert len(found) == 1
    step, seconds = found[0]
    assert 4 * step / 60 < seconds <= 4 * (step + 1) / 60
    respawn = game.trial_start / 60
    game.stand_on_platform()
    while np.isnan(game.out.success_seconds[0]):
        game.step()
    assert game.frame / 60 - 4 / 60 < respawn + game.out.success_seconds[0] <= game.frame / 60


def test_recorded_walls_hold_the_player_where_they_held_him(watermaze_traces):
    """Re-created walls are within 0.05 units of where recorded players slid along them."""
    walls = RoomWatermaze(1).solids.walls[0]
    gaps = [t["pos"][:, :2] @ walls[:, :2].T - walls[:, 2] for t in watermaze_traces.values()]
    gaps = np.concatenate(gaps)
    assert gaps.min() > 0.0
    touched = (gaps < 0.3).sum(axis=0)
    assert (touched > 0).sum() >= 12
    for wall in np.flatnonzero(touched > 5):
        near = gaps[gaps[:, wall] < 0.3, wall]
        assert np.median(near) == pytest.approx(0.125, abs=0.05)


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
