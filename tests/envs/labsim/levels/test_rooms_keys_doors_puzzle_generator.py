from collections import deque
from functools import cache

import numpy as np
import pytest

from envs.labsim.levels.rooms_keys_doors_puzzle_generator import COLOURS, make_puzzle
from envs.labsim.maps import lab_seed

NUM_PUZZLES = 3000


@cache
def puzzles():
    return [make_puzzle(seed) for seed in range(1, NUM_PUZZLES + 1)]


def text(puzzle):
    """The map as DeepMind Lab writes it, north up, without the border on the unused sides."""
    grid = np.where(puzzle.open_cells, " ", "*")
    for row, column, _ in puzzle.keys:
        grid[row, column] = "K"
    for row, column, _, is_east_west in puzzle.doors:
        grid[row, column] = "HI"[is_east_west]
    grid[puzzle.goal], grid[puzzle.start] = "G", "P"
    rows, columns = (int(np.nonzero(puzzle.open_cells)[axis].max()) + 3 for axis in (0, 1))
    return ["".join(grid[row, :columns]) for row in range(rows - 1, -1, -1)]


def colours(rows):
    return ",".join(COLOURS[row[2]] for row in rows)


# The player's recorded ways, keys and doors fit these maps; see ..._recordings.py.
def test_a_seed_gives_the_map_that_it_gives_in_deepmind_lab():
    puzzle = make_puzzle(lab_seed(7003))
    assert text(puzzle) == [
        "***************",
        "***************",
        "**   I   I   **",
        "**K  *K  *  K**",
        "***H***H***H***",
        "**   I   I   **",
        "**  G* PK*   **",
        "***************",
        "***************",
    ]
    assert colours(puzzle.keys) == "black,green,black,white"
    assert colours(puzzle.doors) == "green,green,black,white,blue,red,white"


def test_recorded_players_start_at_p_and_stay_in_open_cells(keys_doors_traces):
    for seed, trace in keys_doors_traces.items():
        puzzle = make_puzzle(lab_seed(seed))
        row, column = puzzle.start
        assert trace["pos"][0, :2].tolist() == [100 * column + 50, 100 * row + 50]
        cells = (trace["pos"][:, 1::-1] // 100).astype(int)
        assert puzzle.open_cells[cells[:, 0], cells[:, 1]].all()


def enter(state, cell, keys, doors):
    """The state (cell, held colour, cells of taken keys and open doors) after a step, or None."""
    _, held, used = state
    if cell in used or (cell not in keys and cell not in doors):
        return cell, held, used
    if cell in keys:
        return cell, keys[cell], used | {cell}
    return (cell, None, used | {cell}) if doors[cell] == held else None


def solvable(puzzle):
    """Depth-first search over everything that a player can do."""
    keys = {(row, column): colour for row, column, colour in puzzle.keys.tolist()}
    doors = {(row, column): colour for row, column, colour, _ in puzzle.doors.tolist()}
    first = (puzzle.start, None, frozenset())
    seen, waiting = {first}, deque([first])
    while waiting:
        state = waiting.pop()
        row, column = state[0]
        if state[0] == puzzle.goal:
            return True
        for cell in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            after = enter(state, cell, keys, doors) if puzzle.open_cells[cell] else None
            if after is not None and after not in seen:
                seen.add(after)
                waiting.append(after)
    return False


def test_every_puzzle_can_be_solved():
    assert len(puzzles()) == 3000
    assert all(solvable(puzzle) for puzzle in puzzles())


def test_the_solver_tells_when_a_key_is_missing():
    puzzle = puzzles()[0]
    assert not solvable(puzzle._replace(keys=puzzle.keys[:0]))


def shares(values):
    names, counts = np.unique(values, return_counts=True, axis=0)
    return {
        tuple(name) if np.ndim(name) else int(name): round(100 * count / len(values), 1)
        for name, count in zip(names.tolist(), counts.tolist(), strict=True)
    }


def assert_shares(values, percent):
    """Compare with the shares of 3,000 puzzles of the original generator, rounded to percents."""
    found = shares(values)
    assert found.keys() <= percent.keys()
    for value, share in percent.items():
        deviation = 100 * np.sqrt(2 * share / 100 * (1 - share / 100) / NUM_PUZZLES)
        assert found.get(value, 0) == pytest.approx(share, abs=0.5 + 3.5 * deviation), value


def test_numbers_of_rooms():
    rooms = [int(p.open_cells[2::3, 2::4].sum()) for p in puzzles()]  # lower left cells
    assert_shares(rooms, {3: 4, 4: 18, 5: 20, 6: 33, 7: 26})


def test_numbers_of_keys():
    assert_shares([len(p.keys) for p in puzzles()], {1: 17, 2: 20, 3: 17, 4: 38, 5: 9})


def test_numbers_of_doors():
    assert_shares(
        [len(p.doors) for p in puzzles()], {2: 9, 3: 11, 4: 18, 5: 7, 6: 15, 7: 24, 8: 17}
    )


def test_sizes_of_maps():
    sizes = [(len(text(p)), len(text(p)[0])) for p in puzzles()]
    # The last two are rarer than the source's rounding shows.
    assert_shares(
        sizes,
        {(12, 11): 40, (12, 15): 34, (9, 11): 13, (9, 15): 11, (12, 7): 1, (9, 7): 0, (6, 15): 1},
    )


def test_colours_are_equally_likely():
    for rows in ([p.keys for p in puzzles()], [p.doors for p in puzzles()]):
        counts = np.bincount(np.concatenate(rows)[:, 2], minlength=5)
        assert counts / counts.sum() == pytest.approx(np.full(5, 0.2), abs=0.015)


def test_players_start_in_any_of_four_cells_of_a_room_and_objects_lie_in_its_lower_corners():
    starts = [((p.start[0] - 2) % 3, (p.start[1] - 2) % 4) for p in puzzles()]
    assert_shares(starts, {(1, 0): 25, (1, 1): 25, (1, 2): 25, (0, 1): 25})
    goals = [((p.goal[0] - 2) % 3, (p.goal[1] - 2) % 4) for p in puzzles()]
    assert_shares(goals, {(0, 0): 50, (0, 2): 50})
    keys = np.concatenate([p.keys for p in puzzles()])
    assert set(((keys[:, 0] - 2) % 3).tolist()) == {0}
    assert set(((keys[:, 1] - 2) % 4).tolist()) == {0, 2}


def test_doors_lie_between_rooms():
    doors = np.concatenate([p.doors for p in puzzles()])
    east_west = doors[doors[:, 3] == 1]
    assert set(((east_west[:, 0] - 2) % 3).tolist()) == {1}  # the upper row
    assert set(((east_west[:, 1] - 2) % 4).tolist()) == {3}
    north_south = doors[doors[:, 3] == 0]
    assert set(((north_south[:, 0] - 2) % 3).tolist()) == {2}
    assert set(((north_south[:, 1] - 2) % 4).tolist()) == {1}  # the middle column


def test_same_seed_same_puzzle():
    one, other = make_puzzle(11), make_puzzle(11)
    assert text(one) == text(other)
    assert (one.keys == other.keys).all()
    assert (one.doors == other.doors).all()
    assert text(make_puzzle(12)) != text(one)
