"""explore_goal_locations_small: find the goal in a maze, +10, be put elsewhere, find it again.

Rules of DeepMind Lab (commit b1db91a, `factories/explore/goal_locations_factory.lua`). Maze, looks
and the goal's place are drawn once an episode, from one seed; each time the goal is touched the
map is loaded again and the player starts from a random spawn cell. An episode lasts 90 s.
"""

from typing import NamedTuple

import labmaze
import numpy as np
from numpy.typing import NDArray

from envs.config import LEVEL_STEPS
from envs.frame_rate import FRAMES_PER_SECOND, FRAMES_PER_STEP
from envs.labsim.collision import Solids
from envs.labsim.items import SPIN_MS, float_thing, touches_item
from envs.labsim.level import Level, advances, fields_by_name
from envs.labsim.levels.explore_goal_locations_small_scene import (
    GOAL_FOOT,
    GOAL_HEIGHT,
    GOAL_Z,
    SIDE,
    build_scene,
)
from envs.labsim.maps import MapMaker, draw_lab_seed, lab_seed
from envs.labsim.mersenne_twister import MersenneTwister
from envs.labsim.physics import move, scratch, turn
from envs.labsim.scene import THING_X, THING_Y
from envs.labsim.text_maze import (
    FLOOR_Z,
    STANDING_Z,
    Look,
    TextMaze,
    decorate,
    maze_solids,
    maze_state,
    read_maze,
    show_maze,
)
from envs.labsim.world import (
    PLAYER,
    kernel,
    load_clocks,
    pass_frame,
    start_clocks,
    uniform,
)

EPISODE_STEPS = LEVEL_STEPS["explore_goal_locations_small"]
GOAL_REWARD = 10.0
MAX_ROOMS = 4
ROOM_SIZES = (3, 5)  # smallest and largest side
SPAWNS_PER_ROOM, GOALS_PER_ROOM = 5, 4  # cells marked in each room; one holds the goal
MAX_SPAWNS = MAX_ROOMS * SPAWNS_PER_ROOM

# Frames that begin with the one after the touch and in which nobody moves: in a recording, the
# player has made one frame of movement at the end of the step in whose first frame he touched.
RELOAD_FRAMES = 2
# See `load_clocks`: with these, recorded frames are as long as they were.
CLOCKS = (12, 49)
RELOAD_CLOCKS = (10, 76)

# What the level remembers besides the player, one record per environment.
MAZE = np.dtype(
    [
        ("goal_x", np.float64),
        ("goal_y", np.float64),
        ("num_spawns", np.int64),
        ("unpaid", np.float64),  # reward that arrives with the next frame
        ("reload_frames", np.int64),  # left until the player can move again
        ("next_seed", np.int64),  # of the next episode's map: a level script's seed
    ]
)


class Map(NamedTuple):
    """What stays the same for an episode."""

    maze: TextMaze
    look: Look
    goal: NDArray[np.float64]  # [2] world x, y
    spawns: NDArray[np.float64]  # [n, 2]


def make_map(seed: int) -> Map:
    """Make the map that DeepMind Lab makes of a level script's seed."""
    low, high = ROOM_SIZES
    maze = read_maze(
        labmaze.RandomMaze(
            height=SIDE,
            width=SIDE,
            max_rooms=MAX_ROOMS,
            room_min_size=low,
            room_max_size=high,
            extra_connection_probability=0.0,
            max_variations=1,
            spawns_per_room=SPAWNS_PER_ROOM,
            objects_per_room=GOALS_PER_ROOM,
            random_seed=seed,
        )
    )
    goals = maze.find("G")
    goal = goals[MersenneTwister(seed).integer(0, len(goals) - 1)]
    return Map(maze, decorate(maze, MersenneTwister(seed)), goal, maze.find("P"))


class Rules(NamedTuple):
    """What a step reads and writes."""

    players: NDArray  # [B] of dtype PLAYER
    mazes: NDArray  # [B] of dtype MAZE
    spawns: NDArray[np.float64]  # [B, MAX_SPAWNS, 2]
    solids: Solids
    things: NDArray[np.float32]  # [B, 1, 6] the scene's


class ExploreGoalLocationsSmall(Level):
    """The rules of explore_goal_locations_small for a batch of environments."""

    episode_steps = EPISODE_STEPS
    clocks = CLOCKS
    standing_z = STANDING_Z

    def __init__(self, num_envs: int) -> None:
        self.players = np.zeros(num_envs, PLAYER)
        self.mazes = np.zeros(num_envs, MAZE)
        self.spawns = np.zeros((num_envs, MAX_SPAWNS, 2))  # the first num_spawns are used
        self.scene = build_scene(num_envs)
        self.solids = maze_solids(num_envs, SIDE, num_boxes=0)
        self.rules = Rules(self.players, self.mazes, self.spawns, self.solids, self.scene.things)
        self._maps = MapMaker(make_map, num_envs)

    def seed(self, i: int, seed: int) -> None:
        """Start the random stream of environment i; seeds are in 0 .. 2^64 - 1.

        The first map is the one that DeepMind Lab makes of this seed.
        """
        super().seed(i, seed)
        self.mazes["next_seed"][i] = lab_seed(seed)

    def begin(self, i: int, length_steps: int = EPISODE_STEPS) -> None:
        """Begin an episode of environment i: a new map, a random spawn cell."""
        made = self._maps.take(i, int(self.mazes["next_seed"][i]))
        show_maze(self.scene, self.solids, i, made.maze, made.look)
        self.mazes["num_spawns"][i] = len(made.spawns)
        self.spawns[i, : len(made.spawns)] = made.spawns
        self.place_target(i, made.goal)
        self.restart_clock(i)
        self.players["last_frame"][i] = length_steps * FRAMES_PER_STEP
        _begin(self.players[i], self.mazes[i], self.spawns[i])
        self._maps.expect(i, int(self.mazes["next_seed"][i]))
        self._update_scene(i)

    def place_target(self, i: int, target: NDArray[np.float64]) -> None:
        """Put the goal at target (x, y)."""
        self.mazes["goal_x"][i], self.mazes["goal_y"][i] = target
        self._update_scene(i)

    def restart_clock(self, i: int) -> None:
        """Let the episode of environment i begin now, at its full length; forget a touch."""
        super().restart_clock(i)
        self.mazes["unpaid"][i] = 0.0
        self.mazes["reload_frames"][i] = 0

    def target(self, i: int) -> NDArray[np.float64]:
        """Where the goal of environment i is, [2]."""
        return np.array([self.mazes["goal_x"][i], self.mazes["goal_y"][i]])

    def index_limits(self) -> dict[str, tuple[int, int]]:
        """Lowest and highest of the numbers in `state` that lead to a place in an array."""
        return {"maze.num_spawns": (0, self.spawns.shape[1])}

    def state(self) -> dict[str, NDArray]:
        """Every array that changes while the level runs, by name."""
        own = fields_by_name(player=self.players, maze=self.mazes)
        own |= {"spawns": self.spawns, "scene.things": self.scene.things}
        return own | maze_state(self.scene, self.solids)

    def _update_scene(self, i: int) -> None:
        _draw_goal(self.players[i], self.mazes[i], self.scene.things, i)


@kernel
def _begin(player, maze, spawns):  # type: ignore[no-untyped-def]
    """Spawn the player and draw the seed of the next episode's map."""
    maze.next_seed = draw_lab_seed(player)
    start_clocks(player, CLOCKS)
    _load_map(player, maze, spawns)


@kernel
def _load_map(player, maze, spawns):  # type: ignore[no-untyped-def]
    """(Re)load: the player spawns in a random cell with a random heading."""
    spawn = int(uniform(player) * maze.num_spawns)
    player.x, player.y, player.z = spawns[spawn, 0], spawns[spawn, 1], STANDING_Z
    player.vx, player.vy, player.vz = 0.0, 0.0, 0.0
    player.yaw = 360.0 * uniform(player)
    player.floor = FLOOR_Z
    player.trial_start = player.frame


@kernel
def _step_slice(rules, actions, out, start, stop, num_frames):  # type: ignore[no-untyped-def]
    """Advance some environments by `num_frames` frames."""
    players, mazes, spawns, solids, things = rules
    planes = scratch()
    for i in range(start, stop):
        player, maze = players[i], mazes[i]
        reward, success = 0.0, np.nan
        for _ in range(num_frames):
            if player.frame == player.last_frame:
                break
            player.frame += 1
            reward += maze.unpaid  # rewards arrive one frame late
            maze.unpaid = 0.0
            if maze.reload_frames == RELOAD_FRAMES:
                load_clocks(player, RELOAD_CLOCKS)
                _load_map(player, maze, spawns[i])
            if maze.reload_frames > 0:
                maze.reload_frames -= 1
                continue
            ms, _ = pass_frame(player)
            turn(player, actions[i, 0])
            move(player, solids, i, actions[i, 2], actions[i, 1], ms, planes)
            if touches_item(player, maze.goal_x, maze.goal_y, GOAL_Z):
                maze.unpaid = GOAL_REWARD
                maze.reload_frames = RELOAD_FRAMES
                success = (player.frame - player.trial_start) / FRAMES_PER_SECOND
        if player.frame == player.last_frame:
            # One more engine frame collects what the last one earned.
            reward += maze.unpaid
            maze.unpaid = 0.0
        out.reward[i] = reward
        out.terminated[i] = False
        out.truncated[i] = player.frame == player.last_frame
        out.success_seconds[i] = success
        _draw_goal(player, maze, things, i)


@kernel
def _draw_goal(player, maze, things, i):  # type: ignore[no-untyped-def]
    """Show the goal of scene i, bobbing with the engine's clock."""
    things[i, 0, THING_X], things[i, 0, THING_Y] = maze.goal_x, maze.goal_y
    float_thing(things, i, 0, GOAL_FOOT, GOAL_HEIGHT, player.engine_ms, SPIN_MS)


advances(ExploreGoalLocationsSmall, _step_slice)
