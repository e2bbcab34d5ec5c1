import labmaze.assets
import numpy as np
import pytest

from envs.labsim.textures import (
    HOLES,
    LOG2_SIZE,
    MAX_LEVELS,
    SIZE,
    START,
    load_image,
    mip_chain,
    mip_level,
    pack_textures,
    with_alpha,
)


def noise(side, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 4), np.uint8)


@pytest.mark.parametrize("style", ["style_01", "style_03"])
def test_images_of_the_labmaze_wheel_load_opaque_with_their_mean_colour(style):
    path = labmaze.assets.get_floor_texture_paths(style)["blue"]
    image = load_image(path)
    assert image.shape == (SIZE, SIZE, 4)
    assert (image[..., 3] == 255).all()
    expected = {"style_01": (54, 89, 109), "style_03": (85, 137, 150)}[style]
    np.testing.assert_allclose(image[..., :3].mean((0, 1)), expected, atol=1.0)


def test_mips_halve_down_to_one_pixel_and_keep_the_mean_colour():
    image = with_alpha(noise(32)[..., :3])
    levels = mip_chain(image)
    assert [level.shape[0] for level in levels] == [32, 16, 8, 4, 2, 1]
    assert (levels[1][3, 5, :3] == np.round(image[6:8, 10:12, :3].mean((0, 1)))).all()
    np.testing.assert_allclose(levels[-1][0, 0, :3], image[..., :3].mean((0, 1)), atol=3.0)


def test_what_is_behind_holes_does_not_bleed_into_mips():
    image = np.zeros((2, 2, 4), np.uint8)
    image[:, 0] = (10, 20, 30, 255)
    image[:, 1] = (250, 250, 250, 0)
    assert mip_chain(image)[1].tolist() == [[[10, 20, 30, 255]]]
    image[0, 0, 3] = 0  # now three of four are holes
    assert mip_chain(image)[1][0, 0, 3] == 0


@pytest.mark.parametrize("shape", [(3, 3, 4), (4, 8, 4), (4, 4, 3), (512, 512, 4)])
def test_pictures_that_are_not_square_powers_of_two_are_refused(shape):
    with pytest.raises(ValueError, match="power of two of at most 256"):
        mip_chain(np.zeros(shape, np.uint8))


def test_a_pack_finds_every_texel_of_every_level_again():
    images = [noise(8, 1), with_alpha(noise(2, 2)[..., :3]), noise(16, 3)]
    pack = pack_textures(images)
    assert pack.mips.shape == (3, START + MAX_LEVELS)
    assert pack.mips[:, LOG2_SIZE].tolist() == [3, 1, 4]
    assert pack.mips[:, HOLES].tolist() == [1, 0, 1]
    for texture, image in enumerate(images):
        for level, picture in enumerate(mip_chain(image)):
            side = picture.shape[0]
            start = pack.mips[texture, START + level]
            texels = pack.texels[start : start + side * side].reshape(side, side).T
            channels = np.stack([texels >> shift & 255 for shift in (0, 8, 16, 24)], axis=2)
            np.testing.assert_array_equal(channels, picture)


def test_the_mip_level_has_at_most_one_texel_per_pixel():
    texels = (0.3, 1.0, 1.01, 2.0, 2.01, 4.1, 1e9)
    assert [mip_level(value, 7) for value in texels] == [0, 0, 1, 1, 2, 3, 7]
