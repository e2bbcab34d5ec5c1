"""One labsim level drawn by Farama's MiniWorld, behind Gymnasium's interface."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from envs.config import HEIGHT, WIDTH, canonical_level
from envs.labsim.single_env import LabsimEnv
from envs.labsim.vector_env import LabsimVectorEnv
from envs.labsim.world import place_cameras
from envs.miniworld.headless import load_opengl

if TYPE_CHECKING:
    from envs.miniworld.world import World


class MiniworldVectorEnv(LabsimVectorEnv):
    """A `LabsimVectorEnv` of one environment whose pictures are MiniWorld's.

    Physics, rules, seeds, options and poses are labsim's own. Raises ValueError as that does, for
    more than one environment, and if MiniWorld or OpenGL is missing.
    """

    def __init__(self, level: str, num_envs: int = 1, *, render_mode: str | None = None) -> None:
        if num_envs != 1:
            raise ValueError(f"num_envs is {num_envs}: MiniWorld runs one environment a process")
        super().__init__(level, 1, render_mode=render_mode)
        load_opengl()
        self._name = canonical_level(level)
        self._world: World | None = None  # built when there is something to see

    def depths(self) -> NDArray[np.float32]:
        """How far away what the player sees is along the view: f32 [72, 96], units.

        Where there is nothing but sky, MiniWorld says 100 m, which are 5000 units.
        """
        return self._drawn_world().depths(self.camera())

    def camera(self) -> NDArray[np.float64]:
        """The eye's x, y, z and yaw in degrees, as of the latest picture: [4]."""
        return self._arrays.camera[0].copy()

    def close_extras(self, **kwargs: Any) -> None:
        """Give the OpenGL context back."""
        super().close_extras(**kwargs)
        if self._world is not None:
            self._world.close()

    def _run(self, num_frames: int, obs: NDArray[np.uint8]) -> None:
        arrays = self._arrays
        if num_frames > 0:  # the team would draw, too
            self.level.step(arrays.actions, arrays.out, 0, 1, num_frames)
        self._draw(obs, 0)

    def _draw(self, obs: NDArray[np.uint8], i: int) -> None:
        arrays = self._arrays
        place_cameras(arrays.players, arrays.camera, arrays.engine_ms, i, i + 1)
        obs[i] = self._drawn_world().draw(arrays.camera[i], int(arrays.engine_ms[i]))

    def _drawn_world(self) -> "World":
        if self._world is None:
            from envs.miniworld.world import World  # needs OpenGL as soon as it is imported

            self._world = World(self._name, self.level.scene, HEIGHT, WIDTH)
        return self._world


class MiniworldEnv(LabsimEnv):
    """A level of labsim that MiniWorld draws: equal seeds and actions give labsim's episodes."""

    _vector_env: MiniworldVectorEnv

    def __init__(self, level: str, render_mode: str | None = None) -> None:
        super().__init__(level, render_mode, MiniworldVectorEnv)
        self.episode_steps = self._vector_env.level.episode_steps  # agent steps of a whole episode
