"""Get OpenGL to draw without a screen, and say in one sentence what is missing if it cannot."""

import os
import sys
from importlib.util import find_spec

DEBIAN_PACKAGES = "libegl1 libgl1 libglu1-mesa libgl1-mesa-dri libfontconfig1 libfreetype6"


def load_opengl() -> None:
    """Import MiniWorld with an OpenGL context that can draw.

    On Linux that is EGL's, which needs no display, unless the environment variable
    PYOPENGL_PLATFORM names another (`x11`: that of DISPLAY, Xvfb for instance). Raises ValueError
    if MiniWorld or OpenGL is missing.
    """
    if find_spec("miniworld") is None:
        raise ValueError(
            "The backend miniworld needs MiniWorld: pip install -e '.[miniworld]' "
            "(labsim has the same levels and needs neither MiniWorld nor OpenGL)."
        )
    if sys.platform.startswith("linux"):
        os.environ.setdefault("PYOPENGL_PLATFORM", "egl")  # MiniWorld reads it, too
    try:
        import pyglet

        # MiniWorld sets this after pyglet has chosen between EGL and a display.
        pyglet.options["headless"] = os.environ.get("PYOPENGL_PLATFORM") == "egl"
        pyglet.options["debug_gl"] = False  # a check after each of thousands of calls an image
        import miniworld.miniworld  # noqa: F401
        import pyglet.font
        import pyglet.window  # makes the first context

        pyglet.font.load()  # MiniWorld gets ready to write, though it writes in windows only
    except Exception as error:  # pyglet raises whatever the missing library makes it raise
        raise ValueError(
            f"MiniWorld finds no OpenGL to draw with ({type(error).__name__}: {error}): on Debian "
            f"and Ubuntu, apt-get install {DEBIAN_PACKAGES}"
        ) from error
