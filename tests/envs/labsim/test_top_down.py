import numpy as np

from envs.labsim.scene import NONE
from envs.labsim.top_down import ROCK, VOID, draw_top_down
from tests.envs.labsim.scenes import make_scene, plain, segment

FLOOR, OTHER_FLOOR, WALL, THING = (40, 90, 60), (10, 20, 200), (200, 150, 30), (250, 5, 90)
PICTURES = [plain(rgb) for rgb in (FLOOR, OTHER_FLOOR, WALL, THING)]
POSE = np.array([150.0, 150.0, 25.0, 0.0, 90.0])


def rgb(colour):
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))


def count(picture, colour):
    return (picture == colour).all(axis=2).sum()


def grid_scene(**changes):
    """Three rows of five cells of 100 units; the picture is 128 pixels for 500 units."""
    solid = np.zeros((3, 5), np.bool_)
    solid[2, 4] = True
    floor = np.zeros((3, 5), np.int32)
    floor[0, 3], floor[0, 4] = 1, NONE
    return make_scene(
        PICTURES, grid=np.array([0.0, 0.0, 100.0]), solid=solid, floor_texture=floor,
        wall_texture=np.full((3, 5), 2), **changes,
    )  # fmt: skip


def test_cells_have_the_colours_of_their_floors():
    picture = draw_top_down(grid_scene(), None, POSE, 0)
    cell = (128 / 5) ** 2

    def at(x, y):
        return tuple(picture[round(8 + (300 - y) * 128 / 500), round(8 + x * 128 / 500)].tolist())

    assert at(50, 50) == FLOOR
    assert at(350, 50) == OTHER_FLOOR
    assert at(450, 50) == rgb(VOID)  # a pit
    assert at(450, 250) == rgb(ROCK)
    assert abs(count(picture, OTHER_FLOOR) - cell) < 60


def test_the_player_points_where_he_looks():
    north = draw_top_down(grid_scene(), None, POSE, 0)
    rows, columns = np.nonzero((north == (255, 51, 85)).all(axis=2))
    x, y = 8 + 150 * 128 / 500, 8 + 150 * 128 / 500
    assert rows.min() < y - 8
    assert rows.max() < y + 10
    assert abs(columns.mean() - x) < 1.5
    east = draw_top_down(grid_scene(), None, POSE * (1, 1, 1, 1, 0), 0)
    assert np.nonzero((east == (255, 51, 85)).all(axis=2))[1].max() > x + 8


def test_things_are_dots_and_absent_ones_are_not_drawn():
    things = np.array([[350.0, 150.0, 1.0, 50.0, 40.0, 0.0], [250.0, 50.0, 1.0, 50.0, 5.0, 0.0]])
    for textures, area in (((3, NONE), np.pi * 10.24**2), ((NONE, 3), 16), ((NONE, NONE), 0)):
        scene = grid_scene(things=things, thing_texture=np.array(textures), thing_views=[1, 1])
        assert abs(count(draw_top_down(scene, None, POSE, 0), THING) - area) <= 0.2 * area + 9


def test_segments_and_the_target_are_lines():
    rows = [segment((100, 100), (100, 200)), segment((400, 100), (400, 200))]
    scene = grid_scene(segments=np.array(rows), segment_texture=np.array([2, NONE]))
    picture = draw_top_down(scene, np.array([250.0, 100.0]), POSE, 0)
    assert 40 < count(picture, WALL) < 70  # 25.6 pixels long, 2 wide, one of two
    outline = count(picture, (242, 193, 78))
    assert 60 < outline < 130
    assert count(draw_top_down(scene, None, POSE, 0), (242, 193, 78)) == 0


def test_without_a_grid_the_walls_that_stand_on_the_floor_are_the_bounds():
    rows = [
        segment((-300, -200), (300, -200)), segment((300, 200), (-300, 200)),
        segment((-9000, 9000), (9000, 9000), z=(140.0, 900.0)),
    ]  # fmt: skip
    scene = make_scene(PICTURES, segments=np.array(rows), segment_texture=np.array([2, 2, 3]))
    picture = draw_top_down(scene, None, np.array([0.0, 0.0, 25.0, 0.0, 0.0]), 0)
    assert count(picture, THING) == 0
    assert count(picture, WALL) > 2 * 128
    assert count(picture, FLOOR) > 0.8 * 128 * 128 * 400 / 600
