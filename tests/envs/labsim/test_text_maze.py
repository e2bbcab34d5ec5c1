from pathlib import Path

import labmaze
import numpy as np
import pytest

from envs.labsim.collision import clear_of_cells
from envs.labsim.maps import lab_seed
from envs.labsim.mersenne_twister import MersenneTwister
from envs.labsim.scene import NONE
from envs.labsim.text_maze import (
    DECAL,
    FIRST_FREE_TEXTURE,
    FLOOR,
    MAX_DECALS,
    SKY,
    WALL,
    TextMaze,
    cell_centre,
    decorate,
    empty_scene,
    maze_pictures,
    maze_solids,
    maze_state,
    read_maze,
    show_maze,
)
from envs.labsim.textures import pack_textures, with_alpha

DATA = Path(__file__).parents[2] / "data"
TEXT = ("*******", "*P  *G*", "*** * *", "*G    *", "*******")
LETTERS = (".......", ".AA..B.", ".......", ".A.....", ".......")
# Parameters of labmaze by level: rooms, extra connections, variations, spawns, objects.
MAZES = {
    "explore_goal_locations_small": (4, 0.0, 1, 5, 4),
    "lasertag_three_opponents_small": (3, 0.05, 26, 3, 0),
}


def small_maze():
    """A maze of 5 x 7 cells; row 0 is the text's last line."""
    entities, letters = (np.array([list(line) for line in text])[::-1] for text in (TEXT, LETTERS))
    return TextMaze(entities, letters)


def random_maze(level, seed):
    rooms, extra, variations, spawns, objects = MAZES[level]
    return read_maze(
        labmaze.RandomMaze(
            height=11, width=11, max_rooms=rooms, room_min_size=3, room_max_size=5,
            extra_connection_probability=extra, max_variations=variations,
            spawns_per_room=spawns, objects_per_room=objects, random_seed=seed,
        )
    )  # fmt: skip


def blank_pack():
    return pack_textures([with_alpha(np.zeros((1, 1, 3), np.uint8))])


def test_cells_are_100_units_and_rows_run_northwards():
    assert cell_centre(2, 5).tolist() == [550.0, 250.0]
    assert small_maze().find("P").tolist() == [[150.0, 350.0]]


def test_cells_are_found_from_north_to_south():
    assert small_maze().find("G").tolist() == [[550.0, 350.0], [150.0, 150.0]]
    assert small_maze().find("x").shape == (0, 2)


def test_stars_are_solid():
    assert small_maze().solid.tolist() == [[c == "*" for c in line] for line in TEXT[::-1]]


@pytest.mark.parametrize("level", MAZES)
@pytest.mark.parametrize("trace", ["seed7001_uniform", "seed7003_sticky"])
def test_all_recorded_positions_lie_in_open_cells_of_their_seeds_maze(level, trace):
    recorded = np.load(DATA / f"{level}_{trace}.npz")
    maze = random_maze(level, lab_seed(int(recorded["seed"])))
    assert len(recorded["pos"]) > 900
    columns, rows = (recorded["pos"][:, :2] // 100).astype(int).T
    assert not maze.solid[rows, columns].any()
    assert recorded["pos"][0, :2].tolist() in maze.find("P").tolist()
    other = random_maze(level, 1)
    assert other.solid[rows, columns].any()


def test_corridors_have_the_first_floor_and_wall_and_rooms_one_each():
    maze = small_maze()
    rooms = set()
    for seed in range(120):
        look = decorate(maze, MersenneTwister(seed))
        assert (look.wall_texture[maze.solid] == NONE).all()
        assert (look.floor_texture[maze.solid] == NONE).all()
        corridor = ~maze.solid & (maze.letters == ".")
        assert (look.wall_texture[corridor] == WALL).all()
        assert (look.floor_texture[corridor] == FLOOR).all()
        for letter in "AB":
            walls, floors = (
                np.unique(ids[~maze.solid & (maze.letters == letter)])
                for ids in (look.wall_texture, look.floor_texture)
            )
            rooms.add((*walls.tolist(), *floors.tolist()))
    assert all(len(room) == 2 for room in rooms)
    assert {room[0] - WALL for room in rooms} == set(range(20))
    assert {room[1] - FLOOR for room in rooms} == set(range(20))


def faces_of(maze):
    """Wall faces as the point in their middle and the direction that they face."""
    solid = maze.solid
    return [
        ((100 * c + 50 + 50 * dx, 100 * r + 50 + 50 * dy), (-dx, -dy))
        for r, c in np.argwhere(~solid)
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
        if solid[r + dy, c + dx]
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pictures_hang_on_distinct_walls_just_before_them(seed):
    maze = random_maze("explore_goal_locations_small", seed)
    look = decorate(maze, MersenneTwister(seed))
    faces = faces_of(maze)
    count = int(0.5 + 0.1 * len(faces))
    hung = look.decal_texture[look.decal_texture != NONE]
    assert len(hung) == len(set(hung.tolist())) == count > 3
    assert hung.min() >= DECAL
    assert hung.max() < SKY
    places = set()
    for x0, y0, x1, y1, z0, z1, *texture in look.decals[:count].tolist():
        assert (z0, z1) == (34, 66)
        assert texture == [0, 1, 0, 1]
        assert np.hypot(x1 - x0, y1 - y0) == 32
        # Someone before the wall sees point 0 on the left.
        normal = ((y1 - y0) / 32, (x0 - x1) / 32)
        places.add((((x0 + x1) / 2 - 2 * normal[0], (y0 + y1) / 2 - 2 * normal[1]), normal))
    assert places <= set(faces)
    assert len(places) == count


def test_no_maze_has_more_pictures_than_there_is_room_for():
    counts = [
        len(faces_of(random_maze("explore_goal_locations_small", seed))) for seed in range(1, 200)
    ]
    assert int(0.5 + 0.1 * max(counts)) < MAX_DECALS
    # The same statistic of 2,000 mazes of DeepMind Lab's generator: 7.3.
    assert np.mean([int(0.5 + 0.1 * n) for n in counts]) == pytest.approx(7.3, abs=0.2)


def test_the_recorded_maze_looks_as_recorded():
    """Seed 7003: orange walls with rings, a blue floor and where two pictures hang."""
    seed = lab_seed(7003)
    look = decorate(random_maze("explore_goal_locations_small", seed), MersenneTwister(seed))
    assert look.wall_texture[8, 5] - WALL == 8  # style_03 orange
    assert look.floor_texture[8, 5] - FLOOR == 2  # style_01 blue
    shown = look.decals[:8, :4].tolist()
    assert [566.0, 702.0, 534.0, 702.0] in shown  # in the frame of step 0
    assert [998.0, 366.0, 998.0, 334.0] in shown  # in that of step 200


def test_a_maze_goes_to_its_environment_only_and_all_of_it_is_state():
    scene, solids = empty_scene(blank_pack(), 3, 11, num_things=2), maze_solids(3, 11, num_boxes=5)
    before = {name: array.copy() for name, array in maze_state(scene, solids).items()}
    maze = random_maze("explore_goal_locations_small", 5)
    look = decorate(maze, MersenneTwister(5))
    show_maze(scene, solids, 1, maze, look)
    for name, array in maze_state(scene, solids).items():
        assert (array[[0, 2]] == before[name][[0, 2]]).all()
        assert (array[1] != before[name][1]).any()
    assert (solids.cells[1] == maze.solid).all()
    assert (scene.solid[1] == maze.solid).all()
    assert (scene.segment_texture[1] == look.decal_texture).all()
    assert (scene.floor_z == 1).all()
    assert scene.wall_z.tolist() == [[1, 100]] * 3
    assert scene.things.shape == (3, 2, 6)
    assert solids.boxes.shape == (3, 5, 4)
    assert (solids.boxes[..., 2] < 0).all()


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [(150, 350, True), (117, 350, True), (115, 350, False), (383, 350, True), (385, 350, False),
     (350, 299, True), (250, 299, False), (250, 317, True), (250, 315, False), (-5, 350, False),
     (350, 900, False), (1e6, 1e6, False), (116, 350, False), (116.1, 350, True)],
)  # fmt: skip
def test_players_stand_in_open_cells_16_units_from_their_walls(x, y, expected):
    scene, solids = empty_scene(blank_pack(), 1, 7, 0), maze_solids(1, 7, 0)
    solids.cells[0] = True
    solids.cells[0, :5] = small_maze().solid
    assert scene.solid.shape == (1, 7, 7)
    assert clear_of_cells(solids, 0, x, y) == expected


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [(315.1, 315.1, True), (315.9, 315.9, True), (315, 315.1, False), (315.1, 315, False),
     (315.9, 314.9, False), (316.1, 314.9, True), (314.9, 315.9, False), (314.9, 316.1, True)],
)  # fmt: skip
def test_the_notch_between_two_walls_of_a_corner_is_open(x, y, expected):
    solids = maze_solids(1, 5, 0)
    solids.cells[0, 3], solids.cells[0, :, 3] = False, False  # the corner is at (300, 300)
    assert clear_of_cells(solids, 0, x, y) == expected


def test_pictures_come_in_the_order_of_their_ids():
    pictures = maze_pictures()
    assert len(pictures) == FIRST_FREE_TEXTURE
    assert {p.shape for p in pictures[FLOOR:WALL]} == {(128, 128, 4)}
    assert {p.shape for p in pictures[WALL:DECAL]} == {(256, 256, 4)}
    assert (WALL - FLOOR, DECAL - WALL, SKY - DECAL) == (20, 20, 80)
    assert maze_pictures() is pictures
