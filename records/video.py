"""A picture of an episode: what the agent sees, and where it is in a corner."""

import numpy as np
from PIL import Image

SCALE = 4  # screen pixels per pixel of an observation
INSET = 0.33  # height of the top-down picture, as a part of the whole's
MARGIN = 4  # screen pixels around it


def picture(observation: np.ndarray, top_down: np.ndarray | None = None) -> np.ndarray:
    """Return `observation` [H, W, C], enlarged, with `top_down` in its upper right corner.

    Of other channels than three (grey, or several stacked images) the last is shown in grey.
    Raises ValueError: observations are no images.
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
