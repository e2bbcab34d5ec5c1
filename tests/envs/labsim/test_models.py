import numpy as np
import pytest

from envs.labsim import models
from envs.labsim.model_renderer import SIDE, box, draw, ellipsoid, tilted

MODELS = {
    "apple": models.apple,
    "lemon": models.lemon,
    "goal": models.goal,
    "key": lambda: models.key((255, 0, 0)),
    "lolly": models.lolly,
    "health": models.health,
    "armour": models.armour,
    "orb": lambda: models.gadget("orb"),
    "beam": lambda: models.gadget("beam"),
    "disc": lambda: models.gadget("disc"),
    "bot": lambda: models.bot(0),
}


def covered(picture):
    return picture[..., 3] > 0


def colour(picture):
    return picture[covered(picture)][:, :3].astype(float).mean(axis=0)


@pytest.mark.parametrize("name", MODELS)
def test_pictures_are_square_with_holes_and_fill_their_frame(name):
    model = MODELS[name]()
    for picture in model.pictures:
        assert picture.shape == (SIDE, SIDE, 4)
        assert picture.dtype == np.uint8
        assert set(np.unique(picture[..., 3])) <= {0, 255}
        assert 0.05 < covered(picture).mean() < 0.95
    rows, columns = np.nonzero(np.any([covered(p) for p in model.pictures], axis=0))
    assert columns.max() - columns.min() > 0.75 * SIDE
    assert rows.max() - rows.min() > 0.7 * SIDE


@pytest.mark.parametrize(
    ("name", "width", "height", "foot"),
    [("apple", 12.5, 15, 7.5), ("lemon", 15.5, 13.5, 7.5), ("goal", 12.5, 16.25, 8),
     ("key", 47, 82, 0), ("lolly", 42, 92, 0), ("bot", 33, 56, -24)],
)  # fmt: skip
def test_sizes_are_deepmind_labs(name, width, height, foot):
    model = MODELS[name]()
    assert (2 * model.half_width, model.height, model.foot) == (width, height, foot)


def test_objects_differ_in_colour():
    """Apples are red, lemons yellow, lollies orange; each of five keys is nearest to its colour."""
    red, green, blue = colour(models.apple().pictures[0])
    assert red > 4 * max(green, blue)
    red, green, blue = colour(models.lemon().pictures[0])
    assert min(red, green) > 4 * blue
    assert green > 0.8 * red
    red, green, blue = colour(models.lolly().pictures[0])
    assert 0.4 * red < green < 0.7 * red
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)]
    for k, rgb in enumerate(colours):
        for picture in models.key(rgb).pictures:
            distances = np.linalg.norm(colour(picture) - colours, axis=1)
            assert distances.argmin() == k


def test_a_goal_shrinks_upwards_from_red_to_yellow():
    picture = models.goal().pictures[0]
    widths = covered(picture).sum(axis=1)
    assert widths[60] > widths[40] > widths[25] > widths[12] > widths[4] > 0
    low, high = picture[58, 32, :3].astype(float), picture[12, 32, :3].astype(float)
    assert low[1] / low[0] < 0.25
    assert high[1] / high[0] > 0.6


def test_keys_turn_and_have_a_hole():
    pictures = models.key((255, 0, 0)).pictures
    assert len(pictures) == models.SPIN_VIEWS
    widths = [np.ptp(np.nonzero(covered(p))[1]) + 1 for p in pictures]
    quarter = len(pictures) // 4
    assert widths[0] > 58
    assert widths[quarter] == pytest.approx(SIDE * 10 / 47, abs=2)
    # Seen from behind, the bit points to the other side.
    assert (covered(pictures[0])[:, ::-1] == covered(pictures[2 * quarter])).mean() > 0.97
    assert not covered(pictures[0])[17, 32]  # within the ring


def test_a_bot_looks_different_from_front_left_back_and_right():
    pictures = models.bot(0).pictures
    assert len(pictures) == models.BOT_VIEWS
    sides = [pictures[k * len(pictures) // 4] for k in range(4)]
    for a in range(4):
        for b in range(a):
            differ = (sides[a] != sides[b]).any(axis=2)
            assert differ.mean() > 0.1, (a, b)
    white = [(p[..., :3].min(axis=2) > 100).sum() for p in sides]
    assert white[0] > 2 * max(white[1], white[3]) > 0  # the visor
    assert white[2] == 0
    # He looks ahead: seen from his left, his front is on the left.
    assert np.nonzero(sides[1][..., :3].min(axis=2) > 100)[1].mean() < SIDE / 2


def test_hues_of_a_bot_are_120_degrees_apart_and_greys_stay():
    plain, turned = models.bot(0), models.bot(60)
    assert (plain.pictures[0][..., 3] == turned.pictures[0][..., 3]).all()
    head = plain.pictures[0][2, 32, :3]
    assert head[0] > 100
    assert head[1:].max() < 20
    head = turned.pictures[0][2, 32, :3]
    assert min(head[0], head[1]) > 100
    assert head[2] < 20
    other = models.bot(120).pictures[0][2, 32, :3]
    assert other[1] > 100
    assert max(other[0], other[2]) < 20


def test_unknown_gadgets_are_refused():
    with pytest.raises(ValueError, match="unknown gadget 'bow'"):
        models.gadget("bow")


def test_the_renderer_draws_solids_where_they_are():
    ball = ellipsoid((0.0, 5.0, 20.0), (4.0, 4.0, 8.0), (0.0, 200.0, 0.0))
    front, left, back = (draw([ball], 16.0, 32.0, 4)[k] for k in range(3))
    # From the front, the model's left (+y) is on the right; 2 pixels a unit.
    for picture, middle in ((front, 32 + 10), (left, 32), (back, 32 - 10)):
        rows, columns = np.nonzero(covered(picture))
        assert (columns.min() + columns.max() + 1) / 2 == pytest.approx(middle, abs=0.6)
        assert np.ptp(columns) + 1 == pytest.approx(16, abs=1)
        assert (rows.min(), rows.max()) == pytest.approx((64 - 56, 64 - 25), abs=1)


def test_nearer_solids_hide_farther_ones_and_the_top_is_brighter():
    red = box((6.0, 0.0, 16.0), (2.0, 6.0, 6.0), (250.0, 0.0, 0.0))
    blue = box((-6.0, 0.0, 16.0), (2.0, 6.0, 6.0), (0.0, 0.0, 250.0))
    front, _, back, _ = draw([*red, *blue], 16.0, 32.0, 4)
    assert front[32, 32, 0] > 100
    assert front[32, 32, 2] == 0
    assert back[32, 32, 2] > 100
    assert back[32, 32, 0] == 0
    ball = draw([ellipsoid((0, 0, 16), (12, 12, 12), (200, 200, 200))], 16.0, 32.0, 1)[0]
    assert ball[14, 32, 0] > 1.2 * ball[50, 32, 0]


def test_tilting_turns_z_towards_y():
    stick = tilted(box((0.0, 0.0, 10.0), (1.0, 1.0, 10.0), (9.0, 9.0, 9.0)), (0.0, 0.0, 0.0), 90.0)
    rows, columns = np.nonzero(covered(draw(stick, 32.0, 64.0, 1)[0]))
    assert (columns.min(), columns.max()) == pytest.approx((32, 51), abs=1)
    assert rows.min() >= 62
