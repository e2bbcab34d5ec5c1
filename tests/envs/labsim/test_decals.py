import numpy as np

from envs.labsim.decals import NUM_DECALS, SIZE, decal_pictures


def test_there_are_80_different_opaque_pictures():
    pictures = decal_pictures()
    assert len(pictures) == NUM_DECALS == 80
    assert len({picture.tobytes() for picture in pictures}) == 80
    assert {picture.shape for picture in pictures} == {(SIZE, SIZE, 4)}
    assert all((picture[..., 3] == 255).all() for picture in pictures)
    # From afar, too, they are not the same: 8 x 8 pixels differ between any two.
    small = np.array([p.reshape(8, SIZE // 8, 8, SIZE // 8, 4).mean(axis=(1, 3)) for p in pictures])
    distances = np.abs(small[:, None] - small[None]).mean(axis=(2, 3, 4))
    assert (distances + 100 * np.eye(80)).min() > 1.0


def test_each_style_is_as_described():
    pictures = [picture[..., :3].astype(int) for picture in decal_pictures()]
    colourful = [np.ptp(picture, axis=2).mean() for picture in pictures]
    assert min(colourful[:20]) > 40
    for picture in pictures[20:40]:  # dots and lines on light grey
        assert (picture == 214).all(axis=2).mean() > 0.3
        assert 0.05 < (picture < 70).all(axis=2).mean() < 0.4
    for number, picture in enumerate(pictures[40:60]):  # 36 greys
        assert colourful[40 + number] == 0
        assert 20 < len(np.unique(picture)) <= 36
    for picture in pictures[60:]:  # red on beige in a black frame
        assert (picture[[0, -1]] == 15).all()
        assert (picture[:, [0, -1]] == 15).all()
        red = (picture == (190, 30, 35)).all(axis=2)
        assert 0.05 < red.mean() < 0.5
        assert (picture[~red & (picture != 15).any(axis=2)] == (226, 206, 170)).all()
