"""Things: pictures that stand in a scene and turn to the camera."""

import numpy as np
import pytest

from envs.labsim.textures import START
from tests.envs.labsim.scenes import BLUE, GREEN, RED, make_scene, mask, plain, render, segment


def thing(x, y, z=(10.0, 50.0), half_width=10.0, yaw=0.0):
    return (x, y, *z, half_width, yaw)


def test_a_thing_of_known_size_and_distance_covers_known_pixels_from_any_side():
    scene = make_scene(
        [plain(RED), plain(GREEN)],
        things=[thing(300.0, 200.0)],
        thing_texture=[1],
        thing_views=[1],
    )
    for bearing in (0.0, 17.0, 90.0, 201.0, 333.0):
        back = 60.0 * np.array([np.cos(np.radians(bearing)), np.sin(np.radians(bearing))])
        image = render(scene, (*(np.array([300.0, 200.0]) - back), 40.0, bearing))[0]
        rows, columns = np.nonzero(mask(image, GREEN))
        # 48 pixels per unit of slope: 10 units to either side are 8 columns, 10 units above the
        # eye are 8 rows and 30 below 24.
        assert (columns.min(), columns.max()) == (40, 55)
        assert (rows.min(), rows.max()) == (28, 59)
        assert len(rows) == 16 * 32


@pytest.mark.parametrize("yaw", [0.0, 130.0])
def test_a_thing_shows_the_side_that_is_seen(yaw):
    colours = [(40 * k + 30, 5, 9) for k in range(5)]
    scene = make_scene(
        [plain(RED), *[plain(colour) for colour in colours]],
        things=[thing(0.0, 0.0, yaw=yaw)],
        thing_texture=[1],
        thing_views=[5],
    )
    # Each of 5 pictures is seen from 72 degrees: 36 to either side of front, left front, ..
    for bearing, picture in ((0, 0), (35, 0), (37, 1), (107, 1), (109, 2), (180 + 37, 3), (323, 4),
                             (325, 0)):  # fmt: skip
        angle = np.radians(yaw + bearing)
        x, y = 60.0 * np.cos(angle), 60.0 * np.sin(angle)
        image = render(scene, (x, y, 40.0, np.degrees(angle) + 180.0))[0]
        assert image[36, 48].tolist() == list(colours[picture]), bearing


def test_pictures_of_things_are_not_mirrored():
    halves = plain(GREEN, 2)
    halves[:, 1, :3] = BLUE
    scene = make_scene(
        [plain(RED), halves], things=[thing(60.0, 0.0)], thing_texture=[1], thing_views=[1]
    )
    image = render(scene, (0.0, 0.0, 40.0, 0.0))[0]
    assert mask(image, GREEN)[36, 40:48].all()
    assert mask(image, BLUE)[36, 48:56].all()


def test_things_walls_and_fences_hide_what_is_behind_them():
    fence = plain((9, 9, 9), 2)
    fence[:, 1, 3] = 0  # open on the right
    doughnut = plain(BLUE, 4)
    doughnut[1:3, 1:3, 3] = 0
    low_wall = segment((90.0, 500.0), (90.0, -500.0), (0.0, 30.0))
    far_wall = segment((200.0, 500.0), (200.0, -500.0), (0.0, 100.0))
    near_fence = segment((40.0, 40.0), (40.0, -40.0), (0.0, 100.0))
    scene = make_scene(
        [plain(RED), plain(GREEN), fence, doughnut, plain((7, 8, 200))],
        segments=[far_wall, near_fence, low_wall],
        segment_texture=[1, 2, 1],
        # Two pairs: left, hidden by the fence's closed half; right, seen through its open half.
        things=[
            thing(60.0, side, z=(10.0, 50.0)) for side in (20.0, -20.0)
        ] + [thing(120.0, side, z=(0.0, 60.0), half_width=20.0) for side in (40.0, -40.0)],
        thing_texture=[3, 3, 4, 4],
        thing_views=[1, 1, 1, 1],
    )  # fmt: skip
    image = render(scene, (0.0, 0.0, 40.0, 0.0))[0]
    assert mask(image, (9, 9, 9))[20:60, :48].all()
    assert not mask(image, (7, 8, 200))[:, :48].any()
    # Right half: the ring at depth 60 covers columns 56..71 and rows 28..59, its hole 60..67 and
    # 36..51. Through the hole: the far thing from row 28 on, then the low wall from row 42 on.
    assert mask(image, BLUE)[28:36, 56:72].all()
    assert mask(image, BLUE)[36:52, [56, 59, 68, 71]].all()
    assert mask(image, (7, 8, 200))[36:41, 60:68].all()
    assert mask(image, GREEN)[42:52, 60:68].all()
    assert mask(image, GREEN)[22:28, 48:].all()  # above all: the wall far behind
    absent = scene._replace(thing_texture=np.full((1, 4), -1, np.int32))
    assert not mask(render(absent, (0.0, 0.0, 40.0, 0.0))[0], BLUE).any()


def test_far_things_never_flicker():
    """However little of a pixel a thing fills, one pixel shows it, from every direction."""
    scene = make_scene(
        [plain(RED), plain(GREEN)],
        things=[thing(900.0, 0.0, z=(30.0, 34.0), half_width=2.0)],
        thing_texture=[1],
        thing_views=[1],
    )
    for yaw in np.linspace(-20.0, 20.0, 97):
        image = render(scene, (0.0, 0.0, 40.0, yaw))[0]
        assert mask(image, GREEN).sum() == 1, yaw


@pytest.mark.parametrize(("depth", "level"), [(14.9, 0), (15.1, 1), (29.9, 1), (30.1, 2)])
def test_things_are_drawn_with_up_to_two_texels_a_pixel(depth, level):
    # 128 texels in 20 units, 48 pixels per unit of slope: 2 texels a pixel at depth 15, 4 at 30.
    scene = make_scene(
        [plain(RED), plain(GREEN, 128)],
        things=[thing(depth, 0.0, z=(30.0, 50.0))],
        thing_texture=[1],
        thing_views=[1],
    )
    for number in range(8):
        first = scene.mips[1, START + number]
        scene.texels[first : first + (128 >> number) ** 2] = (255 << 24) + number
    image = render(scene, (0.0, 0.0, 40.0, 0.0))[0]
    assert image[36, 48].tolist() == [level, 0, 0]


def test_things_behind_the_camera_are_not_seen():
    scene = make_scene(
        [plain(RED), plain(GREEN)],
        things=[thing(-60.0, 0.0), thing(0.5, 0.0)],
        thing_texture=[1, 1],
        thing_views=[1, 1],
    )
    assert not mask(render(scene, (0.0, 0.0, 40.0, 0.0))[0], GREEN).any()
