import numpy as np
import pytest

from benchmarks.experts.steering import path, steer


@pytest.mark.parametrize(
    ("yaw", "action"),
    [(0, 0), (4, 0), (356, 0), (353, 6), (8, 7), (-30, 6), (30, 7), (-60, 4), (60, 5), (179, 5),
     (181, 4)],
)  # fmt: skip
def test_steer_turns_towards_the_target_and_walks_when_it_is_ahead(yaw, action):
    assert steer(10.0, 20.0, yaw, 110.0, 20.0) == action


def test_path_goes_around_walls_and_ends_at_the_goal():
    text = ["..#.", "#.#.", "...."]
    open_cells = np.array([[c == "." for c in row] for row in text])
    way = path(open_cells, (0, 0), (0, 3))
    assert way == [(0, 0), (0, 1), (1, 1), (2, 1), (2, 2), (2, 3), (1, 3), (0, 3)]
    assert path(open_cells, (1, 1), (1, 1)) == [(1, 1)]
    open_cells[2, 2] = False
    assert path(open_cells, (0, 0), (0, 3)) == []
