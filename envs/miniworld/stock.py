"""Textures from MiniWorld's stock, tinted, and pictures of labsim's where the stock has none.

A tint makes a texture's mean colour that of the labsim texture for which it stands: rooms can be
told apart by the same colours as there.
"""

from collections.abc import Sequence
from ctypes import byref
from functools import cache
from pathlib import Path

import miniworld
import numpy as np
from miniworld.opengl import Texture
from numpy.typing import NDArray
from PIL import Image
from pyglet import gl

FOLDER = Path(miniworld.__file__).parent / "textures"


class TintedTexture:
    """What MiniWorld's rooms need of a texture; binding it sets the colour to draw with, too."""

    def __init__(self, texture: Texture, tint: tuple[float, float, float]) -> None:
        self.name, self.width, self.height = texture.name, texture.width, texture.height
        self._texture, self._tint = texture, tint

    def bind(self) -> None:
        """Draw with this from now on."""
        self._texture.bind()
        gl.glColor3f(*self._tint)


def tinted(name: str, rgb: Sequence[float] | None) -> TintedTexture:
    """A texture of the stock with the mean colour rgb (0 to 255), or its own for None.

    `name` is its file's, without ending. Raises FileNotFoundError if there is none.
    """
    # MiniWorld looks for names that end in a number; so tell it where the others are, too.
    Texture.tex_paths.setdefault(name, [str(_path(name))])
    tint = (1.0, 1.0, 1.0)
    if rgb is not None:
        red, green, blue = np.array(rgb) / mean_of_stock(name)
        tint = float(red), float(green), float(blue)
    return TintedTexture(Texture.get(name), tint)


def portraits() -> list[str]:
    """Names of the stock's paintings of people, in alphabetical order."""
    return [f"portraits/{path.stem}" for path in sorted((FOLDER / "portraits").glob("*.png"))]


def picture_texture(picture: NDArray[np.uint8]) -> int:
    """Give OpenGL a picture [H, W, 4] that repeats sideways only; returns its texture's id."""
    texture = gl.GLuint(0)
    gl.glGenTextures(1, byref(texture))
    gl.glBindTexture(gl.GL_TEXTURE_2D, texture)
    height, width = picture.shape[:2]
    rows = np.ascontiguousarray(picture[::-1]).tobytes()  # OpenGL's lowest row comes first
    kinds = gl.GL_RGBA, gl.GL_UNSIGNED_BYTE
    gl.glTexImage2D(gl.GL_TEXTURE_2D, 0, gl.GL_RGBA, width, height, 0, *kinds, rows)
    gl.glTexParameteri(gl.GL_TEXTURE_2D, gl.GL_TEXTURE_WRAP_T, gl.GL_CLAMP_TO_EDGE)
    for which in (gl.GL_TEXTURE_MIN_FILTER, gl.GL_TEXTURE_MAG_FILTER):
        gl.glTexParameteri(gl.GL_TEXTURE_2D, which, gl.GL_NEAREST)
    return int(texture.value)


@cache
def mean_of_stock(name: str) -> NDArray[np.float64]:
    """The mean red, green and blue of a texture of the stock, 0 to 255: [3]."""
    with Image.open(_path(name)) as image:
        return np.asarray(image.convert("RGB"), np.float64).mean(axis=(0, 1))


def _path(name: str) -> Path:
    path = FOLDER / f"{name}.png"
    if not path.exists():
        raise FileNotFoundError(f"MiniWorld has no texture '{name}'")
    return path
