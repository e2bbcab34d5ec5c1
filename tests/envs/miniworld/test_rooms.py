import numpy as np
import pytest

from envs.config import LEVELS
from envs.labsim.levels import LEVELS as RULES
from envs.labsim.scene import NONE
from envs.miniworld.models import models

# Rows run north: an L of three open cells around the solid one in the north-east.
SOLID = np.ones((5, 7), np.bool_)
SOLID[1, 2] = SOLID[1, 3] = SOLID[2, 2] = False


def outline(row, column):
    from envs.miniworld.rooms import cell_outline  # needs OpenGL

    return cell_outline(SOLID, row, column)


def test_walls_stand_inside_their_cells_and_meet_at_corners():
    inset = 0.01  # a unit of a cell of 100
    points, is_wall = outline(1, 2)  # the corner of the L: open to the east and to the north
    assert is_wall.tolist() == [False, False, True, True]
    expected = [(3, 1 + inset), (3, 2), (2 + inset, 2), (2 + inset, 1 + inset)]
    np.testing.assert_allclose(points, expected)
    east, is_wall = outline(1, 3)
    assert is_wall.tolist() == [True, True, False, True]
    np.testing.assert_allclose(
        east,
        [(4 - inset, 1 + inset), (4 - inset, 2 - inset), (3 - inset, 2 - inset), (3, 1 + inset)],
    )
    north, _ = outline(2, 2)
    # The walls of the two cells around the corner of the block end in one point.
    assert (north[0] == east[2]).all()


@pytest.mark.parametrize("level", LEVELS)
def test_every_thing_has_a_model(level):
    rules = RULES[level](1)
    known = models(level)
    for seed in range(13):
        rules.seed(0, seed)
        rules.begin(0)
        assert set(rules.scene.thing_texture[0].tolist()) - {NONE} <= set(known)
