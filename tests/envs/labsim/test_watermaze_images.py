"""Images of room_watermaze: its water, its platform, its landmarks, and all as recorded."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from envs.labsim.levels.room_watermaze_pictures import LANDMARKS
from envs.labsim.levels.room_watermaze_scene import build_scene
from envs.labsim.raycaster import render_slice
from envs.labsim.scene import PLATFORM_APOTHEM, WATER_PERIOD_MS
from tests.envs.labsim.scenes import mask, render

FRAMES = Path(__file__).parents[2] / "data" / "frames"


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
