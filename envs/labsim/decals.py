"""Pictures that hang on the walls of mazes: 4 styles of 20, drawn from the picture's number.

DeepMind Lab's own do not ship with labmaze. These follow what they look like: line patterns on a
lattice of dots, mosaics of greys, red symbols on beige. Of the first style no picture was at hand;
here it is patches of colour.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from envs.labsim.textures import with_alpha

SIZE = 64  # pixels
STYLES, PER_STYLE = 4, 20
NUM_DECALS = STYLES * PER_STYLE
COLOURS = (  # of the first style
    (230, 60, 50), (40, 90, 220), (250, 210, 40), (40, 170, 80), (240, 240, 235), (150, 50, 170),
    (30, 30, 40),
)  # fmt: skip


@cache
def decal_pictures() -> tuple[NDArray[np.uint8], ...]:
    """All pictures, RGBA [SIZE, SIZE, 4]: 20 of style 01, then of 02, 03 and 04."""
    pictures = []
    for number in range(NUM_DECALS):
        random = np.random.default_rng(number)
        painter = (_patches, _lattice, _mosaic, _symbol)[number // PER_STYLE]
        pictures.append(with_alpha(np.round(painter(random)).astype(np.uint8)))
    return tuple(pictures)


def _axes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of pixels from 0 to 1: to the right, and down; [SIZE, SIZE] each."""
    steps = (np.arange(SIZE) + 0.5) / SIZE
    right, down = np.meshgrid(steps, steps)
    return right, down


def _patches(random: np.random.Generator) -> NDArray[np.float64]:
    """Coloured discs and a bar on a bright ground."""
    right, down = _axes()
    colours = random.permutation(COLOURS)
    picture = np.tile(colours[0].astype(np.float64), (SIZE, SIZE, 1))
    turn = random.uniform(0.0, np.pi)
    across = (right - 0.5) * np.cos(turn) + (down - 0.5) * np.sin(turn)
    picture[np.abs(across - random.uniform(-0.2, 0.2)) < random.uniform(0.06, 0.16)] = colours[1]
    for colour in colours[2:5]:
        x, y, radius = (
            random.uniform(0.15, 0.85),
            random.uniform(0.15, 0.85),
            random.uniform(0.1, 0.26),
        )
        picture[np.hypot(right - x, down - y) < radius] = colour
    return picture


def _lattice(random: np.random.Generator) -> NDArray[np.float64]:
    """A closed line over a lattice of 4 x 4 dots on light grey; some are filled with pink."""
    right, down = _axes()
    picture = np.full((SIZE, SIZE, 3), 214.0)
    dots = np.linspace(0.14, 0.86, 4)
    # A walk around a blob of the lattice's 3 x 3 squares: its boundary is the line.
    inside = np.zeros((5, 5), np.bool_)
    row, column = random.integers(1, 4, 2)
    for _ in range(random.integers(8, 20)):
        inside[row, column] = True
        step = random.integers(0, 4)
        row = np.clip(row + (step == 0) - (step == 1), 1, 3)
        column = np.clip(column + (step == 2) - (step == 3), 1, 3)
    pink = inside & (random.random((5, 5)) < random.choice([0.0, 0.5]))
    gap = dots[1] - dots[0]
    for row, column in np.argwhere(pink):
        x, y = dots[column - 1], dots[row - 1]
        in_square = (right >= x) & (right < x + gap) & (down >= y) & (down < y + gap)
        picture[in_square] = (238, 130, 170)
    for row in range(5):
        for column in range(5):
            x, y = dots[0] + (column - 1) * gap, dots[0] + (row - 1) * gap
            along_y = (down > y - 0.015) & (down < y + gap + 0.015)
            along_x = (right > x - 0.015) & (right < x + gap + 0.015)
            if column > 0 and inside[row, column] != inside[row, column - 1]:
                picture[(np.abs(right - x) < 0.025) & along_y] = 40.0
            if row > 0 and inside[row, column] != inside[row - 1, column]:
                picture[(np.abs(down - y) < 0.025) & along_x] = 40.0
    for x in dots:
        for y in dots:
            picture[np.hypot(right - x, down - y) < 0.045] = 60.0
    return picture


def _mosaic(random: np.random.Generator) -> NDArray[np.float64]:
    """6 x 6 squares in shades of grey."""
    right, down = _axes()
    greys = random.uniform(10.0, 250.0, (6, 6))
    return np.repeat(greys[(down * 6).astype(int), (right * 6).astype(int)][..., None], 3, axis=2)


def _symbol(random: np.random.Generator) -> NDArray[np.float64]:
    """One red symbol with two axes of symmetry on beige, in a black frame."""
    right, down = _axes()
    picture = np.tile(np.array([226.0, 206.0, 170.0]), (SIZE, SIZE, 1))
    # A random figure of 4 x 4 squares, mirrored to both sides.
    quarter = random.random((4, 4)) < 0.5
    quarter[3, 3] = quarter[2, 3] = True
    figure = np.block([[quarter, quarter[:, ::-1]], [quarter[::-1], quarter[::-1, ::-1]]])
    cell = np.clip(np.stack([down, right]) - 0.14, 0.0, 0.719) / 0.72 * 8
    inside = np.maximum(np.abs(right - 0.5), np.abs(down - 0.5)) < 0.36
    picture[inside & figure[cell[0].astype(int), cell[1].astype(int)]] = (190, 30, 35)
    picture[np.maximum(np.abs(right - 0.5), np.abs(down - 0.5)) > 0.455] = 15.0
    return picture
