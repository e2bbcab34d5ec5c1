"""MiniWorld entities that draw a labsim scene's segments, things, sky, water and platform.

They read the scene each time they are drawn, so that what the rules change there is seen.
"""

from collections.abc import Callable

import numpy as np
from miniworld.entity import Entity
from numpy.typing import NDArray
from pyglet import gl

from envs.labsim.scene import (
    NONE,
    PLATFORM_APOTHEM,
    PLATFORM_GREY,
    THING_X,
    THING_Y,
    THING_YAW,
    THING_Z0,
    U0,
    U1,
    V_BOTTOM,
    V_TOP,
    WATER_PERIOD_MS,
    WATER_SWAY,
    X0,
    X1,
    Y0,
    Y1,
    Z0,
    Z1,
    Scene,
)
from envs.miniworld.rooms import UNITS_PER_METRE
from envs.miniworld.stock import TintedTexture

SKY_SIZE = 10.0  # metres from the camera to the sides of the sky's box; any size looks the same
SKY_HEIGHT = 1.6  # of its sides, in half widths: the corners of a view reach above 1
# Directions of the sky's sides, and to the right of someone who looks there, in labsim's x and y.
SKY_AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))
SKY_RIGHT = ((0, -1), (1, 0), (0, 1), (-1, 0))


class SceneEntity(Entity):
    """Something drawn from the first world of a scene; its coordinates are the world's."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self.pos, self.dir = np.zeros(3), 0.0
        self.foot = float(scene.floor_z[0])  # labsim's height of y = 0

    def vertex(self, x: float, y: float, z: float) -> None:
        """Give OpenGL a point in labsim's coordinates."""
        gl.glVertex3f(x / UNITS_PER_METRE, (z - self.foot) / UNITS_PER_METRE, -y / UNITS_PER_METRE)


class Segments(SceneEntity):
    """All segments: walls, pictures and doors; compiled anew when one of them has changed."""

    def __init__(self, scene: Scene, binder_of: Callable[[int], Callable[[], None]]) -> None:
        super().__init__(scene)
        self._binder_of = binder_of  # gives what has OpenGL draw with a labsim texture's stand-in
        self._list = int(gl.glGenLists(1))
        self._drawn: tuple[NDArray[np.float32], NDArray[np.int32]] | None = None

    def render(self) -> None:
        """Draw them."""
        now = self.scene.segments[0], self.scene.segment_texture[0]
        if self._drawn is None or not all(map(np.array_equal, self._drawn, now)):
            self._drawn = now[0].copy(), now[1].copy()
            self._compile(*self._drawn)
        gl.glCallList(self._list)

    def _compile(self, segments: NDArray[np.float32], textures: NDArray[np.int32]) -> None:
        binders = {texture: self._binder_of(texture) for texture in set(textures.tolist()) - {NONE}}
        gl.glNewList(self._list, gl.GL_COMPILE)
        for segment, texture in zip(segments.tolist(), textures.tolist(), strict=True):
            if texture != NONE:
                binders[texture]()
                self._draw(segment)
        gl.glEndList()

    def _draw(self, segment: list[float]) -> None:
        x0, y0, x1, y1 = (segment[column] for column in (X0, Y0, X1, Y1))
        left, right = (x0, y0, segment[U0]), (x1, y1, segment[U1])
        low, high = (segment[Z0], 1.0 - segment[V_BOTTOM]), (segment[Z1], 1.0 - segment[V_TOP])
        gl.glBegin(gl.GL_QUADS)
        # Seen from the front, point 0 is on the left: the normal is to the right of 0 -> 1.
        gl.glNormal3f(y1 - y0, 0.0, x1 - x0)
        for (x, y, u), (z, v) in ((left, low), (right, low), (right, high), (left, high)):
            gl.glTexCoord2f(u, v)
            self.vertex(x, y, z)
        gl.glEnd()


class Thing(SceneEntity):
    """Thing k of the scene, drawn as the model of what it shows."""

    def __init__(self, scene: Scene, k: int, list_of: Callable[[int], int]) -> None:
        super().__init__(scene)
        self._k, self._list_of = k, list_of  # gives the display list of a texture's model

    def render(self) -> None:
        """Draw it, if it is there."""
        texture = int(self.scene.thing_texture[0, self._k])
        if texture == NONE:
            return
        thing = self.scene.things[0, self._k].tolist()
        x, y, z = thing[THING_X], thing[THING_Y], thing[THING_Z0] - self.foot
        gl.glPushMatrix()
        gl.glTranslatef(x / UNITS_PER_METRE, z / UNITS_PER_METRE, -y / UNITS_PER_METRE)
        gl.glRotatef(thing[THING_YAW], 0.0, 1.0, 0.0)
        gl.glCallList(self._list_of(texture))
        gl.glPopMatrix()


class Sky(SceneEntity):
    """labsim's box of four pictures around the camera, behind everything."""

    def __init__(self, scene: Scene, pictures: list[int]) -> None:
        super().__init__(scene)
        self._list = int(gl.glGenLists(1))
        gl.glNewList(self._list, gl.GL_COMPILE)
        for picture, ahead, right in zip(pictures, SKY_AHEAD, SKY_RIGHT, strict=True):
            gl.glBindTexture(gl.GL_TEXTURE_2D, picture)
            gl.glBegin(gl.GL_QUADS)
            for across, up in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                height = up * SKY_HEIGHT
                gl.glTexCoord2f(0.5 + 0.5 * across, 0.5 + 0.5 * height)
                x, y = (a + across * r for a, r in zip(ahead, right, strict=True))
                gl.glVertex3f(SKY_SIZE * x, SKY_SIZE * height, -SKY_SIZE * y)
            gl.glEnd()
        gl.glEndList()

    def render(self) -> None:
        """Draw it where nothing else is; `pos` is the camera's place."""
        gl.glDisable(gl.GL_LIGHTING)
        gl.glColor3f(1.0, 1.0, 1.0)
        gl.glDepthFunc(gl.GL_LEQUAL)
        gl.glDepthRange(1.0, 1.0)
        gl.glPushMatrix()
        gl.glTranslatef(*self.pos)
        gl.glCallList(self._list)
        gl.glPopMatrix()
        gl.glDepthRange(0.0, 1.0)
        gl.glDepthFunc(gl.GL_LESS)
        gl.glEnable(gl.GL_LIGHTING)


class Platform(SceneEntity):
    """The top of room_watermaze's platform, an octagon, while it is above the floor."""

    def render(self) -> None:
        """Draw it, if it is raised."""
        x, y, z = self.scene.platform[0].tolist()
        if z <= self.foot:
            return
        gl.glDisable(gl.GL_TEXTURE_2D)
        gl.glDisable(gl.GL_LIGHTING)
        gl.glColor3f(*([PLATFORM_GREY / 255.0] * 3))
        gl.glBegin(gl.GL_POLYGON)
        reach = PLATFORM_APOTHEM / np.cos(np.pi / 8.0)
        for angle in (np.arange(8) + 0.5) * (np.pi / 4.0):
            self.vertex(x + reach * np.cos(angle), y + reach * np.sin(angle), z)
        gl.glEnd()
        gl.glEnable(gl.GL_LIGHTING)
        gl.glEnable(gl.GL_TEXTURE_2D)


class Water(SceneEntity):
    """A sheet of water whose light is added to what lies under it; drawn last."""

    def __init__(self, scene: Scene, texture: TintedTexture, outline: NDArray[np.float64]) -> None:
        super().__init__(scene)
        self._texture, self._outline = texture, outline  # [4, 2] labsim's x and y
        self.engine_ms = 0  # of the engine's clock, which moves the sheet

    def render(self) -> None:
        """Draw it; depths stay those of what lies below."""
        phase = 2.0 * np.pi * (self.engine_ms % WATER_PERIOD_MS) / WATER_PERIOD_MS
        tile, z = float(self.scene.water_tile[0]), float(self.scene.water_z[0])
        gl.glDisable(gl.GL_LIGHTING)
        gl.glEnable(gl.GL_BLEND)
        gl.glBlendFunc(gl.GL_ONE, gl.GL_ONE)
        gl.glDepthMask(gl.GL_FALSE)
        self._texture.bind()
        gl.glBegin(gl.GL_QUADS)
        for x, y in self._outline.tolist():
            gl.glTexCoord2f(
                x / tile + WATER_SWAY * np.cos(phase), y / tile - WATER_SWAY * np.sin(phase)
            )
            self.vertex(x, y, z)
        gl.glEnd()
        gl.glDepthMask(gl.GL_TRUE)
        gl.glDisable(gl.GL_BLEND)
        gl.glEnable(gl.GL_LIGHTING)
