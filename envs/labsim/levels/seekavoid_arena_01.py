"""seekavoid_arena_01: take apples, +1 each, and avoid lemons, -1 each, for 20 seconds.

Rules of DeepMind Lab (commit b1db91a, `seek_avoid_factory.lua` and `seekavoid_arena_01.map`).
Taken items stay away until the last of the 15 apples is taken: then the map is loaded again, with
all items back and the player at the only spawn point. Nothing but his heading is random.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.config import LEVEL_STEPS
from envs.frame_rate import FRAMES_PER_STEP
from envs.labsim.collision import CLEARANCE, Solids, before_walls, wall_planes
from envs.labsim.items import SPIN_MS, float_thing, touches_item
from envs.labsim.level import Level, advances, fields_by_name
from envs.labsim.levels.seekavoid_arena_01_scene import (
    APPLES,
    ITEM_MODELS,
    ITEM_TEXTURE,
    ITEM_Z,
    ITEMS,
    WALL_SEGMENTS,
    build_scene,
)
from envs.labsim.physics import move, scratch, turn
from envs.labsim.scene import NONE
from envs.labsim.world import (
    FEET,
    PLAYER,
    kernel,
    load_clocks,
    pass_frame,
    start_clocks,
    uniform,
)

EPISODE_STEPS = LEVEL_STEPS["seekavoid_arena_01"]
SPAWN = (192.0, -128.0)
STANDING_Z = FEET + CLEARANCE  # the floor is at 0
APPLE_REWARD, LEMON_REWARD = 1.0, -1.0
NUM_APPLES = len(APPLES)
APPLE, LEMON = 0, 1  # which kind an item is: apples come first
FOOT = np.array([ITEM_Z + model.foot for model in ITEM_MODELS])  # of each kind's picture
HEIGHT = np.array([model.height for model in ITEM_MODELS])

# Of a map just loaded, see `load_clocks`: with them, recorded frames are as long as they were.
CLOCKS = (28, 18)

# What the level remembers besides the player, one record per environment.
ARENA = np.dtype(
    [
        ("apples_left", np.int64),  # until the map is loaded again
        ("unpaid", np.float64),  # reward that arrives with the next frame
        ("reloading", np.bool_),  # the map is loaded again in the next frame
    ]
)


class Rules(NamedTuple):
    """What a step reads and writes."""

    players: NDArray  # [B] of dtype PLAYER
    arenas: NDArray  # [B] of dtype ARENA
    present: NDArray[np.bool_]  # [B, items]
    solids: Solids
    things: NDArray[np.float32]  # [B, items, 6] the scene's, as the next
    textures: NDArray[np.int32]  # [B, items]


class SeekavoidArena01(Level):
    """The rules of seekavoid_arena_01 for a batch of environments."""

    episode_steps = EPISODE_STEPS
    clocks = CLOCKS
    standing_z = STANDING_Z

    def __init__(self, num_envs: int) -> None:
        self.players = np.zeros(num_envs, PLAYER)
        self.arenas = np.zeros(num_envs, ARENA)
        self.present = np.zeros((num_envs, len(ITEMS)), np.bool_)  # items not yet taken
        self.scene = build_scene(num_envs)
        self.solids = Solids(
            walls=np.tile(wall_planes(WALL_SEGMENTS), (num_envs, 1, 1)),
            cells=np.zeros((num_envs, 1, 1), np.bool_),
            grid=np.tile((-1000.0, -1000.0, 2000.0), (num_envs, 1)),
            boxes=np.empty((num_envs, 0, 4)),
        )
        self.rules = Rules(
            self.players,
            self.arenas,
            self.present,
            self.solids,
            self.scene.things,
            self.scene.thing_texture,
        )

    def begin(self, i: int, length_steps: int = EPISODE_STEPS) -> None:
        """Begin an episode of environment i: all items, the player at the spawn point."""
        self.restart_clock(i)
        self.players["last_frame"][i] = length_steps * FRAMES_PER_STEP
        start_clocks(self.players[i], CLOCKS)
        _load_map(self.players[i], self.arenas[i], self.present[i])
        self._update_scene(i)

    def restart_clock(self, i: int) -> None:
        """Let the episode of environment i begin now, at its full length; forget what is due."""
        super().restart_clock(i)
        arena = self.arenas[i]
        arena["unpaid"] = 0.0
        if arena["reloading"]:
            self.present[i] = True
            arena["apples_left"], arena["reloading"] = NUM_APPLES, False
            self._update_scene(i)

    def is_open(self, i: int, x: float, y: float) -> bool:
        """Whether a player may stand at (x, y) in environment i."""
        return before_walls(self.solids, i, x, y)

    def state(self) -> dict[str, NDArray]:
        """Every array that changes while the level runs, by name."""
        own = fields_by_name(player=self.players, arena=self.arenas)
        own |= {"present": self.present, "scene.things": self.scene.things}
        return own | {"scene.thing_texture": self.scene.thing_texture}

    def _update_scene(self, i: int) -> None:
        _draw_items(
            self.players[i], self.present[i], self.scene.things, self.scene.thing_texture, i
        )


@kernel
def _load_map(player, arena, present):  # type: ignore[no-untyped-def]
    """(Re)load: all items return, the player spawns with a random heading."""
    player.x, player.y, player.z = SPAWN[0], SPAWN[1], STANDING_Z
    player.vx, player.vy, player.vz = 0.0, 0.0, 0.0
    player.yaw = 360.0 * uniform(player)
    player.floor = 0.0
    player.trial_start = player.frame
    present[:] = True
    arena.apples_left = NUM_APPLES
    arena.reloading = False


@kernel
def _step_slice(rules, actions, out, start, stop, num_frames):  # type: ignore[no-untyped-def]
    """Advance some environments by `num_frames` frames."""
    players, arenas, present, solids, things, textures = rules
    planes = scratch()
    for i in range(start, stop):
        player, arena = players[i], arenas[i]
        reward = 0.0
        for _ in range(num_frames):
            if player.frame == player.last_frame:
                break
            player.frame += 1
            reward += arena.unpaid  # rewards arrive one frame late
            arena.unpaid = 0.0
            if arena.reloading:
                load_clocks(player, CLOCKS)
                _load_map(player, arena, present[i])
            else:
                ms, _ = pass_frame(player)
                # Recorded rewards come one or two frames after a touch; two fits every one.
                _take_items(player, arena, present[i])
                turn(player, actions[i, 0])
                move(player, solids, i, actions[i, 2], actions[i, 1], ms, planes)
            if player.frame == player.last_frame:
                # One more engine frame collects what the last one earned.
                reward += arena.unpaid
                arena.unpaid = 0.0
        out.reward[i] = reward
        out.terminated[i] = False
        out.truncated[i] = player.frame == player.last_frame
        out.success_seconds[i] = np.nan
        _draw_items(player, present[i], things, textures, i)


@kernel
def _take_items(player, arena, present):  # type: ignore[no-untyped-def]
    """Take every item that the player touches; the last apple has the map loaded again."""
    for k in range(len(ITEMS)):
        if not present[k] or not touches_item(player, ITEMS[k, 0], ITEMS[k, 1], ITEM_Z):
            continue
        present[k] = False
        if k >= NUM_APPLES:
            arena.unpaid += LEMON_REWARD
            continue
        arena.unpaid += APPLE_REWARD
        arena.apples_left -= 1
        arena.reloading = arena.apples_left == 0


@kernel
def _draw_items(player, present, things, textures, i):  # type: ignore[no-untyped-def]
    """Show the items of scene i that are left, bobbing with the engine's clock."""
    for k in range(len(ITEMS)):
        kind = APPLE if k < NUM_APPLES else LEMON
        textures[i, k] = ITEM_TEXTURE + kind if present[k] else NONE
        float_thing(things, i, k, FOOT[kind], HEIGHT[kind], player.engine_ms, SPIN_MS)


advances(SeekavoidArena01, _step_slice)
