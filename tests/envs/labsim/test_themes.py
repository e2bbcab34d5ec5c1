import numpy as np
import pytest

from envs.labsim import themes
from envs.labsim.textures import load_rgb
from envs.labsim.themes import FLOORS, WALLS, sky_pictures, theme_pictures


def mean_rgb(picture):
    return picture[..., :3].mean(axis=(0, 1))


def test_names_come_in_the_order_in_which_deepmind_lab_counts_them():
    assert len(set(FLOORS)) == len(set(WALLS)) == 20
    assert FLOORS[:3] == (
        ("style_01", "orange"), ("style_01", "orange_bright"), ("style_01", "blue")
    )  # fmt: skip
    assert WALLS[8:11] == (
        ("style_03", "orange"), ("style_03", "orange_bright"), ("style_03", "gray")
    )  # fmt: skip
    assert FLOORS[-1] == ("style_05", "orange_bright")
    assert WALLS[-1] == ("style_05", "yellow_bright")


def test_pictures_are_as_bright_as_recorded():
    """Means of recorded frames where one wall or floor fills a part of the screen."""
    pictures = theme_pictures()
    walls = dict(zip(WALLS, pictures[20:], strict=True))
    floors = dict(zip(FLOORS, pictures[:20], strict=True))
    # The frames of explore (step 40; without glow) and of laser tag (steps 0 and 40).
    orange = np.median(walls["style_03", "orange"][..., :3], axis=(0, 1))
    np.testing.assert_allclose(orange, (151, 81, 0), atol=6)
    np.testing.assert_allclose(mean_rgb(walls["style_04", "green"]), (92, 122, 54), atol=14)
    np.testing.assert_allclose(mean_rgb(walls["style_01", "green"]), (82, 114, 74), atol=8)
    np.testing.assert_allclose(mean_rgb(floors["style_01", "blue"]), (0, 60, 118), atol=12)


def test_lines_glow_on_floors_and_walls():
    pictures = theme_pictures()
    for index, glowing in ((1, True), (4, True), (8, True), (13, False), (16, True)):
        style, colour = FLOORS[index]
        path = themes.labmaze.assets.get_floor_texture_paths(style)[colour]
        dark = themes.FLOOR_LIGHT * load_rgb(path, 128)
        assert (pictures[index][..., :3] > dark + 2.0).any() == glowing, FLOORS[index]


def test_the_sky_closes_around_the_camera():
    """Neighbouring sides meet: the last column of each is like the next one's first."""
    east, north, west, south = sky_pictures()
    for left, right in ((north, east), (east, south), (south, west), (west, north)):
        gap = np.abs(left[:, -1, :3].astype(float) - right[:, 0, :3]).max(axis=1)
        assert np.median(gap) < 12
    assert east.shape == (128, 128, 4)


def test_towers_stand_where_recorded_frames_show_them(monkeypatch):
    """In the frame of step 260 (yaw -39.9) the eastern tower is at pixels 97 to 114 of 320."""

    def tower():
        """Where the taller of two towers stands, from 0 to 1, at 42 degrees of the box's side."""
        row = sky_pictures()[0][40, :, :3]
        columns = np.flatnonzero(row.max(axis=1) < 110) / 128
        return columns[columns > 0.55]

    assert tower().mean() == pytest.approx(0.697, abs=0.02)
    monkeypatch.setattr(themes, "SKY_EYE", np.zeros(2))
    assert tower().mean() < 0.68
