from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from envs.labsim.levels.room_watermaze_pictures import LANDMARKS
from envs.labsim.levels.room_watermaze_scene import build_scene
from envs.labsim.raycaster import render_slice
from envs.labsim.scene import PLATFORM_APOTHEM, WATER_PERIOD_MS
from envs.labsim.textures import START, with_alpha
from tests.envs.labsim.scenes import make_scene, plain, segment
from tests.envs.labsim.slow_raycaster import render as render_slowly

FRAMES = Path(__file__).parents[2] / "data" / "frames"
RED, GREEN, BLUE = (200, 10, 20), (20, 190, 30), (30, 40, 210)


def render(scene, cameras, height=72, width=96, engine_ms=0):
    cameras = np.atleast_2d(np.array(cameras, np.float64))
    images = np.full((len(cameras), height, width, 3), 77, np.uint8)
    clock = np.full(len(cameras), engine_ms, np.int64)
    render_slice(scene, cameras, clock, images, 0, len(cameras))
    return images


def mask(image, rgb):
    return (image == np.array(rgb, np.uint8)).all(axis=2)


def random_scene(seed):
    """A maze with pits, fences, pictures, free walls, things, a coloured square and a sky.

    Also a camera in an open cell.
    """
    generator = np.random.default_rng(seed)
    colours = generator.integers(1, 256, (9, 4, 4, 3), np.uint8)
    pictures = [with_alpha(colour) for colour in colours]
    pictures[3][..., 3] = 255 * (generator.random((4, 4)) < 0.5)
    sky = [plain(generator.integers(1, 256, 3)) for _ in range(4)]
    # Things with 1, 3 and 5 views: textures 13, 14..16 and 17..21.
    faces = [with_alpha(rgb) for rgb in generator.integers(1, 256, (9, 4, 4, 3), np.uint8)]
    for face in faces:
        face[..., 3] = 255 * (generator.random((4, 4)) < 0.7)
    rows, columns = 5, 7
    solid = generator.random((rows, columns)) < 0.3
    solid[2, 3] = False
    segments = []
    for _ in range(7):
        (x, y), turn = generator.uniform(100.0, 600.0, 2), generator.uniform(0.0, 2.0 * np.pi)
        end = (x + 60.0 * np.cos(turn), y + 60.0 * np.sin(turn))
        low = generator.choice([0.0, 30.0])
        high = low + generator.uniform(20.0, 120.0)
        segments.append(segment((x, y), end, (low, high), generator.uniform(-2.0, 2.0, 2)))
    x, y = np.array([40.0 + 350.0, -30.0 + 250.0]) + generator.uniform(-40.0, 40.0, 2)
    yaw = generator.uniform(0.0, 360.0)
    things = np.zeros((5, 6))
    depth, turn = generator.uniform(40.0, 150.0, 5), np.radians(yaw + generator.uniform(-50, 50, 5))
    things[:, :2] = np.column_stack([x + depth * np.cos(turn), y + depth * np.sin(turn)])
    things[:, 2] = generator.uniform(0.0, 30.0, 5)
    things[:, 3] = things[:, 2] + generator.uniform(10.0, 60.0, 5)
    things[:, 4:] = np.column_stack([generator.uniform(5.0, 25.0, 5), generator.uniform(0, 360, 5)])
    scene = make_scene(
        [*pictures, *sky, *faces],
        grid=(40.0, -30.0, 100.0),
        solid=solid,
        wall_texture=generator.integers(0, 3, (rows, columns)),
        floor_texture=generator.integers(-1, 3, (rows, columns)),
        floor_tile=50.0,
        segments=segments,
        segment_texture=generator.integers(-1, 9, 7),
        sky_texture=9,
        things=things,
        thing_texture=(13, 14, -1, 17, 17),
        thing_views=(1, 3, 3, 5, 5),
        square=(*generator.integers(0, 256, 3), seed % 2),
    )
    return scene, (x, y, generator.uniform(20.0, 90.0), yaw)


@pytest.mark.parametrize("seed", range(8))
def test_random_scenes_look_as_one_ray_per_pixel_draws_them(seed):
    scene, camera = random_scene(seed)
    height, width = (23, 31) if seed % 2 else (18, 26)
    fast = render(scene, camera, height, width)[0]
    slow = render_slowly(scene, 0, camera, height, width)
    # A column may differ that meets a maze's corner: there walls are not as thick as in truth.
    assert (fast == slow).all(axis=2).mean() > 0.95
    assert len(np.unique(slow.reshape(-1, 3), axis=0)) > 10


def test_a_wall_of_known_height_and_distance_covers_known_rows():
    wall = segment((200.0, 500.0), (200.0, -500.0), (0.0, 100.0))
    scene = make_scene([plain(RED), plain(GREEN)], segments=[wall], segment_texture=[1])
    image = render(scene, (0.0, 0.0, 40.0, 0.0))[0]
    # Focal length 48 pixels: 60 units above the eye are 14.4 rows, 40 below are 9.6.
    covered = np.flatnonzero(mask(image, GREEN)[:, 17])
    assert covered.tolist() == list(range(22, 46))
    assert mask(image, RED)[46:].all()
    assert mask(image, (1, 2, 3))[:22].all()


@pytest.mark.parametrize(("yaw", "turn"), [(0.0, 0), (90.0, 1), (180.0, 2), (270.0, 3)])
def test_the_view_is_90_degrees_wide(yaw, turn):
    rotate = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), turn)
    left, right = rotate @ [100.0, 50.0], rotate @ [100.0, -100.0]
    wall = segment(left, right)
    scene = make_scene([plain(RED), plain(GREEN)], segments=[wall], segment_texture=[1])
    image = render(scene, (0.0, 0.0, 40.0, yaw))[0]
    # At depth 100 the screen reaches from -100 to 100: the left quarter stays free.
    assert np.flatnonzero(mask(image, GREEN)[36]).tolist() == list(range(24, 96))


def test_yaw_is_counter_clockwise_and_the_right_is_on_the_right():
    walls = [
        segment((100.0, 60.0), (100.0, 40.0)),
        segment((100.0, -40.0), (100.0, -60.0)),
    ]
    scene = make_scene(
        [plain(RED), plain(GREEN), plain(BLUE)], segments=walls, segment_texture=[1, 2]
    )
    image = render(scene, (0.0, 0.0, 40.0, 0.0))[0]
    assert np.flatnonzero(mask(image, GREEN)[36]).mean() == pytest.approx(23.5)
    assert np.flatnonzero(mask(image, BLUE)[36]).mean() == pytest.approx(71.5)
    turned = render(scene, (0.0, 0.0, 40.0, 26.565))[0]  # towards the green wall
    assert np.flatnonzero(mask(turned, GREEN)[36]).mean() == pytest.approx(47.5, abs=1.0)


def test_walls_are_seen_from_one_side_only():
    wall = segment((100.0, -500.0), (100.0, 500.0))
    scene = make_scene([plain(RED), plain(GREEN)], segments=[wall], segment_texture=[1])
    assert not mask(render(scene, (0.0, 0.0, 40.0, 0.0))[0], GREEN).any()
    assert mask(render(scene, (200.0, 0.0, 40.0, 180.0))[0], GREEN).any()


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


@pytest.mark.parametrize(
    ("height", "width", "first", "last"), [(72, 96, 2, 8), (240, 320, 6, 29), (480, 640, 12, 59)]
)
def test_the_square_covers_12_to_60_of_640_virtual_pixels(height, width, first, last):
    scene = make_scene([plain(RED)], square=(*BLUE, 1))
    rows, columns = np.nonzero(mask(render(scene, (0, 0, 50, 0), height, width)[0], BLUE))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (first, last, first, last)
    assert len(rows) == (last - first + 1) ** 2
    hidden = make_scene([plain(RED)], square=(*BLUE, 0))
    assert not mask(render(hidden, (0, 0, 50, 0), height, width)[0], BLUE).any()


def test_holes_show_what_lies_behind_and_texture_runs_from_left_to_right():
    fence = plain(GREEN, 4)
    fence[:, 1:3, 3] = 0  # posts at the left and right quarter
    fence[:, 3, :3] = BLUE
    near = segment((50.0, 50.0), (50.0, -50.0))
    far = segment((100.0, 100.0), (100.0, -100.0))
    scene = make_scene(
        [plain(RED), fence, plain((9, 9, 9))], segments=[near, far], segment_texture=[1, 2]
    )
    image = render(scene, (0.0, 0.0, 40.0, 0.0))[0]
    assert mask(image, GREEN)[36, :24].all()
    assert mask(image, (9, 9, 9))[36, 24:72].all()
    assert mask(image, BLUE)[36, 72:].all()
    # The floor between the two is seen through the fence as well: 40 below at depth 50 is row 74.
    assert mask(image, RED)[60, 24:72].all()


@pytest.mark.parametrize(
    ("depth", "angle_deg", "level"), [(40.0, 0, 0), (100.0, 0, 1), (190.0, 0, 2), (190.0, 60, 3)]
)
def test_the_mip_level_follows_distance_and_slant(depth, angle_deg, level):
    # 64 texels in 100 units, 48 pixels per unit of slope: 0.53, 1.33, 2.53 texels per pixel, and
    # on a wall slanted by 60 degrees twice as many sideways.
    along = 5000.0 * np.array([np.sin(np.radians(angle_deg)), -np.cos(np.radians(angle_deg))])
    start, end = np.array([depth, 0.0]) - along, np.array([depth, 0.0]) + along
    wall = segment(start, end, (0.0, 100.0), (0.0, 100.0))
    scene = make_scene([plain(RED), plain(GREEN, 64)], segments=[wall], segment_texture=[1])
    for number in range(7):
        first = scene.mips[1, START + number]
        scene.texels[first : first + (64 >> number) ** 2] = (255 << 24) + number
    image = render(scene, (0.0, 0.0, 50.0, 0.0))[0]
    assert image[36, 48].tolist() == [level, 0, 0]


def test_the_floor_gets_softer_with_distance():
    scene = make_scene([plain(RED, 64)])
    for number in range(7):
        first = scene.mips[0, START + number]
        scene.texels[first : first + (64 >> number) ** 2] = (255 << 24) + number
    levels = render(scene, (0.0, 0.0, 50.0, 0.0))[0][36:, 48, 0]
    assert (np.diff(levels.astype(int)) <= 0).all()
    # 50 units below the eye, n rows below the middle: depth 2400 / n, which changes by 2400 / n**2
    # a row, and the place at the sides of the screen by 1.41 times as much. With 0.64 texels a unit
    # that is two texels at n = 33 and four at n = 23.3.
    assert levels[[35, 33]].tolist() == [1, 1]
    assert levels[[32, 24]].tolist() == [2, 2]
    assert levels[[22, 17]].tolist() == [3, 3]


def test_the_sky_turns_with_the_camera_and_fills_pits():
    colours = [(10 + 60 * k, 7, 9) for k in range(4)]
    pit = np.full((1, 2), -1)
    scene = make_scene(
        [plain(RED), *[plain(colour) for colour in colours]],
        sky_texture=1,
        floor_texture=pit,
        solid=np.zeros((1, 2), bool),
        wall_texture=pit,
    )
    for face, colour in enumerate(colours):
        image = render(scene, (0.0, 0.0, 50.0, 90.0 * face))[0]
        assert mask(image, colour).all()
    halves = render(scene, (0.0, 0.0, 50.0, 45.0))[0]
    assert mask(halves, colours[1])[:, :47].all()  # north is to the left of east
    assert mask(halves, colours[0])[:, 49:].all()


def test_water_is_added_to_what_lies_below_its_surface_only():
    wall = segment((200.0, 500.0), (200.0, -500.0), (0.0, 100.0))
    panel = segment((150.0, 40.0), (150.0, -40.0), (20.0, 60.0))
    scene = make_scene(
        [plain(RED), plain(GREEN), plain((70, 70, 70)), plain(BLUE)],
        segments=[wall, panel],
        segment_texture=[1, 3],
        water_texture=2,
        water_z=16.0,
    )
    image = render(scene, (0.0, 0.0, 40.0, 0.0))[0]
    wet_green, wet_red = np.minimum(np.array([GREEN, RED]) + 70, 255)
    # 24 units below the eye at depth 200 are 5.8 rows, the wall's foot is 9.6 rows down.
    column = image[:, 10]
    assert mask(column[None], GREEN)[0, 22:42].all()
    assert mask(column[None], wet_green)[0, 42:46].all()
    assert mask(column[None], wet_red)[0, 46:].all()
    # The panel hangs above the water, although it ends below the waterline of the wall.
    assert mask(image, BLUE)[36:42, 48].all()
    assert wet_red[0] == 255  # no overflow


def test_water_moves_with_the_engine_clock_and_returns():
    scene, camera = build_scene(1), (300.0, 100.0, 66.0, 33.0)
    still = render(scene, camera)[0]
    later = render(scene, camera, engine_ms=WATER_PERIOD_MS // 3)[0]
    assert (still != later).any(axis=2)[50:].mean() > 0.3
    assert (still == later)[:20].all()
    assert (still == render(scene, camera, engine_ms=5 * WATER_PERIOD_MS)[0]).all()


def test_the_raised_platform_is_an_octagon_at_its_place():
    scene = build_scene(1)
    eye = np.array([100.0, 200.0, 144.0])
    hidden = render(scene, (*eye, 30.0))[0]
    assert not mask(hidden, (77, 77, 77))[40:].any()
    centre = np.array([170.0, 240.0])
    scene.platform[0] = (*centre, 94.0)
    image = render(scene, (*eye, 30.0))[0]
    seen = mask(image, (77, 77, 77))
    forward, right = np.array([np.cos(np.pi / 6), np.sin(np.pi / 6)]), np.array([0.5, -(0.75**0.5)])
    for row in range(37, 72, 3):
        for column in range(0, 96, 5):
            depth = 50.0 * 48.0 / (row + 0.5 - 36.0)
            point = eye[:2] + depth * (forward + ((column + 0.5) / 48.0 - 1.0) * right) - centre
            turns = np.radians(45.0 * np.arange(8))
            reach = max(point[0] * np.cos(turns) + point[1] * np.sin(turns))
            if abs(reach - PLATFORM_APOTHEM) > 0.5:
                assert seen[row, column] == (reach < PLATFORM_APOTHEM)
    assert seen.any()


@pytest.mark.parametrize("k", range(8))
def test_landmarks_are_at_their_bearings(k):
    bearing = np.radians(45.0 * k)
    x, y = 510.0 * np.cos(bearing), 510.0 * np.sin(bearing)
    image = render(build_scene(1), (x, y, 66.0, 45.0 * k))[0].astype(float)
    panel = image[18:42, 34:64].reshape(-1, 3)
    colours = 0.795 * np.array([rgb for _, rgb in LANDMARKS])
    near = np.abs(panel[:, None] - colours[None]).max(axis=2) < 12.0
    assert near.sum(axis=0).argmax() == k
    assert near[:, k].mean() > 0.15


def test_slices_draw_the_same_pixels_as_the_whole_batch():
    scene, generator = build_scene(5), np.random.default_rng(1)
    cameras = np.column_stack(
        [generator.uniform(-400, 400, (5, 2)), np.full(5, 66.0), generator.uniform(0, 360, 5)]
    )
    whole = render(scene, cameras)
    parts, clock = np.zeros_like(whole), np.zeros(5, np.int64)
    for start, stop in ((3, 5), (0, 3)):
        render_slice(scene, cameras, clock, parts, start, stop)
    assert (whole == parts).all()
    assert len(np.unique(whole.reshape(5, -1), axis=0)) == 5


def test_every_pixel_is_painted_wherever_the_player_stands():
    generator, scene = np.random.default_rng(2), build_scene(40)
    turns = generator.uniform(0.0, 2.0 * np.pi, 40)
    radius = 744.0 * np.sqrt(generator.random(40))
    cameras = np.column_stack(
        [radius * np.cos(turns), radius * np.sin(turns), generator.choice([66.1, 144.0], 40),
         generator.uniform(0.0, 360.0, 40)]
    )  # fmt: skip
    first, second = np.full((2, 40, 72, 96, 3), 3, np.uint8)
    second += 4
    for images in (first, second):
        render_slice(scene, cameras, np.zeros(40, np.int64), images, 0, 40)
    assert (first == second).all()


@pytest.mark.parametrize("step", [40, 100, 200, 260])
def test_recorded_frames_of_deepmind_lab_look_the_same(step, watermaze_traces):
    trace = watermaze_traces[7003]
    camera = (*trace["pos"][step] + [0.0, 0.0, 26.0], trace["rot"][step, 1])
    drawn = render(build_scene(1), camera)[0].astype(float)
    with Image.open(FRAMES / f"rooms_watermaze_96x72_t{step:03d}.png") as image:
        recorded = np.asarray(image.convert("RGB")).astype(float)
    # Without the time at the top and the status display at the bottom, which labsim does not draw.
    above = slice(6, 54)
    assert np.abs(drawn - recorded)[above].mean() < 14.0
    for left in (0, 32, 64):
        part = (above, slice(left, left + 32))
        assert np.abs(drawn[part].mean((0, 1)) - recorded[part].mean((0, 1))).max() < 13.0
