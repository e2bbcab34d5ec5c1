import labmaze
import numpy as np
import pytest

from benchmarks.recordings import SEEDS, load
from envs.labsim.levels.lasertag_fighters import ORB
from envs.labsim.levels.lasertag_items import ARMOUR, GADGET, HEALTH
from envs.labsim.levels.lasertag_maps import make_map
from envs.labsim.maps import lab_seed
from tests.envs.labsim.levels.lasertag_game import Game


@pytest.mark.parametrize("seed", SEEDS)
def test_a_reset_seed_gives_deepmind_labs_own_maze(seed):
    trace, level = load("lasertag_three_opponents_small", seed), Game(seed=seed).level
    maze = labmaze.RandomMaze(
        11, 11, 3, 3, 5, 1000, 0.05, 26, False, True, 3, "P", 0, "G", lab_seed(seed)
    )
    assert (level.solids.cells[0] == (np.array(maze.entity_layer) == "*")[::-1]).all()
    columns, rows = (trace["pos"][:, :2] / 100).astype(int).T
    assert not level.solids.cells[0][rows, columns].any()
    assert trace["pos"][0, :2].tolist() in level.spawns[0].tolist()


def test_maps_have_one_gadget_and_two_power_ups_on_free_cells():
    maps = [make_map(seed) for seed in range(1, 201)]
    for made in maps:
        columns, rows = (made.item_places.T // 100).astype(int)
        assert (made.maze.entities[rows, columns] == " ").all()
        assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 3
        assert made.item_kinds[0] == GADGET
    kinds = np.concatenate([made.item_kinds[1:] for made in maps])
    assert 160 < (kinds == HEALTH).sum() < 240
    assert (kinds == HEALTH).sum() + (kinds == ARMOUR).sum() == 400
    assert np.bincount([made.special for made in maps])[ORB:].min() > 45
    assert np.histogram([made.hue_deg for made in maps], 3, (0, 360))[0].min() > 45
    assert sum(len(made.spawns) == 9 for made in maps) > 185
