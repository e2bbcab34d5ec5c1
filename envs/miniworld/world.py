"""A labsim scene as a world of Farama's MiniWorld, which draws what the player sees."""

import contextlib
import io
from collections.abc import Callable
from ctypes import POINTER, byref
from functools import partial
from typing import Any

import numpy as np
from miniworld.miniworld import MiniWorldEnv
from miniworld.opengl import FrameBuffer
from miniworld.params import DEFAULT_PARAMS
from numpy.typing import NDArray
from pyglet import gl

from envs.labsim.levels.seekavoid_arena_01_scene import STADIUM
from envs.labsim.raycaster import SQUARE_END, SQUARE_START
from envs.labsim.scene import NONE, Scene
from envs.labsim.textures import LOG2_SIZE, START
from envs.miniworld.appearance import Appearance, appearances
from envs.miniworld.entities import Platform, SceneEntity, Segments, Sky, Thing, Water
from envs.miniworld.meshes import compile_model
from envs.miniworld.models import models
from envs.miniworld.rooms import UNITS_PER_METRE, make_rooms, surroundings
from envs.miniworld.stock import TintedTexture, picture_texture, tinted

SAMPLES = 4  # of each pixel's colour, whose mean is shown: every OpenGL has so many
# Floors are as bright as their textures, walls a little darker, each side of the world its own.
AMBIENT, DIFFUSE = 0.7, 0.15  # OpenGL adds 0.2 of its own
LIGHT_FROM = (0.35, 0.85, 0.2)
# What a new maze changes: MiniWorld then builds its rooms again.
STATIC = ("solid", "wall_texture", "floor_texture")


class PreciseFrameBuffer(FrameBuffer):
    """A frame buffer with 24 bits of depth.

    MiniWorld's 16 cannot tell what is 3 cm apart 10 m away, and pictures hang 2 cm before walls.

    With `is_smooth`, a pixel is the mean of several samples; without, what lies at its middle.
    """

    def __init__(self, width: int, height: int, is_smooth: bool) -> None:
        super().__init__(width, height, SAMPLES)
        self._is_smooth = is_smooth
        for buffer in (self.multi_fbo, self.final_fbo):
            gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, buffer)
            own_samples = gl.GLint(0)
            gl.glGetIntegerv(gl.GL_SAMPLES, byref(own_samples))
            depth = gl.GLuint(0)
            gl.glGenRenderbuffers(1, byref(depth))
            gl.glBindRenderbuffer(gl.GL_RENDERBUFFER, depth)
            gl.glRenderbufferStorageMultisample(
                gl.GL_RENDERBUFFER, own_samples.value, gl.GL_DEPTH_COMPONENT24, width, height
            )
            gl.glFramebufferRenderbuffer(
                gl.GL_FRAMEBUFFER, gl.GL_DEPTH_ATTACHMENT, gl.GL_RENDERBUFFER, depth
            )
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, 0)

    def bind(self) -> None:
        """Draw into this from now on."""
        super().bind()
        if not self._is_smooth:
            gl.glDisable(gl.GL_MULTISAMPLE)

    def get_depth_map(self, z_near: float = 0.04, z_far: float = 1.0) -> NDArray[np.float32]:
        """Depths [H, W, 1] in metres along the view; z_far where nothing is."""
        parts = np.zeros((self.height, self.width, 1), np.float32)
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, self.final_fbo)
        gl.glReadPixels(
            0, 0, self.width, self.height, gl.GL_DEPTH_COMPONENT, gl.GL_FLOAT,
            parts.ctypes.data_as(POINTER(gl.GLfloat)),
        )  # fmt: skip
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, 0)
        depths = z_near * z_far / (z_far - parts[::-1] * np.float32(z_far - z_near))
        return np.ascontiguousarray(depths)


class World(MiniWorldEnv):
    """The first world of a scene of a level, in MiniWorld."""

    def __init__(self, level: str, scene: Scene, height: int, width: int) -> None:
        self._scene = scene
        self._aspect = height / width  # the horizontal view is 90 degrees
        self._appearances: dict[int, Appearance] = appearances(level, scene)
        self._models = models(level)
        self._pictures: dict[int, int] = {}  # OpenGL's names of labsim's own pictures
        self._lists: dict[int, int] = {}  # display lists of models
        # The first two, because MiniWorld's own environments all use list 1 of the process.
        self._static_list = int(gl.glGenLists(2)) + 1
        self._static: dict[str, NDArray[Any]] = {}
        self._drawn: list[SceneEntity] = []
        self._scenery = {STADIUM} if level == "seekavoid_arena_01" else set()
        params = DEFAULT_PARAMS.copy()
        params.set("sky_color", (scene.background[0] / 255.0).tolist())
        with contextlib.redirect_stdout(io.StringIO()):  # it prints how many samples it gets
            super().__init__(
                obs_width=width, obs_height=height, window_width=width, window_height=height,
                params=params,
            )  # fmt: skip
            self.obs_fb = PreciseFrameBuffer(width, height, is_smooth=True)
        self._depth_fb = PreciseFrameBuffer(width, height, is_smooth=False)
        gl.glEnable(gl.GL_NORMALIZE)
        gl.glClampColor(gl.GL_CLAMP_VERTEX_COLOR, gl.GL_FALSE)  # tints of dark textures are > 1

    def draw(self, camera: NDArray[np.float64], engine_ms: int) -> NDArray[np.uint8]:
        """What a camera sees, u8 [H, W, 3]; camera and clock as those of `place_cameras`."""
        self._look(camera, engine_ms)
        image = self.render_obs()
        if self._scene.square[0, 3]:
            first, last = (
                int(np.ceil(s * image.shape[1] - 0.5)) for s in (SQUARE_START, SQUARE_END)
            )
            image[first:last, first:last] = self._scene.square[0, :3]
        return image

    def depths(self, camera: NDArray[np.float64]) -> NDArray[np.float32]:
        """How far away what a camera sees is along the view, f32 [H, W], in labsim's units."""
        self._look(camera, 0)
        return self.render_depth(self._depth_fb)[..., 0] * np.float32(UNITS_PER_METRE)

    def close(self) -> None:
        """Give the OpenGL context back."""
        super().close()
        self.shadow_window.close()

    def _look(self, camera: NDArray[np.float64], engine_ms: int) -> None:
        """Put the camera where it is, in the world as it is now."""
        self.shadow_window.switch_to()
        if any(not np.array_equal(getattr(self._scene, f), a) for f, a in self._static.items()):
            self.reset()
        x, y, z, yaw = camera.tolist()
        self.agent.pos = np.array([x, 0.0, -y]) / UNITS_PER_METRE
        self.agent.cam_height = (z - float(self._scene.floor_z[0])) / UNITS_PER_METRE
        self.agent.dir = np.radians(yaw)
        for entity in self.entities:
            if isinstance(entity, Sky):
                entity.pos = self.agent.cam_pos
            if isinstance(entity, Water):
                entity.engine_ms = engine_ms

    # What MiniWorldEnv.reset calls.

    def _gen_world(self) -> None:
        """Build rooms from the scene; entities, which read it themselves, are built once."""
        self._static = {field: getattr(self._scene, field).copy() for field in STATIC}
        self.rooms += make_rooms(self._scene, self._texture)
        self._drawn = self._drawn or self._make_entities()
        self.entities += self._drawn
        self.agent.cam_fwd_disp, self.agent.cam_pitch = 0.0, 0.0
        self.agent.cam_fov_y = np.degrees(2.0 * np.arctan(self._aspect))
        self.agent.pos, self.agent.dir = np.zeros(3), 0.0

    def _make_entities(self) -> list[SceneEntity]:
        """All entities, in the order in which they are drawn."""
        scene = self._scene
        made: list[SceneEntity] = [Segments(scene, self._binder)]
        made += [Thing(scene, k, self._list_of) for k in range(scene.things.shape[1])]
        if scene.sky_texture[0] != NONE:
            first = int(scene.sky_texture[0])
            made.append(Sky(scene, [self._picture(first + k) for k in range(4)]))
        made.append(Platform(scene))
        if scene.water_texture[0] != NONE:
            water = self._texture(int(scene.water_texture[0]))
            made.append(Water(scene, water, surroundings(scene)))
        return made

    def _render_static(self) -> None:
        """Compile lights and rooms into a display list."""
        gl.glNewList(self._static_list, gl.GL_COMPILE)
        light = partial(gl.glLightfv, gl.GL_LIGHT0)
        light(gl.GL_POSITION, (gl.GLfloat * 4)(*LIGHT_FROM, 0.0))  # 0: infinitely far
        light(gl.GL_AMBIENT, (gl.GLfloat * 4)(AMBIENT, AMBIENT, AMBIENT, 1.0))
        light(gl.GL_DIFFUSE, (gl.GLfloat * 4)(DIFFUSE, DIFFUSE, DIFFUSE, 1.0))
        for feature in (gl.GL_LIGHTING, gl.GL_LIGHT0, gl.GL_COLOR_MATERIAL, gl.GL_TEXTURE_2D):
            gl.glEnable(feature)
        gl.glColorMaterial(gl.GL_FRONT_AND_BACK, gl.GL_AMBIENT_AND_DIFFUSE)
        for room in self.rooms:
            room._render()
        gl.glEndList()

    # What MiniWorldEnv.render_obs and render_depth call.

    def _render_world(self, frame_buffer: FrameBuffer, render_agent: bool) -> NDArray[np.uint8]:
        gl.glCallList(self._static_list)
        for entity in self.entities:
            entity.render()
        return frame_buffer.resolve()

    # Looks by labsim's texture id.

    def _texture(self, texture: int) -> TintedTexture:
        stand_in = self._appearances[texture]
        return tinted(stand_in.name, stand_in.rgb)

    def _binder(self, texture: int) -> Callable[[], None]:
        if texture in self._scenery:
            picture = self._picture(texture)
            return partial(_bind_picture, picture)
        return self._texture(texture).bind

    def _picture(self, texture: int) -> int:
        if texture not in self._pictures:
            self._pictures[texture] = picture_texture(_labsim_picture(self._scene, texture))
        return self._pictures[texture]

    def _list_of(self, texture: int) -> int:
        if texture not in self._lists:
            self._lists[texture] = compile_model(self._models[texture])
        return self._lists[texture]


def _bind_picture(picture: int) -> None:
    gl.glBindTexture(gl.GL_TEXTURE_2D, picture)
    gl.glColor3f(1.0, 1.0, 1.0)


def _labsim_picture(scene: Scene, texture: int) -> NDArray[np.uint8]:
    """A texture of a scene at its full size, RGBA [side, side, 4]."""
    side = 1 << scene.mips[texture, LOG2_SIZE]
    start = scene.mips[texture, START]
    texels = scene.texels[start : start + side * side].astype("<u4")
    return texels.view(np.uint8).reshape(side, side, 4).transpose(1, 0, 2)  # columns come first
