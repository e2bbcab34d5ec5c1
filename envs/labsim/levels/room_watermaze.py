"""room_watermaze: find a hidden platform, stand on it for five rewards, be put elsewhere, repeat.

Rules of DeepMind Lab's `rooms_watermaze` (commit b1db91a, `navigate_watermaze_factory.lua` and
`em_watermaze.map`). The platform's place is drawn once an episode; after each visit the map is
loaded again and the player starts from a random spawn point. An episode lasts 120 s.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.config import LEVEL_STEPS
from envs.frame_rate import FRAMES_PER_SECOND, FRAMES_PER_STEP
from envs.labsim.collision import CLEARANCE, Solids, before_walls, wall_planes
from envs.labsim.level import Level, advances, fields_by_name, put_player
from envs.labsim.levels.room_watermaze_platform import (
    PLATFORM,
    UNTOUCHED,
    draw,
    hide,
    server_frame,
    touches,
)
from envs.labsim.levels.room_watermaze_scene import WATER_Z, build_scene
from envs.labsim.physics import move, scratch, turn
from envs.labsim.world import (
    FEET,
    PLAYER,
    kernel,
    load_clocks,
    pass_frame,
    start_clocks,
    uniform,
)

EPISODE_STEPS = LEVEL_STEPS["room_watermaze"]

# Distances of the 16 walls from the centre, at 0, 22.5, 45, 67.5 degrees, and so on. Fitted to
# where recorded players slide along them: the map's planes run through whole-numbered points.
# The panels on the walls are not solid; recorded players walk through them.
WALL_DISTANCES = (760.0, 760.84, 759.43, 760.84)
SPAWNS = np.array(
    [
        (-488.0, 488.0),
        (-728.0, 0.0),
        (-496.0, -496.0),
        (0.0, -712.0),
        (504.0, -504.0),
        (712.0, 0.0),
        (504.0, 504.0),
        (0.0, 720.0),
    ]
)
SPAWN_Z = 25.0  # inside the water: the first frame of movement lifts the player out
STANDING_Z = WATER_Z + FEET + CLEARANCE  # of a player on the water
PLATFORM_RADIUS = 580.0  # of the disc over which its centre is uniform

# Of a map just (re)loaded, see `load_clocks`: with them, recorded frames are as long as they were.
CLOCKS = (12, 49)
RELOAD_CLOCKS = (12, 77)


class Rules(NamedTuple):
    """What a step reads and writes."""

    players: NDArray  # [B] of dtype PLAYER
    platforms: NDArray  # [B] of dtype PLATFORM
    solids: Solids
    drawn: NDArray[np.float32]  # [B, 3] the scene's platform


class RoomWatermaze(Level):
    """The rules of room_watermaze for a batch of environments."""

    episode_steps = EPISODE_STEPS
    clocks = CLOCKS
    standing_z = STANDING_Z

    def __init__(self, num_envs: int) -> None:
        self.players = np.zeros(num_envs, PLAYER)
        self.platforms = np.zeros(num_envs, PLATFORM)
        self.scene = build_scene(num_envs)
        self.solids = Solids(
            walls=np.tile(_room_walls(), (num_envs, 1, 1)),
            cells=np.zeros((num_envs, 1, 1), np.bool_),
            grid=np.tile((-1000.0, -1000.0, 2000.0), (num_envs, 1)),
            boxes=np.empty((num_envs, 0, 4)),
        )
        self.rules = Rules(self.players, self.platforms, self.solids, self.scene.platform)

    def begin(self, i: int, length_steps: int = EPISODE_STEPS) -> None:
        """Begin an episode of environment i: a new platform, a random spawn point."""
        _begin(self.players[i], self.platforms[i], length_steps * FRAMES_PER_STEP)
        self._update_scene(i)

    def place(self, i: int, pose: NDArray[np.float64], velocity: NDArray[np.float64]) -> None:
        """Put player i at pose (x, y, yaw in degrees) with a world-frame velocity (x, y).

        A visit to the platform goes on if he still touches it; otherwise the platform goes down.
        """
        player = self.players[i]
        put_player(player, pose, velocity, player["z"])
        if not touches(player, self.platforms[i]):
            self.place_target(i, self.target(i))
        if self.platforms["touched_ms"][i] == UNTOUCHED:
            player["z"] = STANDING_Z

    def place_target(self, i: int, target: NDArray[np.float64]) -> None:
        """Put a hidden, untouched platform at target (x, y)."""
        self.platforms["x"][i], self.platforms["y"][i] = target
        hide(self.players[i], self.platforms[i])
        self._update_scene(i)

    def restart_clock(self, i: int) -> None:
        """Let the episode of environment i begin now, at its full length; forget what is due."""
        super().restart_clock(i)
        self.platforms["unpaid"][i] = 0.0
        if self.platforms["reloading"][i]:
            self.place_target(i, self.target(i))

    def target(self, i: int) -> NDArray[np.float64]:
        """Centre of the platform of environment i, [2]."""
        return np.array([self.platforms["x"][i], self.platforms["y"][i]])

    def is_open(self, i: int, x: float, y: float) -> bool:
        """Whether a player may stand at (x, y) in environment i."""
        return before_walls(self.solids, i, x, y)

    def state(self) -> dict[str, NDArray]:
        """Every array that changes while the level runs, by name."""
        own = fields_by_name(player=self.players, platform=self.platforms)
        return own | {"scene.platform": self.scene.platform}

    def _update_scene(self, i: int) -> None:
        draw(self.platforms[i], self.scene.platform, i)


def _room_walls() -> NDArray[np.float64]:
    """Planes of the 16-gon's walls, [16, 5]; see `wall_planes`."""
    angles = np.radians(22.5 * np.arange(16))
    normals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    distances = np.tile(WALL_DISTANCES, 4)
    corners = [
        np.linalg.solve(normals[[k - 1, k]], distances[[k - 1, k]]) for k in range(16)
    ]  # corner k is where walls k - 1 and k meet
    # Seen from the centre, the corner with the larger bearing is on the left.
    return wall_planes([(*corners[(k + 1) % 16], *corners[k]) for k in range(16)])


@kernel
def _begin(player, platform, length_frames):  # type: ignore[no-untyped-def]
    """Draw the platform's place, uniform over a disc, and spawn the player."""
    angle = 2.0 * np.pi * uniform(player)
    radius = PLATFORM_RADIUS * np.sqrt(uniform(player))
    platform.x = radius * np.cos(angle)
    platform.y = radius * np.sin(angle)
    platform.unpaid = 0.0
    player.frame = 0
    player.last_frame = length_frames
    start_clocks(player, CLOCKS)
    _load_map(player, platform)
    player.z = STANDING_Z  # the real level has run for a moment before the first observation


@kernel
def _load_map(player, platform):  # type: ignore[no-untyped-def]
    """(Re)load: the platform goes down, the player spawns with a random heading."""
    spawn = int(uniform(player) * len(SPAWNS))
    player.x, player.y, player.z = SPAWNS[spawn, 0], SPAWNS[spawn, 1], SPAWN_Z
    player.vx, player.vy, player.vz = 0.0, 0.0, 0.0
    player.yaw = 360.0 * uniform(player)
    player.trial_start = player.frame
    hide(player, platform)


@kernel
def _step_slice(rules, actions, out, start, stop, num_frames):  # type: ignore[no-untyped-def]
    """Advance some environments by `num_frames` frames."""
    players, platforms, solids, drawn = rules
    planes = scratch()
    for i in range(start, stop):
        player, platform = players[i], platforms[i]
        reward, success = 0.0, np.nan
        for _ in range(num_frames):
            if player.frame == player.last_frame:
                break
            paid = platform.unpaid  # rewards arrive one frame late
            platform.unpaid = 0.0
            player.frame += 1
            if platform.reloading:
                load_clocks(player, RELOAD_CLOCKS)
                _load_map(player, platform)
            else:
                ms, server_runs = pass_frame(player)
                if server_runs and platform.touched_ms != UNTOUCHED:
                    server_frame(player, platform)
                turn(player, actions[i, 0])
                move(player, solids, i, actions[i, 2], actions[i, 1], ms, planes)
                if platform.touched_ms == UNTOUCHED and touches(player, platform):
                    platform.touched_ms = player.server_ms
            if player.frame == player.last_frame:
                # One more engine frame collects what the last one earned.
                paid += platform.unpaid
                platform.unpaid = 0.0
            if paid > 0.0 and platform.payments == 1:
                success = (player.frame - player.trial_start) / FRAMES_PER_SECOND
            reward += paid
        out.reward[i] = reward
        out.terminated[i] = False
        out.truncated[i] = player.frame == player.last_frame
        out.success_seconds[i] = success
        draw(platform, drawn, i)


advances(RoomWatermaze, _step_slice)
