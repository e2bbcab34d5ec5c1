import numpy as np
import pytest

from envs.labsim.levels.room_watermaze_pictures import LANDMARKS, panel_picture, water_picture
from envs.labsim.levels.room_watermaze_scene import PANELS, WALL_FACES, build_scene
from envs.labsim.scene import X0, X1, Y0, Y1, Z0, Z1, Scene

NUM_ENVS = 3
BATCHED = [name for name in Scene._fields if name not in ("texels", "mips")]


@pytest.fixture(scope="module")
def scene():
    return build_scene(NUM_ENVS)


def test_every_environment_has_its_own_copy_of_the_room(scene):
    for name in BATCHED:
        array = getattr(scene, name)
        assert array.shape[0] == NUM_ENVS
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.dtype != np.float64
    scene.platform[1] = (5.0, 7.0, 94.0)
    assert (scene.platform[[0, 2], 2] < 0.0).all()


def test_textures_named_by_the_scene_exist(scene):
    ids = np.concatenate([scene.segment_texture.ravel(), scene.floor_texture.ravel()])
    ids = np.append(ids, scene.water_texture)
    assert ids.min() >= 0
    assert ids.max() == len(scene.mips) - 1


def test_sixteen_walls_close_the_room_760_units_from_its_centre():
    left, right = WALL_FACES[:, 0], WALL_FACES[:, 1]
    np.testing.assert_array_equal(right, np.roll(left, 1, axis=0))
    for k, middle in enumerate(0.5 * (left + right)):
        bearing = np.degrees(np.arctan2(middle[1], middle[0])) % 360.0
        assert bearing == pytest.approx(22.5 * k, abs=0.2)
        assert np.hypot(*middle) == pytest.approx(760.0, abs=1.0)


def test_all_segments_but_the_panels_sides_face_the_centre(scene):
    rows = scene.segments[0].astype(np.float64)
    # The centre sees point 0 on the left: it is on the right of the way from 0 to 1.
    side = rows[:, X0] * rows[:, Y1] - rows[:, Y0] * rows[:, X1]
    assert (rows[:, Z1] > rows[:, Z0]).all()
    assert (side[:16] < 0.0).all()
    fronts = side[16:].reshape(8, 4)
    assert (fronts[:, :2] < 0.0).all()


def test_panels_stand_at_the_walls_175_units_wide(scene):
    pictures = scene.segments[0, 17::4]
    assert len(pictures) == len(LANDMARKS) == len(PANELS)
    widths = np.hypot(pictures[:, X1] - pictures[:, X0], pictures[:, Y1] - pictures[:, Y0])
    np.testing.assert_allclose(widths, 175.0, rtol=1e-5)
    middles = 0.5 * (pictures[:, [X0, Y0]] + pictures[:, [X1, Y1]])
    assert (np.hypot(*(middles - np.array(PANELS)).T) < 10.0).all()
    assert (np.hypot(*middles.T) < 760.0).all()


@pytest.mark.parametrize(("shape", "rgb"), LANDMARKS)
def test_a_panel_is_mostly_its_colour_around_a_pale_shape_of_its_own(shape, rgb):
    picture = panel_picture(shape, rgb)
    coloured = np.abs(picture - 0.795 * np.array(rgb)).max(axis=2) < 3.0
    pale = np.abs(picture - np.array([155, 222, 230])).max(axis=2) < 3.0
    assert 0.25 < coloured.mean() < 0.6
    assert 0.07 < pale.mean() < 0.25
    others = [panel_picture(name, rgb) for name, _ in LANDMARKS if name != shape]
    for other in others:
        other_pale = np.abs(other - np.array([155, 222, 230])).max(axis=2) < 3.0
        assert (pale != other_pale).mean() > 0.02


def test_the_water_is_grey_and_tiles():
    picture = water_picture()
    assert (picture[..., 0] == picture[..., 1]).all()
    assert picture.mean() == pytest.approx(76.0, abs=0.5)
    steps = np.abs(np.diff(picture[..., 0], axis=0))
    seam = np.abs(picture[0, :, 0] - picture[-1, :, 0])
    assert seam.mean() < 2.0 * steps.mean()
