"""What the objects of the levels look like: pictures made of a few solids each.

Sizes are those of DeepMind Lab's models (commit b1db91a, bounding boxes of the .md3 files named in
`common/pickups.lua` and, for bots, `assets/models/players/crash_color`), and how large and how high
recorded frames show them; the shapes and colours are redrawn by hand here.
"""

import colorsys
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from envs.labsim.model_renderer import (
    Model,
    Solid,
    Vector,
    box,
    draw,
    ellipsoid,
    revolve,
    ring,
    tilted,
)

FLOOR_FOOT = -15.0  # of items that bob from the floor up; an item's origin is 15 units above it
FRUIT_SCALE = 0.5  # recorded frames show apples, lemons and goals at half of their models' size
BOT_FOOT = -24.0  # a player's origin is this far above his feet
SPIN_VIEWS = 24  # of items that spin and look different from each side
BOT_VIEWS = 16
GADGETS = ("orb", "beam", "disc")

RED, GREEN, BLUE = (255.0, 0.0, 0.0), (0.0, 255.0, 0.0), (0.0, 0.0, 255.0)


@cache
def apple() -> Model:
    """A red apple with a stem and a leaf, 12.5 x 12.5 x 15 units (apple_reward); one view."""
    body = [(3, 0), (1, 3), (0, 6), (2, 8.5), (7, 11), (12, 12.6), (17, 13.2), (22, 12), (26, 8),
            (25.5, 5), (22, 1)]  # fmt: skip
    solids = [
        revolve(body, (215.0, 18.0, 22.0)),
        *tilted([revolve([(21, 1.2), (31, 1.3)], (92.0, 58.0, 20.0))], (0.0, 0.0, 21.0), 8.0),
        *tilted(
            [ellipsoid((0.0, 5.5, 26.5), (2.0, 5.5, 2.4), (60.0, 170.0, 40.0))],
            (0.0, 0.0, 26.0), -20.0,
        ),
    ]  # fmt: skip
    return _halved(_model(solids, 12.5, 30.0, 15.0, views=1))


@cache
def lemon() -> Model:
    """A yellow lemon lying on its side, 15.5 x 12.5 x 13.5 units (lemon_reward); one view."""
    peel = [(-15.5, 0.5), (-14.6, 2.6), (-12.8, 3.6), (-11, 6.4), (-8, 9.6), (-4, 11.8), (0, 12.5),
            (4, 11.8), (8, 9.6), (11, 6.4), (12.8, 3.6), (14.6, 2.6), (15.5, 0.5)]  # fmt: skip
    tip = ellipsoid((0.0, 0.0, 28.7), (1.6, 1.6, 1.2), (120.0, 130.0, 30.0))
    whole = [revolve(peel, (250.0, 226.0, 30.0), (0.0, 0.0, 13.5)), tip]
    solids = tilted(whole, (0.0, 0.0, 13.5), 68.0)
    return _halved(_model(solids, 15.5, 27.0, 15.0, views=1))


@cache
def goal() -> Model:
    """Round bands from red up to orange, 12.5 x 12.5 x 16.25 units (goal_object_02); one view."""
    bands: list[tuple[float, float, float, Vector]] = [
        (0.0, 8.0, 12.5, (208.0, 32.0, 16.0)),
        (8.0, 15.0, 11.0, (240.0, 64.0, 0.0)),
        (15.0, 22.0, 9.2, (240.0, 128.0, 0.0)),
        (22.0, 28.0, 7.0, (240.0, 176.0, 0.0)),
        (28.0, 32.5, 4.0, (255.0, 214.0, 60.0)),
    ]
    solids = []
    for low, high, radius, rgb in bands:
        edge = [(low + 0.1, 0.0), (low + 0.1, radius - 1.5), (low + 1.2, radius),
                (high - 1.2, radius), (high - 0.1, radius - 1.5), (high, 0.0)]  # fmt: skip
        solids.append(revolve(edge, rgb))
    return _halved(_model(solids, 12.5, 32.5, 16.0, views=1))


@cache
def key(rgb: tuple[int, int, int]) -> Model:
    """A large upright key of one colour, 10 x 47 x 82 units (hr_key_lrg)."""
    colour = (float(rgb[0]), float(rgb[1]), float(rgb[2]))
    solids = [
        ring((0.0, 0.0, 60.0), 17.0, (5.0, 5.0, 5.0), colour),
        *box((0.0, 0.0, 21.0), (4.0, 4.5, 21.0), colour),
        *box((0.0, 12.0, 5.0), (4.0, 10.0, 4.5), colour),
        *box((0.0, 9.0, 20.0), (4.0, 7.0, 4.5), colour),
    ]
    return _model(solids, 23.5, 82.0, 0.0, SPIN_VIEWS)


@cache
def lolly() -> Model:
    """An orange ice lolly on a stick, 23 x 42 x 92 units (hr_ice_lolly_lrg)."""
    ice, stick, glaze = (255.0, 150.0, 0.0), (222.0, 188.0, 132.0), (255.0, 96.0, 0.0)
    outline = [(30, 0.0), (30, 17), (31, 20), (34, 21), (72, 21), (79, 19.5), (85, 15.5), (89, 10),
               (91.5, 4), (92, 0.0)]  # fmt: skip
    solids = [
        revolve(outline, ice, depth=0.55),
        *box((0.0, 0.0, 16.0), (2.0, 4.5, 16.0), stick),
        *(ellipsoid((0.0, y, 60.0), (11.9, 2.6, 22.0), glaze) for y in (-8.5, 8.5)),
    ]
    return _model(solids, 21.0, 92.0, 0.0, SPIN_VIEWS, symmetry=2)


@cache
def health() -> Model:
    """A white box with a red cross on each side: large health, 24 x 24 x 30 units."""
    white, red = (245.0, 245.0, 245.0), (225.0, 20.0, 30.0)
    solids = [
        *box((0.0, 0.0, 15.0), (12.0, 12.0, 12.0), white),
        *(part for half in ((12.6, 9.0, 3.2), (12.6, 3.2, 9.0), (9.0, 12.6, 3.2), (3.2, 12.6, 9.0))
          for part in box((0.0, 0.0, 15.0), half, red)),
    ]  # fmt: skip
    return _model(solids, 18.0, 30.0, FLOOR_FOOT, SPIN_VIEWS, symmetry=4)


@cache
def armour() -> Model:
    """A blue shield with a pale rim, 30 x 12 x 32 units."""
    rim = [(0.0, 0.0), (3, 4.5), (8, 9), (14, 12.5), (20, 14.5), (28, 15), (30, 14), (32, 0.0)]
    field = [(4.0, 0.0), (6, 3), (11, 7.5), (17, 10.5), (22, 11.5), (27, 11.5), (28, 0.0)]
    solids = [
        revolve([(float(z), float(r)) for z, r in rim], (205.0, 225.0, 240.0), depth=0.3),
        revolve([(float(z), float(r)) for z, r in field], (20.0, 90.0, 225.0), depth=0.46),
        *box((0.0, 0.0, 19.0), (5.6, 1.3, 7.5), (255.0, 235.0, 120.0)),
        *box((0.0, 0.0, 20.5), (5.6, 6.5, 1.3), (255.0, 235.0, 120.0)),
    ]
    return _model(solids, 15.0, 32.0, FLOOR_FOOT, SPIN_VIEWS, symmetry=2)


@cache
def gadget(kind: str) -> Model:
    """A pick-up gadget, "orb", "beam" or "disc": a gun whose part in front tells the kind.

    About 40 x 12 x 24 units. Raises ValueError for another kind.
    """
    if kind not in GADGETS:
        raise ValueError(f"unknown gadget '{kind}': allowed are {', '.join(GADGETS)}")
    dark, grey = (62.0, 64.0, 72.0), (150.0, 154.0, 164.0)
    solids = [
        *box((-8.0, 0.0, 17.0), (11.0, 4.0, 4.5), grey),
        *tilted(box((-13.0, 0.0, 9.0), (3.0, 3.0, 7.0), dark), (-13.0, 0.0, 15.0), 0.0, 20.0),
    ]
    if kind == "orb":
        solids += [ellipsoid((11.0, 0.0, 17.0), (9.0, 9.0, 9.0), (255.0, 70.0, 20.0))]
    elif kind == "beam":
        glow = (60.0, 230.0, 255.0)
        solids += box((11.0, 0.0, 17.0), (9.0, 1.6, 1.6), glow)
        solids += [ellipsoid((x, 0.0, 17.0), (1.8, 6.0, 6.0), glow) for x in (4.0, 10.0, 16.0)]
    else:
        # A blade that stands upright along the gun, like a circular saw's.
        glow = (180.0, 255.0, 40.0)
        solids += [ellipsoid((9.0, 0.0, 17.0), (11.0, 1.5, 11.0), glow)]
        solids += [ellipsoid((9.0, 0.0, 17.0), (4.0, 2.6, 4.0), dark)]
    return _model(solids, 21.0, 28.0, FLOOR_FOOT, SPIN_VIEWS)


@cache
def bot(hue_deg: int) -> Model:
    """A black robot with parts in the hues H, H + 120 and H + 240, about 33 wide and 56 tall.

    All hues show the same solids: red, green and blue parts are recoloured, greys stay grey.
    """
    uncoloured = _uncoloured_bot()
    hues = [colorsys.hsv_to_rgb((hue_deg / 360.0 + k / 3.0) % 1.0, 1.0, 1.0) for k in range(3)]

    @cache
    def paint() -> list[NDArray[np.uint8]]:
        pictures = []
        for picture in uncoloured.pictures:
            coloured = picture.copy()
            grey = picture[..., :3].min(axis=2, keepdims=True).astype(np.float64)
            parts = (picture[..., :3] - grey) @ np.array(hues) + grey
            coloured[..., :3] = np.round(np.clip(parts, 0.0, 255.0))
            pictures.append(coloured)
        return pictures

    return uncoloured._replace(paint=paint)


@cache
def _uncoloured_bot() -> Model:
    """A bot with hue 0: head with a visor, chest plate, back pack, arms and legs."""
    black, grey = (34.0, 34.0, 38.0), (88.0, 88.0, 96.0)
    solids = [
        ellipsoid((0.0, 0.0, 49.0), (6.5, 6.0, 7.0), RED),  # head
        ellipsoid((3.5, 0.0, 49.5), (4.5, 4.6, 2.8), (235.0, 235.0, 235.0)),  # visor, in front
        *box((0.0, 0.0, 42.0), (2.2, 2.2, 3.0), black),
        ellipsoid((0.0, 0.0, 34.0), (7.0, 9.5, 8.5), black),
        ellipsoid((3.2, 0.0, 35.5), (5.2, 6.0, 5.5), GREEN),  # chest plate
        *box((-8.0, 0.0, 35.0), (3.5, 6.5, 6.5), BLUE),  # back pack
        ellipsoid((0.0, 0.0, 25.0), (5.0, 7.0, 4.0), grey),
    ]
    for side in (-1.0, 1.0):
        solids += [
            ellipsoid((0.0, 11.8 * side, 39.0), (4.8, 4.4, 4.4), BLUE),  # shoulder
            ellipsoid((1.0, 13.5 * side, 31.0), (2.7, 2.7, 7.0), black),
            ellipsoid((6.0, 13.0 * side, 25.5), (7.5, 2.9, 2.9), RED),  # fore-arm, forward
            ellipsoid((0.5, 5.0 * side, 19.0), (3.8, 3.6, 7.5), black),
            ellipsoid((1.5, 5.5 * side, 9.5), (4.0, 3.6, 7.5), GREEN),  # shin
            *box((2.5, 5.5 * side, 2.0), (6.0, 3.4, 2.0), grey),
        ]
    return _model(solids, 16.5, 56.0, BOT_FOOT, BOT_VIEWS)


def _model(
    solids: Sequence[Solid],
    half_width: float,
    height: float,
    foot: float,
    views: int,
    symmetry: int = 1,
) -> Model:
    """A model of solids whose z counts from the picture's lower edge.

    `symmetry` is how many times the object looks the same while it turns once.
    """
    paint = cache(lambda: draw(solids, half_width, height, views, symmetry) * symmetry)
    return Model(paint, half_width, height, foot)


def _halved(model: Model) -> Model:
    """The model as recorded frames show it: smaller around its origin."""
    half_width, height, foot = (
        FRUIT_SCALE * size for size in (model.half_width, model.height, model.foot)
    )
    return model._replace(half_width=half_width, height=height, foot=foot)
