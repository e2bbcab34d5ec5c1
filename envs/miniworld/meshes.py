"""MiniWorld's meshes as arrays: turned, stretched, coloured and made of fewer triangles."""

from functools import cache
from typing import NamedTuple

import numpy as np
from miniworld.objmesh import ObjMesh
from numpy.typing import NDArray
from pyglet import gl

from envs.miniworld.models import BOX, Model, Part
from envs.miniworld.rooms import UNITS_PER_METRE

# Meshes with more triangles are drawn coarser: a ball has 5,192, and seekavoid_arena_01 23 of them.
MAX_TRIANGLES = 1500
COARSE_STEPS = 10  # places along each side of the box to which corners of a coarser mesh are moved


class Triangles(NamedTuple):
    """Part of a mesh that has one picture, or none; in MiniWorld's axes."""

    corners: NDArray[np.float64]  # [N, 3, 3]
    normals: NDArray[np.float64]  # [N, 3, 3]
    places: NDArray[np.float64]  # [N, 3, 2] in the picture
    colours: NDArray[np.float64]  # [N, 3, 3] 0 to 1
    picture: int | None  # OpenGL's texture


def compile_model(model: Model) -> int:
    """Make a display list that draws a model, its foot at the origin, in metres."""
    display_list = int(gl.glGenLists(1))
    loaded = [triangles for part in model for triangles in _fit(part)]
    gl.glNewList(display_list, gl.GL_COMPILE)
    for triangles in loaded:
        _draw(triangles)
    gl.glEndList()
    return display_list


def _fit(part: Part) -> list[Triangles]:
    """A part's triangles as large and where it says."""
    pieces = _box() if part.mesh == BOX else _mesh(part.mesh)
    if part.is_upright:  # a quarter of a turn around x: z -> y
        turn = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
        pieces = [p._replace(corners=p.corners @ turn, normals=p.normals @ turn) for p in pieces]
    corners = np.concatenate([p.corners for p in pieces]).reshape(-1, 3)
    low, high = corners.min(axis=0), corners.max(axis=0)
    x, y, z = part.size
    scale = np.array([x, z, y]) / UNITS_PER_METRE / (high - low)
    x, y, z = part.middle
    middle = np.array([x, z, -y]) / UNITS_PER_METRE
    fitted = []
    for piece in pieces:
        moved = (piece.corners - 0.5 * (low + high)) * scale + middle
        piece = piece._replace(corners=moved, normals=piece.normals / scale)
        if part.rgb is not None:
            colours = np.broadcast_to(np.array(part.rgb) / 255.0, piece.colours.shape)
            piece = piece._replace(colours=colours, picture=None)
        fitted.append(piece)
    return fitted


@cache
def _mesh(name: str) -> list[Triangles]:
    """A mesh of the stock."""
    mesh = ObjMesh.get(name)
    pieces = []
    for vertices, picture in zip(mesh.vlists, mesh.textures, strict=True):
        piece = Triangles(
            np.array(vertices.vertices[:]).reshape(-1, 3, 3),
            np.array(vertices.normals[:]).reshape(-1, 3, 3),
            np.array(vertices.tex_coords[:]).reshape(-1, 3, 2),
            np.array(vertices.colors[:]).reshape(-1, 3, 3),
            picture.id if picture else None,
        )
        pieces.append(_coarser(piece) if len(piece.corners) > MAX_TRIANGLES else piece)
    return pieces


def _coarser(piece: Triangles) -> Triangles:
    """Move corners to the places of a lattice, and leave out triangles that vanish so."""
    flat = piece.corners.reshape(-1, 3)
    low, size = flat.min(axis=0), np.ptp(flat, axis=0)
    lattice = np.round((piece.corners - low) / size * COARSE_STEPS)
    first, second, third = lattice.transpose(1, 0, 2)
    same = [(a == b).all(axis=1) for a, b in ((first, second), (second, third), (third, first))]
    kept = ~np.any(same, axis=0)
    _, once = np.unique(lattice[kept].reshape(-1, 9), axis=0, return_index=True)
    chosen = np.flatnonzero(kept)[np.sort(once)]
    corners = low + lattice / COARSE_STEPS * size
    return Triangles(
        corners[chosen],
        piece.normals[chosen],
        piece.places[chosen],
        piece.colours[chosen],
        piece.picture,
    )


@cache
def _box() -> list[Triangles]:
    """A cube of side 2 around the origin."""
    corners, normals = [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = np.zeros(3)
            normal[axis] = sign
            first, second = np.roll(np.eye(3), -axis, axis=0)[1:]
            ring = [sign * a * first + b * second for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            square = np.array(ring) + normal
            corners += [square[[0, 1, 2]], square[[0, 2, 3]]]
            normals += [np.tile(normal, (3, 1))] * 2
    shape = np.array(corners).shape
    return [
        Triangles(
            np.array(corners), np.array(normals), np.zeros((*shape[:2], 2)), np.ones(shape), None
        )
    ]


def _draw(triangles: Triangles) -> None:
    """Draw triangles once."""
    if triangles.picture is None:
        gl.glDisable(gl.GL_TEXTURE_2D)
    else:
        gl.glEnable(gl.GL_TEXTURE_2D)
        gl.glBindTexture(gl.GL_TEXTURE_2D, triangles.picture)
    arrays = [a.reshape(-1, a.shape[-1]).tolist() for a in triangles[:4]]
    gl.glBegin(gl.GL_TRIANGLES)
    for corner, normal, place, colour in zip(*arrays, strict=True):
        gl.glColor3f(*colour)
        gl.glTexCoord2f(*place)
        gl.glNormal3f(*normal)
        gl.glVertex3f(*corner)
    gl.glEnd()
    gl.glEnable(gl.GL_TEXTURE_2D)
