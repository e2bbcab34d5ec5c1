import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.labsim import physics
from envs.labsim.collision import Solids, wall_planes
from envs.labsim.world import PLAYER, load_clocks, pass_frame

FLOOR = 16.0
STANDING = FLOOR + 24.0 + 0.125
TINY = 1e-9


class Body:
    """One player in a small world, moved frame by frame."""

    def __init__(
        self, segments=(), cells=((False,),), origin=(-1000.0, -1000.0), size=2000.0, boxes=()
    ):
        self.record = np.zeros(1, PLAYER)
        self.record["floor"], self.record["z"] = FLOOR, STANDING
        self.solids = Solids(
            walls=wall_planes(list(segments))[None],
            cells=np.array(cells)[None],
            grid=np.array([[*origin, size]]),
            boxes=np.array(boxes, float).reshape(1, -1, 4),
        )
        self.planes = physics.scratch()

    def move(self, frames=1, forward=0, right=0, ms=16):
        for _ in range(frames):
            physics.move(self.record[0], self.solids, 0, forward, right, ms, self.planes)
        return self

    def at(self, x, y, yaw=0.0):
        self.record["x"], self.record["y"], self.record["yaw"] = x, y, yaw
        return self

    def __getattr__(self, name):
        return float(self.record[name][0])

    @property
    def speed(self):
        return float(np.hypot(self.vx, self.vy))


def test_speed_up_from_rest_is_quakes():
    body = Body()
    speeds = [body.move(forward=1).vx for _ in range(11)]
    assert speeds == [51, 93, 135, 173, 208, 239, 267, 293, 316, 320, 320]


def test_coasting_stops_after_22_frames_and_about_40_units():
    body = Body().move(20, forward=1)
    start = body.x
    frames = 0
    while body.vx > 0:
        body.move()
        frames += 1
    assert frames == 22
    assert body.x - start == pytest.approx(44.0, abs=4.5)


def test_recorded_run_is_matched_to_the_last_digit(forward_and_coast):
    """With the clock, whose two numbers are fitted, every frame is as long as it was."""
    body = Body()
    load_clocks(body.record[0], (22, 40))
    distance = forward_and_coast["P"][:, 0] - forward_and_coast["P"][0, 0]
    for frame in range(1, 81):
        ms, _ = pass_frame(body.record[0])
        body.move(forward=1 if frame <= 40 else 0, ms=ms)
        assert abs(body.x - distance[frame]) < 0.001, frame
        assert body.vx == forward_and_coast["V"][frame, 0], frame


@pytest.mark.parametrize(
    ("forward", "right", "direction"),
    [(1, 0, 0), (-1, 0, 180), (0, 1, -90), (0, -1, 90), (1, 1, -45), (-1, -1, 135)],
)
def test_full_speed_is_the_same_in_all_directions(forward, right, direction):
    body = Body().at(0, 0, yaw=30.0).move(20, forward, right)
    angle = np.radians(30.0 + direction)
    expected = 320.0 * np.array([np.cos(angle), np.sin(angle)])
    np.testing.assert_allclose([body.vx, body.vy], expected, atol=1.01)


def test_velocities_are_whole_numbers():
    body = Body().at(0, 0, yaw=33.3)
    for _ in range(7):
        body.move(forward=1)
        assert (body.vx, body.vy) == (round(body.vx), round(body.vy))


def test_twenty_pixels_to_the_right_lower_the_yaw_by_2_112_degrees():
    body = Body().at(0, 0, yaw=1.0)
    physics.turn(body.record[0], 20)
    assert body.yaw == pytest.approx(360.0 + 1.0 - 2.112)
    physics.turn(body.record[0], -20)
    assert body.yaw == pytest.approx(1.0)


@pytest.mark.parametrize("bearing", [0.0, 22.5, 45.0, 90.0, 135.0, 247.5])
def test_box_stops_where_its_corner_is_an_eighth_from_the_wall(bearing):
    cos, sin = np.cos(np.radians(bearing)), np.sin(np.radians(bearing))
    wall = (
        100 * cos - 400 * sin,
        100 * sin + 400 * cos,
        100 * cos + 400 * sin,
        100 * sin - 400 * cos,
    )
    body = Body([wall]).at(0, 0, yaw=bearing).move(60, forward=1)
    reach = 15.0 * (abs(cos) + abs(sin))
    distance = 100.0 - (body.x * cos + body.y * sin)
    assert distance == pytest.approx(reach + 0.125, abs=0.13)
    assert distance >= reach
    assert body.speed < 40


def test_walls_stop_players_from_one_side_only():
    wall = (100.0, 400.0, 100.0, -400.0)
    assert Body([wall]).at(0, 0).move(60, forward=1).x < 85.0
    assert Body([wall]).at(200, 0, yaw=180.0).move(60, forward=1).x < 0.0


def test_walls_end():
    wall = (100.0, 20.0, 100.0, -20.0)
    assert Body([wall]).at(0, 30).move(60, forward=1).x < 85.0  # the box is 15 wide
    assert Body([wall]).at(0, 40).move(60, forward=1).x > 200.0


def test_sliding_keeps_the_speed_along_the_wall():
    wall = (100.0, 4000.0, 100.0, -4000.0)
    body = Body([wall]).at(0, 0, yaw=60.0).move(100, forward=1)
    # Along the wall friction takes 0.096 v a frame; the wish direction gives what is missing.
    assert body.vx == pytest.approx(0.0, abs=1.0)
    assert body.vy > 300.0
    assert body.x == pytest.approx(100.0 - 15.125, abs=0.01)
    before, speed = body.y, body.vy
    body.move(forward=1)
    # A hit costs no time: the rest of the frame is spent sliding.
    assert body.y - before == pytest.approx(speed * 0.016, rel=0.02)


def test_corner_stops_the_player():
    segments = [(100.0, 400.0, 100.0, -400.0), (-400.0, 100.0, 400.0, 100.0)]
    body = Body(segments).at(0, 0, yaw=45.0).move(100, forward=1)
    x, y = body.x, body.y
    assert x == pytest.approx(84.875, abs=0.01)
    assert y == pytest.approx(84.875, abs=0.01)
    body.move(50, forward=1)
    assert (body.x, body.y) == pytest.approx((x, y), abs=0.2)


CORRIDOR = (
    (True, True, True, True),
    (True, False, False, True),
    (True, True, False, True),
    (True,) * 4,
)


def test_corridors_between_cells_are_98_units_wide():
    """Wall quads stand one unit inside the open cell; a player stops 15.125 from them."""
    maze = {"cells": CORRIDOR, "origin": (0.0, 0.0), "size": 100.0}
    assert Body(**maze).at(150, 150, yaw=0.0).move(99, forward=1).x == pytest.approx(
        283.875, abs=0.01
    )
    assert Body(**maze).at(150, 150, yaw=180.0).move(99, forward=1).x == pytest.approx(
        116.125, abs=0.01
    )
    assert Body(**maze).at(150, 150, yaw=90.0).move(99, forward=1).y == pytest.approx(
        183.875, abs=0.01
    )
    assert Body(**maze).at(150, 150, yaw=270.0).move(99, forward=1).y == pytest.approx(
        116.125, abs=0.01
    )


def test_players_walk_around_corners_of_cells():
    body = Body(cells=CORRIDOR, origin=(0.0, 0.0), size=100.0).at(150, 150, yaw=0.0)
    body.move(60, forward=1)
    body.record["yaw"] = 90.0
    body.move(60, forward=1)
    assert (body.x, body.y) == pytest.approx((283.875, 283.875), abs=0.02)


@pytest.mark.parametrize(("yaw", "x", "y"), [(0, 79.875, 0), (90, 0, 62.875)])
def test_boxes_stop_players_an_eighth_from_them(yaw, x, y):
    """The player's half-width 15 and the clearance of 0.125 lie between centre and surface."""
    box = (100.0, 3.0, 5.0, 7.0) if yaw == 0 else (3.0, 85.0, 5.0, 7.0)
    body = Body(boxes=[box]).at(0.0, 0.0, yaw).move(60, forward=1)
    assert (body.x, body.y) == pytest.approx((x, y), abs=0.01)
    assert body.speed < 1.0


def test_a_box_is_as_wide_as_it_says_and_players_slide_along_it():
    box = (100.0, 50.0, 5.0, 7.0)  # its lower side is at y = 43: players pass below 28
    assert Body(boxes=[box]).at(0.0, 27.8).move(60, forward=1).x > 250.0
    assert Body(boxes=[box]).at(0.0, 28.2).move(60, forward=1).x == pytest.approx(79.875, abs=0.01)
    slid = Body(boxes=[box]).at(60.0, 0.0, yaw=45.0).move(60, forward=1)
    assert slid.y > 100.0
    assert slid.x > 100.0


def test_absent_boxes_stop_nobody():
    absent = (100.0, 0.0, -1.0, 7.0)
    assert Body(boxes=[absent]).move(60, forward=1).x > 250.0
    both = [absent, (100.0, 0.0, 5.0, 7.0)]
    assert Body(boxes=both).move(60, forward=1).x == pytest.approx(79.875, abs=0.01)


def test_a_player_inside_a_box_can_leave_it():
    """A door may close on him, or two players may overlap; neither holds him for ever."""
    body = Body(boxes=[(10.0, 0.0, 5.0, 7.0)]).move(40, forward=1)
    assert body.x > 60.0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**30), yaw=st.floats(0, 359.9))
def test_players_never_enter_boxes(seed, yaw):
    rng = np.random.default_rng(seed)
    boxes = np.array([(50.0, 0.0, 4.0, 50.0), (0.0, -60.0, 17.0, 17.0), (-55.0, 40.0, 15.0, 15.0)])
    body = Body(boxes=boxes).at(0.0, 0.0, yaw)
    for _ in range(40):
        physics.turn(body.record[0], int(rng.integers(-300, 300)))
        body.move(int(rng.integers(1, 9)), int(rng.integers(-1, 2)), int(rng.integers(-1, 2)))
        gaps = np.abs([body.x, body.y] - boxes[:, :2]) - boxes[:, 2:] - 15.0
        assert (gaps.max(axis=1) > 0.0).all()


def test_falling_is_quakes():
    body = Body()
    body.record["z"] = STANDING + 100.0
    heights, speeds = [], []
    for _ in range(5):
        body.move()
        heights.append(body.z)
        speeds.append(body.vz)
    # 12.8 units/s a frame, rounded; the path takes the mean of the speeds before and after.
    assert speeds == [-13, -26, -39, -52, -65]
    path = np.cumsum([6.4, 13 + 6.4, 26 + 6.4, 39 + 6.4, 52 + 6.4]) * 0.016
    np.testing.assert_allclose(heights, STANDING + 100.0 - path)
    body.move(60)
    # A player within a quarter of a unit above the ground walks; he does not sink any more.
    assert STANDING - TINY <= body.z <= STANDING + 0.25
    assert body.vz == 0.0


def test_there_is_little_control_in_the_air():
    body = Body()
    body.record["z"] = STANDING + 100.0
    assert body.move(forward=1).vx == 5  # 1 * 0.016 * 320


def test_a_player_thrown_upwards_has_left_the_ground():
    for speed, gained in ((9.0, 51), (11.0, 5)):
        body = Body()
        body.record["vz"] = speed
        assert body.move(forward=1).vx == gained


def test_a_player_in_the_floor_is_lifted_by_at_most_a_step():
    for depth, lifted in ((15.0, True), (17.9, True), (18.5, False)):
        body = Body()
        body.record["z"] = FLOOR + 24.0 - depth
        body.move()
        assert (body.z == pytest.approx(STANDING)) == lifted, depth


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**30),
    x=st.floats(120, 180),
    y=st.floats(120, 180),
    yaw=st.floats(0, 359.9),
)
def test_players_never_enter_walls(seed, x, y, yaw):
    rng = np.random.default_rng(seed)
    slanted = (170.0, 400.0, 400.0, 170.0)
    body = Body([slanted], CORRIDOR, (0.0, 0.0), 100.0).at(x, y, yaw)
    for _ in range(40):
        physics.turn(body.record[0], int(rng.integers(-300, 300)))
        body.move(int(rng.integers(1, 9)), int(rng.integers(-1, 2)), int(rng.integers(-1, 2)))
        assert np.isfinite([body.x, body.y, body.vx, body.vy]).all()
        assert 116.0 <= body.x <= 284.0
        assert 116.0 <= body.y <= 284.0
        # The wall quads around the inner corner leave a notch of one unit between them.
        in_notch = body.y <= 185.0 and body.x >= 215.0
        assert body.y <= 184.0 or body.x >= 216.0 or in_notch
        assert (body.x + body.y + 30.0) / np.sqrt(2) <= 570.0 / np.sqrt(2) + TINY
        assert body.speed < 540.0  # turning while running gains some speed, in Quake too
