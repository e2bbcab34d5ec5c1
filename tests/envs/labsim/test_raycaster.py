import numpy as np
import pytest

from envs.labsim.levels.room_watermaze_scene import build_scene
from envs.labsim.raycaster import render_slice
from envs.labsim.textures import START, with_alpha
from tests.envs.labsim.scenes import BLUE, GREEN, RED, make_scene, mask, plain, render, segment
from tests.envs.labsim.slow_raycaster import render as render_slowly


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
