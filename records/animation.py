"""Pictures one after the other in a file: MP4, WebP or GIF."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from records.whole_files import check_replaceable, naming, replaced_when_complete

ENDINGS = (".mp4", ".webp", ".gif")
WEBP_QUALITY = 50


def check_animation_path(path: Path) -> None:
    """Raise ValueError or OSError unless `path` can be written by `save_animation`."""
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path} cannot be written; its name must end in {', '.join(ENDINGS)}.")
    with naming(path):
        path.parent.stat()  # a mistyped folder is not made
    check_replaceable(path)


@contextmanager
def film(path: Path, frames_per_second: float) -> Iterator[Callable[[NDArray[np.uint8]], object]]:
    """Give a function that adds a picture [H, W, 3] to an MP4 file.

    Only a whole film replaces one that is there. Raises ValueError: another ending than .mp4.
    OSError.
    """
    if path.suffix != ".mp4":
        raise ValueError(f"{path} cannot be written; its name must end in .mp4.")
    with ExitStack() as stack:
        with naming(path):
            path.parent.stat()  # a mistyped folder is not made
            temporary = stack.enter_context(replaced_when_complete(path))
            writer = imageio.get_writer(temporary, fps=frames_per_second, macro_block_size=2)
            stack.enter_context(closing(writer))
        yield writer.append_data


def save_animation(
    path: Path, pictures: Iterable[NDArray[np.uint8]], frames_per_second: float
) -> None:
    """Write `pictures` [H, W, 3], of which there is at least one; WebP and GIF repeat for ever.

    A file that is there is replaced when the new one is whole. Raises ValueError: another ending.
    OSError.
    """
    check_animation_path(path)
    if path.suffix == ".mp4":
        with film(path, frames_per_second) as add:
            for picture in pictures:
                add(picture)
        return
    with naming(path), replaced_when_complete(path) as temporary:
        first, *others = (Image.fromarray(picture) for picture in pictures)
        first.save(
            temporary,
            save_all=True,
            append_images=others,
            duration=round(1000 / frames_per_second),  # milliseconds
            loop=0,
            quality=WEBP_QUALITY,
        )
