"""Square textures with mip levels, packed into one array that the raycaster can index.

Wall, floor and sky images come from the labmaze wheel (DeepMind Lab's own artwork). DeepMind Lab
samples with nearest texel and nearest mipmap (`assets/q3config.cfg`), and so do we.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from envs.labsim.world import kernel

SIZE = 128  # pixels a side that recorded frames of DeepMind Lab show; the files have 1024
MAX_LEVELS = 9  # sides 256, 128, .. 1
LOG2_SIZE, HOLES, START = range(3)  # columns of the table of mips; level l starts at START + l
BITS = 32  # in inner loops, texture coordinates are whole numbers ..
TILE = float(1 << BITS)  # .. of which this many make one tile


class TexturePack(NamedTuple):
    """All textures of a scene; shared by every environment of a batch.

    Texels are red | green << 8 | blue << 16 | alpha << 24, alpha 0 being a hole, and lie column by
    column, because walls are drawn that way: the texel at column u and row v of a level with side
    2**n is texels[start + (u << n) + v].
    """

    texels: NDArray[np.uint32]  # [N]
    # [num_textures, 2 + MAX_LEVELS] log2 of level 0's side, whether the picture has holes (0 or 1),
    # then where each level starts in texels
    mips: NDArray[np.int32]


def load_image(path: str, size: int = SIZE) -> NDArray[np.uint8]:
    """Read an image file as an opaque [size, size, 4] RGBA picture, shrunk by area averaging."""
    with Image.open(path) as image:
        # DeepMind Lab's alpha marks where a wall glows, not holes: drop it (palette images, too).
        opaque = image.convert("RGBA").convert("RGB").resize((size, size), Image.Resampling.BOX)
    return with_alpha(np.asarray(opaque))


def load_rgb(path: str, size: int = SIZE) -> NDArray[np.float64]:
    """As `load_image`, without alpha and to compute with: [size, size, 3] in 0 .. 255."""
    return load_image(path, size)[..., :3].astype(np.float64)


def with_alpha(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add an opaque alpha channel: [H, W, 3] -> [H, W, 4]."""
    return np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])


def as_picture(rgb: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Round [H, W, 3] to an opaque RGBA picture; what is too bright or too dark is cut."""
    return with_alpha(np.clip(np.round(rgb), 0, 255).astype(np.uint8))


def mip_chain(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Halve a square RGBA picture down to one pixel by averaging 2x2 blocks.

    Colours are weighted by alpha, so that what is hidden behind a hole does not bleed out; a
    block is a hole if more than half of it is. Raises ValueError if the side is not a power of
    two of at most 256.
    """
    side = image.shape[0]
    if image.shape != (side, side, 4) or side & (side - 1) or not 1 <= side < 2**MAX_LEVELS:
        raise ValueError(
            f"a texture has shape {image.shape}: needed are square RGBA pictures whose side is a "
            f"power of two of at most {2 ** (MAX_LEVELS - 1)}"
        )
    levels = [image]
    while side > 1:
        side //= 2
        blocks = levels[-1].reshape(side, 2, side, 2, 4).astype(np.float64)
        alpha = blocks[..., 3:]
        weight = np.maximum(alpha.sum(axis=(1, 3)), 1e-9)
        colour = (blocks[..., :3] * alpha).sum(axis=(1, 3)) / weight
        covered = np.where(alpha.mean(axis=(1, 3)) >= 127.5, 255.0, 0.0)
        levels.append(np.round(np.concatenate([colour, covered], axis=2)).astype(np.uint8))
    return levels


def pack_textures(images: Sequence[NDArray[np.uint8]]) -> TexturePack:
    """Pack square RGBA pictures [side, side, 4]; a picture's texture id is its place in `images`.

    Raises ValueError as mip_chain does.
    """
    texels, mips = [], []
    position = 0
    for image in images:
        levels = mip_chain(image)
        row = [len(levels) - 1, int(image[..., 3].min() < 255)]
        for level in levels:
            row.append(position)
            columns = np.ascontiguousarray(level.transpose(1, 0, 2))
            texels.append(columns.view("<u4").astype(np.uint32).ravel())
            position += level.shape[0] ** 2
        mips.append(row + [row[-1]] * (START + MAX_LEVELS - len(row)))
    return TexturePack(np.concatenate(texels), np.array(mips, np.int32))


@kernel
def mip_level(texels_per_pixel, log2_size):  # type: ignore[no-untyped-def]
    """Find the first mip level that has at most one texel per pixel, as in recorded frames."""
    level = 0
    while texels_per_pixel > 1.0 and level < log2_size:
        texels_per_pixel *= 0.5
        level += 1
    return level
