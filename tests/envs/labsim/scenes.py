"""Small scenes for the raycaster's tests, and images of them."""

import numpy as np

from envs.labsim.raycaster import render_slice
from envs.labsim.scene import NONE, NOWHERE, Scene
from envs.labsim.textures import pack_textures, with_alpha

RED, GREEN, BLUE = (200, 10, 20), (20, 190, 30), (30, 40, 210)


def plain(rgb, side=1):
    """A picture of one colour."""
    return with_alpha(np.full((side, side, 3), rgb, np.uint8))


def make_scene(pictures, **changes):
    """One world without any walls, of which `changes` replaces fields (without the batch axis)."""
    textures = pack_textures(pictures)
    fields = {
        "grid": np.array([-1e4, -1e4, 2e4]),
        "solid": np.array([[False]]),
        "wall_texture": np.array([[NONE]]),
        "wall_z": np.array([0.0, 100.0]),
        "floor_texture": np.array([[0]]),
        "floor_tile": np.array(100.0),
        "floor_z": np.array(0.0),
        "segments": np.zeros((0, 10)),
        "segment_texture": np.zeros(0),
        "things": np.zeros((0, 6)),
        "thing_texture": np.zeros(0),
        "thing_views": np.zeros(0),
        "background": np.array([1, 2, 3]),
        "sky_texture": np.array(NONE),
        "water_texture": np.array(NONE),
        "water_tile": np.array(100.0),
        "water_z": np.array(0.0),
        "platform": np.array([0.0, 0.0, NOWHERE]),
        "square": np.array([0, 0, 0, 0]),
    }
    kinds = {
        "solid": np.bool_, "background": np.uint8, "wall_texture": np.int32,
        "floor_texture": np.int32, "segment_texture": np.int32, "sky_texture": np.int32,
        "water_texture": np.int32, "thing_texture": np.int32, "thing_views": np.int32,
        "square": np.uint8,
    }  # fmt: skip
    arrays = {
        name: np.asarray(changes.get(name, value), kinds.get(name, np.float32))[None].copy()
        for name, value in fields.items()
    }
    return Scene(texels=textures.texels, mips=textures.mips, **arrays)


def segment(start, end, z=(0.0, 100.0), u=(0.0, 1.0), v=(0.0, 1.0)):
    """A row of Scene.segments; seen from the side on which `start` is on the left."""
    return [*start, *end, *z, *u, *v]


def render(scene, cameras, height=72, width=96, engine_ms=0):
    """Images [B, height, width, 3] of cameras (x, y, z, yaw), one for each world of the scene."""
    cameras = np.atleast_2d(np.array(cameras, np.float64))
    images = np.full((len(cameras), height, width, 3), 77, np.uint8)
    clock = np.full(len(cameras), engine_ms, np.int64)
    render_slice(scene, cameras, clock, images, 0, len(cameras))
    return images


def mask(image, rgb):
    """The pixels [height, width] that have exactly this colour."""
    return (image == np.array(rgb, np.uint8)).all(axis=2)
