"""A film of an episode: what the agent sees, and where it is in a corner."""

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import imageio.v2 as imageio
import numpy as np
from PIL import Image

from records.whole_files import naming, replaced_when_complete

SCALE = 4  # screen pixels per pixel of an observation
INSET = 0.33  # height of the top-down picture, as a part of the film's
MARGIN = 4  # screen pixels around it
FRAMES_PER_SECOND = 15  # agent steps in a nominal second: real time


class Film:
    """Writes an MP4 file between `__enter__` and `__exit__`. Only a whole one replaces an old one.

    Raises ValueError: another ending than .mp4. OSError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix != ".mp4":
            raise ValueError(f"video is {str(path)!r}; its name must end in .mp4.")
        self.path = path

    def __enter__(self) -> "Film":
        with ExitStack() as stack, naming(self.path):
            os.stat(self.path.parent)  # a mistyped folder is not made
            temporary = stack.enter_context(replaced_when_complete(self.path))
            temporary.write_bytes(b"")  # ffmpeg would explain an unwritable file in many lines
            self._writer = imageio.get_writer(temporary, fps=FRAMES_PER_SECOND, macro_block_size=2)
            self._replacing = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._replacing:
            self._writer.close()
            if error is not None:
                raise error  # here, so that what was there before stays

    def add(self, observation: np.ndarray, top_down: np.ndarray | None = None) -> None:
        """Add a picture: `observation` [H, W, C] uint8, `top_down` [H', W', 3] uint8 as inset.

        Raises ValueError: observations are no images.
        """
        self._writer.append_data(picture(observation, top_down))


def picture(observation: np.ndarray, top_down: np.ndarray | None = None) -> np.ndarray:
    """Return `observation` [H, W, C], enlarged, with `top_down` in its upper right corner.

    Of other channels than three (grey, or several stacked images) the last is shown in grey.
    """
    if observation.ndim != 3:
        raise ValueError(f"observations of shape {observation.shape} cannot be filmed.")
    if observation.shape[2] != 3:
        observation = observation[:, :, -1:].repeat(3, axis=2)
    canvas = observation.repeat(SCALE, axis=0).repeat(SCALE, axis=1)  # [H*S, W*S, 3]
    if top_down is None:
        return canvas
    height = round(INSET * len(canvas))
    width = round(height * top_down.shape[1] / top_down.shape[0])
    inset = Image.fromarray(top_down).resize((width, height), Image.Resampling.LANCZOS)
    canvas[MARGIN : MARGIN + height, -MARGIN - width : -MARGIN] = np.asarray(inset)
    return canvas
