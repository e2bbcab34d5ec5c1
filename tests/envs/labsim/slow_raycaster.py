"""The raycaster's truth: one ray per pixel, every surface tried, nothing clever."""

import math

import numpy as np

from envs.labsim.collision import WALL_THICKNESS
from envs.labsim.textures import HOLES, LOG2_SIZE, START
from envs.labsim.visible_walls import NEAR

HOLE = None


def render(scene, i, camera, height, width):
    """Draw world i without water and platform: u8 [height, width, 3]."""
    image = np.zeros((height, width, 3), np.uint8)
    walls = [*_segments(scene, i), *_grid_walls(scene, i), *_things(scene, i, camera, width)]
    for row in range(height):
        for column in range(width):
            image[row, column] = _pixel(scene, i, walls, camera, row, column, height, width)
            virtual = [(place + 0.5) * 640 / width for place in (row, column)]
            if scene.square[i, 3] and all(12 <= place < 60 for place in virtual):
                image[row, column] = scene.square[i, :3]
    return image


def _pixel(scene, i, walls, camera, row, column, height, width):
    eye, focal = camera[:3], width / 2
    across, down = (column + 0.5) / focal - 1.0, (row + 0.5 - height / 2) / focal
    hits = []
    for wall in walls:
        hit = _meet(wall, camera, across)
        if hit is None:
            continue
        depth, u = hit
        z = eye[2] - down * depth
        if not wall["z0"] < z <= wall["z1"]:
            continue
        v_per_unit = (wall["v1"] - wall["v0"]) / (wall["z1"] - wall["z0"])
        # How fast the texture passes, by looking half a pixel to either side.
        left, right = (_meet(wall, camera, across + step / focal, True)[1] for step in (-0.5, 0.5))
        tiles_per_pixel = max(abs(right - left), abs(v_per_unit) * depth / focal)
        tiles_per_pixel /= wall.get("sharpness", 1.0)
        v = wall["v0"] + (wall["z1"] - z) * v_per_unit
        hits.append((depth, _texel(scene, wall["texture"], u, v, tiles_per_pixel)))
    if down > 0.0:
        hits.append(_floor(scene, i, camera, across, down, focal))
    seen = [hit for hit in hits if hit[1] is not HOLE]
    return min(seen, key=lambda hit: hit[0])[1] if seen else _behind(scene, i, camera, across, down)


def _ray(camera, across):
    yaw = math.radians(camera[3])
    return math.cos(yaw) + across * math.sin(yaw), math.sin(yaw) - across * math.cos(yaw)


def _meet(wall, camera, across, unbounded=False):
    """Depth and u where the column's ray meets the wall's front, or None."""
    ray_x, ray_y = _ray(camera, across)
    (x0, y0), (x1, y1) = wall["from"], wall["to"]
    matrix = np.array([[ray_x, x0 - x1], [ray_y, y0 - y1]])
    if abs(np.linalg.det(matrix)) < 1e-12:
        return None
    depth, t = np.linalg.solve(matrix, [x0 - camera[0], y0 - camera[1]])
    # Seen from the front, point 0 is on the left: the eye is to the right of the line from 0 to 1.
    side = (x1 - x0) * (camera[1] - y0) - (y1 - y0) * (camera[0] - x0)
    if not unbounded and (depth < NEAR or not 0.0 <= t < 1.0 or side >= 0.0):
        return None
    return depth, wall["u0"] + t * (wall["u1"] - wall["u0"])


def _texel(scene, texture, u, v, tiles_per_pixel):
    full = 1 << scene.mips[texture, LOG2_SIZE]
    level = 0
    while tiles_per_pixel * (full >> level) > 1.0 and full >> level > 1:
        level += 1
    size = full >> level
    column, row = math.floor(u * size) % size, math.floor(v * size) % size
    texel = int(scene.texels[scene.mips[texture, START + level] + column * size + row])
    red, green, blue, alpha = texel & 255, texel >> 8 & 255, texel >> 16 & 255, texel >> 24
    assert alpha == 255 or scene.mips[texture, HOLES]
    return (red, green, blue) if alpha else HOLE


def _floor(scene, i, camera, across, down, focal):
    depth = (camera[2] - scene.floor_z[i]) / down
    ray_x, ray_y = _ray(camera, across)
    x, y = camera[0] + depth * ray_x, camera[1] + depth * ray_y
    column, row = (
        math.floor((point - start) / scene.grid[i, 2])
        for point, start in zip((x, y), scene.grid[i, :2], strict=True)
    )
    textures = scene.floor_texture[i]
    if not (0 <= row < textures.shape[0] and 0 <= column < textures.shape[1]):
        return depth, HOLE
    if textures[row, column] < 0:
        return depth, HOLE
    tile = scene.floor_tile[i]
    tiles_per_pixel = math.sqrt(2.0) * depth / down / focal / tile  # at the sides of the screen
    return depth, _texel(scene, textures[row, column], x / tile, -y / tile, tiles_per_pixel)


def _behind(scene, i, camera, across, down):
    """The background colour, or the face of the sky box that the ray meets."""
    if scene.sky_texture[i] < 0:
        return tuple(scene.background[i])
    ray_x, ray_y = _ray(camera, across)
    turn = round(math.degrees(math.atan2(ray_y, ray_x)) / 90.0)  # 0: east, 1: north ..
    angle = math.radians(90.0 * turn)
    ahead = ray_x * math.cos(angle) + ray_y * math.sin(angle)
    to_right = ray_x * math.sin(angle) - ray_y * math.cos(angle)
    texture = scene.sky_texture[i] + turn % 4
    v = min(max(0.5 + 0.5 * down / ahead, 0.0), 0.999)
    return _texel(scene, texture, 0.5 + 0.5 * to_right / ahead, v, 0.0)


def _segments(scene, i):
    for numbers, texture in zip(scene.segments[i], scene.segment_texture[i], strict=True):
        if texture >= 0:
            x0, y0, x1, y1, z0, z1, u0, u1, v0, v1 = (float(number) for number in numbers)
            yield {"from": (x0, y0), "to": (x1, y1), "z0": z0, "z1": z1, "u0": u0, "u1": u1,
                   "v0": v0, "v1": v1, "texture": texture}  # fmt: skip


def _things(scene, i, camera, width):
    """A quad for every thing, at right angles to the view, with the picture of the side seen.

    It covers at least one pixel in either direction.
    """
    yaw = math.radians(camera[3])
    to_right = np.array([math.sin(yaw), -math.cos(yaw)])
    for numbers, first, views in zip(
        scene.things[i], scene.thing_texture[i], scene.thing_views[i], strict=True
    ):
        if first >= 0:
            x, y, z0, z1, half_width, facing = (float(number) for number in numbers)
            ahead = (x - camera[0]) * math.cos(yaw) + (y - camera[1]) * math.sin(yaw)
            half_width, middle = max(half_width, ahead / width), (z0 + z1) / 2
            z0, z1 = min(z0, middle - ahead / width), max(z1, middle + ahead / width)
            bearing = math.degrees(math.atan2(camera[1] - y, camera[0] - x)) - facing
            # The picture whose side is nearest in angle to where the camera stands.
            off = [abs((bearing - 360.0 * k / views + 180.0) % 360.0 - 180.0) for k in range(views)]
            start, end = (x, y) - half_width * to_right, (x, y) + half_width * to_right
            yield {"from": start, "to": end, "z0": z0, "z1": z1, "u0": 0.0, "u1": 1.0,
                   "v0": 0.0, "v1": 1.0, "texture": first + int(np.argmin(off)),
                   "sharpness": 2.0}  # fmt: skip


def _grid_walls(scene, i):
    """A quad for every side of an open cell that borders a solid one."""
    origin_x, origin_y, size = scene.grid[i]
    solid, inset = scene.solid[i], WALL_THICKNESS
    for row, column in np.argwhere(~solid):
        west, south = origin_x + column * size, origin_y + row * size
        east, north = west + size, south + size
        # Each quad is a little longer than its cell: where two meet around a block, the gap closes.
        w, e, s, n = west - inset, east + inset, south - inset, north + inset
        sides = (
            (0, 1, (east - inset, n), (east - inset, s), -n, -s),
            (0, -1, (west + inset, s), (west + inset, n), s, n),
            (1, 0, (w, north - inset), (e, north - inset), w, e),
            (-1, 0, (e, south + inset), (w, south + inset), -e, -w),
        )
        for d_row, d_column, start, end, left, right in sides:
            next_row, next_column = row + d_row, column + d_column
            inside = 0 <= next_row < solid.shape[0] and 0 <= next_column < solid.shape[1]
            if inside and solid[next_row, next_column] and scene.wall_texture[i, row, column] >= 0:
                shift = -origin_y if d_column == -1 else origin_y if d_column == 1 else 0.0
                shift += -origin_x if d_row == 1 else origin_x if d_row == -1 else 0.0
                yield {"from": start, "to": end, "z0": scene.wall_z[i, 0],
                       "z1": scene.wall_z[i, 1], "u0": (left + shift) / size,
                       "u1": (right + shift) / size, "v0": 0.0, "v1": 1.0,
                       "texture": scene.wall_texture[i, row, column]}  # fmt: skip
