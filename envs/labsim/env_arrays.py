"""A batch of environments as compiled code sees it, and what a step does to a part of it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.labsim.level import Level, advance
from envs.labsim.raycaster import render_slice
from envs.labsim.scene import Scene
from envs.labsim.world import StepOut, kernel, place_cameras


class EnvArrays(NamedTuple):
    """The arrays of B environments; what stays of one step is overwritten by the next."""

    marker: NDArray  # the level's, which tells `level.advance` whose rules these are
    rules: Any  # the level's: a named tuple of arrays
    players: NDArray  # [B] of dtype PLAYER
    scene: Scene
    actions: NDArray[np.int64]  # [B, 4] see `Level.step`
    out: StepOut
    camera: NDArray[np.float64]  # [B, 4] the eyes' x, y, z and yaw in degrees, as last drawn
    engine_ms: NDArray[np.int64]  # [B] the clocks, as last drawn

    @classmethod
    def of(cls, level: Level) -> "EnvArrays":
        """All environments of a level."""
        num_envs = len(level.players)
        return cls(
            marker=level.marker,
            rules=level.rules,
            players=level.players,
            scene=level.scene,
            actions=np.zeros((num_envs, 4), np.int64),
            out=StepOut.allocate(num_envs),
            camera=np.zeros((num_envs, 4)),
            engine_ms=np.zeros(num_envs, np.int64),
        )


@kernel
def step_and_draw(arrays, num_frames, obs, start, stop):  # type: ignore[no-untyped-def]
    """Advance environments start .. stop - 1 by some frames, or none, and draw what they see then.

    obs: u8 [B, H, W, 3].
    """
    if num_frames > 0:
        advance(arrays.marker, arrays.rules, arrays.actions, arrays.out, start, stop, num_frames)
    place_cameras(arrays.players, arrays.camera, arrays.engine_ms, start, stop)
    render_slice(arrays.scene, arrays.camera, arrays.engine_ms, obs, start, stop)
