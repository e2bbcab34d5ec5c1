import os

import imageio.v2 as imageio
import numpy as np
import pytest
from PIL import Image

from records.animation import save_animation

PICTURES = [np.full((22, 34, 3), 50 * i, np.uint8) for i in range(5)]


@pytest.mark.parametrize("name", ["a.mp4", "a.webp", "a.gif"])
def test_every_picture_is_in_the_file(name, tmp_path):
    path = tmp_path / name
    save_animation(path, iter(PICTURES), 15)
    assert os.listdir(tmp_path) == [name]
    if name == "a.mp4":
        frames = imageio.mimread(path)
        assert len(frames) == 5
        assert frames[3].shape == (22, 34, 3)
        return
    with Image.open(path) as image:
        assert (image.n_frames, image.size) == (5, (34, 22))
        image.seek(3)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - 150).max() < 9


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.gif"
    save_animation(path, PICTURES, 15)
    before = path.read_bytes()

    def broken():
        yield PICTURES[0]
        raise ValueError("out of pictures")

    with pytest.raises(ValueError, match="out of pictures"):
        save_animation(path, broken(), 15)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.gif"]


def test_other_endings_and_folders_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"its name must end in \.mp4, \.webp, \.gif"):
        save_animation(tmp_path / "a.avi", PICTURES, 15)
    with pytest.raises(FileNotFoundError):
        save_animation(tmp_path / "no/a.gif", PICTURES, 15)
    assert not os.listdir(tmp_path)
