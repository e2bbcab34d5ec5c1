"""A small software renderer that turns solids into pictures for things that face the camera.

A model is a list of solids whose surfaces are sampled densely and drawn, point by point, nearest
last, without perspective from the side. Light comes from above and, weakly, from the camera.

Model coordinates are world units: x is where the model faces, y its left, z up.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDE = 64  # pixels a side of a picture
FINE = 2  # points are drawn this many times finer and averaged
DENSITY = 1.4  # surface samples per fine pixel of length
LIGHT = np.array([0.65, -0.25, 0.72])  # direction to the light: to the camera, its right, up
AMBIENT = 0.6  # brightness of what is turned away from the light; 1 is full

Vector = tuple[float, float, float]
Surface = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


class Solid(NamedTuple):
    """A surface, a function of u and v in [0, 1] that gives points [..., 3], and its colour."""

    surface: Surface
    rgb: Vector


class Model(NamedTuple):
    """Pictures of an object, and how large they stand in the world."""

    paint: Callable[[], list[NDArray[np.uint8]]]  # gives the pictures; rules need the sizes only
    half_width: float  # units, of the whole picture
    height: float  # units, of the whole picture
    foot: float  # units from the object's origin up to the picture's lower edge

    @property
    def pictures(self) -> list[NDArray[np.uint8]]:
        """One picture per view, RGBA [SIDE, SIDE, 4]; see `Scene.things`."""
        return self.paint()


def revolve(
    profile: Sequence[tuple[float, float]],
    rgb: Vector,
    centre: Vector = (0.0, 0.0, 0.0),
    depth: float = 1.0,
) -> Solid:
    """A smooth surface of revolution around z; profile: (z, radius) from bottom to top.

    `depth` scales it along x.
    """
    line = _smooth(np.array(profile, np.float64))
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1)))

    def surface(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        height, reach = (np.interp(v * along[-1], along, values) for values in line.T)
        turn = 2.0 * np.pi * u
        circle = [depth * reach * np.cos(turn), reach * np.sin(turn), height]
        return np.stack(circle, axis=-1) + np.array(centre)

    return Solid(surface, rgb)


def _smooth(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round off a line's corners, [N, 2] -> [M, 2] (Chaikin 1974); its ends stay."""
    for _ in range(3):
        before, after = corners[:-1], corners[1:]
        cut = np.stack([0.75 * before + 0.25 * after, 0.25 * before + 0.75 * after], axis=1)
        corners = np.concatenate([corners[:1], cut.reshape(-1, 2), corners[-1:]])
    return corners


def ellipsoid(centre: Vector, radii: Vector, rgb: Vector) -> Solid:
    """An ellipsoid with axes along x, y and z."""

    def surface(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        turn, rise = 2.0 * np.pi * u, np.pi * (v - 0.5)
        points = [np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)]
        return np.stack(points, axis=-1) * np.array(radii) + np.array(centre)

    return Solid(surface, rgb)


def ring(centre: Vector, radius: float, thickness: Vector, rgb: Vector) -> Solid:
    """A ring that stands upright across x; thickness: half extents along x, y and z."""

    def surface(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        around, about = 2.0 * np.pi * u, 2.0 * np.pi * v
        tube_x, tube_y = thickness[0] * np.sin(about), thickness[1] * np.cos(about)
        reach = radius + tube_y
        points = [tube_x, reach * np.cos(around), reach * np.sin(around)]
        return np.stack(points, axis=-1) + np.array(centre)

    return Solid(surface, rgb)


def box(centre: Vector, half: Vector, rgb: Vector) -> list[Solid]:
    """The six faces of a box with half extents `half`."""
    return [_face(axis, sign, centre, half, rgb) for axis in range(3) for sign in (-1.0, 1.0)]


def _face(axis: int, sign: float, centre: Vector, half: Vector, rgb: Vector) -> Solid:
    def surface(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        across = [2.0 * u - 1.0, 2.0 * v - 1.0]
        across.insert(axis, np.full_like(u, sign))
        return np.stack(across, axis=-1) * np.array(half) + np.array(centre)

    return Solid(surface, rgb)


def tilted(solids: Sequence[Solid], pivot: Vector, roll: float, pitch: float = 0.0) -> list[Solid]:
    """Turn solids around a point: by `roll` degrees from z to y, then `pitch` from z to x."""
    cos_r, sin_r = np.cos(np.radians(roll)), np.sin(np.radians(roll))
    cos_p, sin_p = np.cos(np.radians(pitch)), np.sin(np.radians(pitch))
    rolls = np.array([[1, 0, 0], [0, cos_r, sin_r], [0, -sin_r, cos_r]])
    pitches = np.array([[cos_p, 0, sin_p], [0, 1, 0], [-sin_p, 0, cos_p]])
    turn = (pitches @ rolls).T

    def turned(surface: Surface) -> Surface:
        return lambda u, v: (surface(u, v) - np.array(pivot)) @ turn + np.array(pivot)

    return [Solid(turned(solid.surface), solid.rgb) for solid in solids]


def draw(
    solids: Sequence[Solid], half_width: float, height: float, views: int, symmetry: int = 1
) -> list[NDArray[np.uint8]]:
    """Draw solids from the first `views / symmetry` of `views` sides: RGBA [SIDE, SIDE, 4] each.

    A picture reaches `half_width` units to either side of the z axis and shows z in 0 .. height.
    Sides are in the order of `Scene.thing_texture`.
    """
    pixel = min(2.0 * half_width, height) / (SIDE * FINE)
    samples = [_sample(solid, pixel) for solid in solids]
    points, normals, colours = (np.concatenate(part) for part in zip(*samples, strict=True))
    pictures = []
    for k in range(views // symmetry):
        angle = 2.0 * np.pi * k / views  # the camera stands in this direction
        towards = np.array([np.cos(angle), np.sin(angle), 0.0])
        right = np.array([-np.sin(angle), np.cos(angle), 0.0])
        shade = _shade(normals, towards, right)
        column = (points @ right + half_width) * (SIDE * FINE / (2.0 * half_width))
        row = (height - points[:, 2]) * (SIDE * FINE / height)
        pictures.append(_average(column, row, points @ towards, colours * shade))
    return pictures


def _sample(solid: Solid, pixel: float) -> tuple[NDArray, NDArray, NDArray]:
    """Points, unit normals and colours [N, 3] all over a surface, less than a pixel apart."""
    steps = np.linspace(0.0, 1.0, 33)
    coarse = solid.surface(*np.meshgrid(steps, steps, indexing="ij"))
    lengths = [
        np.linalg.norm(np.diff(coarse, axis=axis), axis=2).sum(axis=axis).max() for axis in (0, 1)
    ]
    counts = [max(int(DENSITY * length / pixel), 3) for length in lengths]
    u, v = np.meshgrid(*((np.arange(n) + 0.5) / n for n in counts), indexing="ij")
    points = solid.surface(u, v)
    normals = np.cross(np.gradient(points, axis=0), np.gradient(points, axis=1))
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-12)
    colours = np.broadcast_to(solid.rgb, points.shape)
    return points.reshape(-1, 3), normals.reshape(-1, 3), colours.reshape(-1, 3)


def _shade(normals: NDArray, towards: NDArray, right: NDArray) -> NDArray[np.float64]:
    """Brightness [N, 1] of points with these normals; only their sides to the camera are seen."""
    facing = np.where(normals @ towards >= 0.0, 1.0, -1.0)
    light = LIGHT / np.linalg.norm(LIGHT)
    to_light = light[0] * towards + light[1] * right + np.array([0.0, 0.0, light[2]])
    lit = np.clip((normals @ to_light) * facing, 0.0, 1.0)
    return (AMBIENT + (1.0 - AMBIENT) * lit)[:, None]


def _average(
    column: NDArray, row: NDArray, nearness: NDArray, colours: NDArray
) -> NDArray[np.uint8]:
    """Draw points on the fine raster, nearest last, and average it to an RGBA picture."""
    fine = np.zeros((SIDE * FINE, SIDE * FINE, 4))
    column, row = np.floor(column).astype(int), np.floor(row).astype(int)
    inside = (column >= 0) & (column < SIDE * FINE) & (row >= 0) & (row < SIDE * FINE)
    order = np.flatnonzero(inside)[np.argsort(nearness[inside], kind="stable")]
    fine[row[order], column[order], :3] = colours[order]
    fine[row[order], column[order], 3] = 1.0
    blocks = fine.reshape(SIDE, FINE, SIDE, FINE, 4).sum(axis=(1, 3))
    rgb = blocks[..., :3] / np.maximum(blocks[..., 3:], 1.0)
    alpha = np.where(blocks[..., 3:] >= 0.5 * FINE * FINE, 255.0, 0.0)
    return np.round(np.clip(np.concatenate([rgb, alpha], axis=2), 0.0, 255.0)).astype(np.uint8)
