"""The state of a batch of worlds: players, clocks and random streams.

Every array has a leading batch axis B, so that kernels step any slice of the batch. Units are
DeepMind Lab's: 32 world units are one metre, z is up, yaw is in degrees counter-clockwise from +x,
and one environment frame is 16 ms of engine time although 60 of them count as a nominal second.
Players move by their own clock, whose frames last 17 or 14 ms; see `pass_frame`.
"""

from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

FRAME_MS = 16  # engine time of one environment frame
SERVER_FRAME_MS = 50  # movers, timers and triggers run on these (sv_fps 20)
LONG_FRAME_MS, SHORT_FRAME_MS = 17, 14  # of a player's clock, which is to stay ..
SAFETY_MS = 5  # .. this far behind the last server frame
CLOCK_FRAMES = 75  # after which clocks repeat: 1200 ms
OTHER_STARTS = 1.0 / 9.0  # of 18 recordings, two begin at another point of their clocks' course

HALF_WIDTH = 15.0  # the player's box is 30 x 30 units
FEET = 24.0  # the player's origin is this far above his feet
EYE = 26.0  # and this far below his eyes


# One record per environment. Kernels pass single records around: a tuple of arrays would cost
# Numba hundreds of nanoseconds a call in reference counts.
PLAYER = np.dtype(
    [
        ("x", np.float64),  # the player's origin, 24 units above his feet
        ("y", np.float64),
        ("z", np.float64),
        ("vx", np.float64),  # units per engine second, world frame, whole numbers
        ("vy", np.float64),
        ("vz", np.float64),
        ("yaw", np.float64),  # where the mouse points, in [0, 360); see `short_angle`
        ("floor", np.float64),  # height of what is under the player's feet
        ("engine_ms", np.int64),  # engine time since the map was loaded
        ("server_ms", np.int64),  # time of the last server frame since the map was loaded
        ("server_debt", np.int64),  # engine time not yet used up by server frames
        ("lag_ms", np.int64),  # how far the player's clock is behind the engine's
        ("frame", np.int64),  # frames since the episode began
        ("last_frame", np.int64),  # the episode is cut after this many frames
        ("trial_start", np.int64),  # frame in which the player (re)spawned
        ("rng", np.uint64),  # state of the environment's own random stream
    ]
)


# Division by zero gives infinity instead of an exception, whose checks would be slow.
kernel = njit(cache=True, nogil=True, error_model="numpy")


class StepOut(NamedTuple):
    """What a step writes, one entry per environment."""

    reward: NDArray[np.float32]  # [B]
    terminated: NDArray[np.bool_]  # [B] the level's rules ended the episode
    truncated: NDArray[np.bool_]  # [B] the episode's time is over
    success_seconds: NDArray[np.float32]  # [B] nominal seconds from spawn to success, or NaN

    @classmethod
    def allocate(cls, num_envs: int) -> Self:
        """Arrays for `num_envs` environments, yet to be filled."""
        return cls(
            reward=np.empty(num_envs, np.float32),
            terminated=np.empty(num_envs, np.bool_),
            truncated=np.empty(num_envs, np.bool_),
            success_seconds=np.empty(num_envs, np.float32),
        )


@kernel
def load_clocks(player, clocks):  # type: ignore[no-untyped-def]
    """Let the clocks begin as a map is (re)loaded; `clocks`: (server_debt, lag_ms)."""
    player.engine_ms, player.server_ms = 0, 0
    player.server_debt, player.lag_ms = clocks[0], clocks[1]


@kernel
def pass_frame(player):  # type: ignore[no-untyped-def]
    """Advance the clocks by one frame.

    Returns how many ms it lasts for what the player does, and whether the server has a frame, too.
    The player's clock follows that of Quake's client (CL_AdjustTimeDelta in `cl_cgame.c`): it
    gains 1 ms a frame, until it is close to the last server frame and loses 2 ms. That makes 17,
    17 and 14 ms in turn, now and then one 17 more or less; 75 frames are 1200 ms.
    """
    # The client judges by the server frame of which it heard one frame ago.
    known_debt = (player.server_debt - FRAME_MS) % SERVER_FRAME_MS
    late = player.lag_ms > known_debt + SAFETY_MS
    ms = LONG_FRAME_MS if late else SHORT_FRAME_MS
    player.lag_ms += FRAME_MS - ms
    player.engine_ms += FRAME_MS
    player.server_debt += FRAME_MS
    if player.server_debt < SERVER_FRAME_MS:
        return ms, False
    player.server_debt -= SERVER_FRAME_MS
    player.server_ms += SERVER_FRAME_MS
    return ms, True


@kernel
def start_clocks(player, clocks):  # type: ignore[no-untyped-def]
    """Let the clocks begin with an episode: as `load_clocks`, or now and then elsewhere.

    The player's random stream decides, but is not advanced.
    """
    load_clocks(player, clocks)
    draw = np.float64(mix(player.rng ^ np.uint64(0x5851F42D4C957F2D)) >> np.uint64(11)) * 2.0**-53
    if draw < OTHER_STARTS:
        shift_clocks(player, int(CLOCK_FRAMES * draw / OTHER_STARTS))


@kernel
def shift_clocks(player, frames):  # type: ignore[no-untyped-def]
    """Let clocks that have just begun begin so many frames further on."""
    for _ in range(frames):
        pass_frame(player)
    player.engine_ms, player.server_ms = 0, 0


@kernel
def random_seed(seed):  # type: ignore[no-untyped-def]
    """Give the start of the random stream that belongs to a seed (uint64)."""
    # Neighbouring seeds are spread out, so that their streams do not overlap.
    return mix(seed + np.uint64(0x632BE59BD9B4E019))


@kernel
def mix(z):  # type: ignore[no-untyped-def]
    """Scramble 64 bits: the output function of SplitMix64 (Steele, Lea and Flood 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def uniform(player):  # type: ignore[no-untyped-def]
    """Draw from [0, 1) and advance the stream of a player's environment."""
    player.rng += np.uint64(0x9E3779B97F4A7C15)
    return np.float64(mix(player.rng) >> np.uint64(11)) * 2.0**-53


@kernel
def short_angle(yaw):  # type: ignore[no-untyped-def]
    """Round an angle down to a multiple of 360 / 65536 degrees, as player commands carry it."""
    # The small term keeps an angle that already is such a multiple from losing one unit.
    return np.floor(yaw * (65536.0 / 360.0) + 1e-6) * (360.0 / 65536.0)


@kernel
def place_cameras(players, camera, engine_ms, start, stop):  # type: ignore[no-untyped-def]
    """Write, for some environments, what the renderer needs.

    That is the eyes' x, y, z and yaw in degrees (camera, f64 [B, 4]) and the clock (i64 [B]).
    """
    for i in range(start, stop):
        player = players[i]
        engine_ms[i] = player.engine_ms
        camera[i, 0], camera[i, 1], camera[i, 2] = player.x, player.y, player.z + EYE
        camera[i, 3] = short_angle(player.yaw)
