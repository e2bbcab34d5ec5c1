"""Small scenes for the raycaster's tests."""

import numpy as np

from envs.labsim.scene import NONE, NOWHERE, Scene
from envs.labsim.textures import pack_textures, with_alpha


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
