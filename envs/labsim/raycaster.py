"""Draw what each environment's camera sees: a column raycaster for upright walls.

Walls are painted column by column from far to near, so holes in textures show what lies behind;
floor and water are painted row by row, after the walls that bound them and before nearer things.
A height difference dz at depth d lies at y = dz / d on the screen, in the unit in which x runs from
-1 to 1: pixels are square, so the focal length is width / 2 pixels.

As in DeepMind Lab, a pixel shows the nearest texel of one mip level, chosen as OpenGL does by the
largest number of texels per pixel in either direction of the screen. Things are drawn with twice as
many texels: in DeepMind Lab they are solids, whose outlines are as sharp as the screen.
"""

import numpy as np

from envs.labsim.horizontal_surfaces import (
    HorizontalSurface,
    add_water,
    paint_floor,
    paint_floor_cells,
)
from envs.labsim.scene import PLATFORM_APOTHEM, PLATFORM_GREY, WATER_PERIOD_MS, WATER_SWAY
from envs.labsim.textures import BITS, LOG2_SIZE, START, TILE, mip_level
from envs.labsim.visible_walls import (
    BEHIND,
    BOTTOM,
    FIELDS,
    SHARPNESS,
    TEXTURE,
    TOP,
    U_GAIN,
    U_SLOPE,
    V_HIGH,
    V_LOW,
    U,
    View,
    enter_grid,
    enter_segments,
    enter_things,
    find_edges,
    sort_entries,
)
from envs.labsim.world import kernel

DIAGONAL = 1.0 / np.sqrt(2.0)
# The square covers this part of the screen's width, as far from its corner: 12 to 60 of DeepMind
# Lab's virtual 640 pixels (keys_doors_puzzle_factory.lua).
SQUARE_START, SQUARE_END = 12 / 640, 60 / 640


@kernel
def render_slice(scene, camera, engine_ms, obs, start, stop):  # type: ignore[no-untyped-def]
    """Draw the images of environments start .. stop - 1 into obs.

    scene: Scene of B worlds. camera: f64 [B, 4] eye x, y, z and yaw in degrees.
    engine_ms: i64 [B] engine clock that drives animated textures. obs: u8 [B, H, W, 3].
    """
    # Functions get the arrays they need, not the scene: Numba would count references to each of
    # its arrays in every call.
    height, width = obs.shape[1], obs.shape[2]
    num_segments, num_things = scene.segments.shape[1], scene.things.shape[1]
    num_surfaces = num_segments + num_things
    is_grid = scene.solid.shape[1] * scene.solid.shape[2] > 1
    texels, mips = scene.texels, scene.mips
    table = np.empty((num_surfaces + width, FIELDS))
    count = np.empty(width, np.int64)
    entries = np.empty((width, num_surfaces + 1, 2))
    edges = np.empty((width, 3), np.int64)
    for i in range(start, stop):
        image = obs[i]
        yaw = np.radians(camera[i, 3])
        view = View(camera[i, 0], camera[i, 1], camera[i, 2], np.cos(yaw), np.sin(yaw))
        count[:] = 0
        enter_segments(scene.segments[i], scene.segment_texture[i], view, table, count, entries)
        enter_things(
            scene.things[i], scene.thing_texture[i], scene.thing_views[i], view, num_segments,
            table, count, entries,
        )  # fmt: skip
        if is_grid:
            enter_grid(
                scene.solid[i], scene.wall_texture[i], scene.grid[i], scene.wall_z[i], view,
                num_surfaces, table, count, entries,
            )  # fmt: skip
        sort_entries(count, entries)
        water_z = scene.water_z[i] if scene.water_texture[i] >= 0 else scene.floor_z[i]
        find_edges(mips, table, count, entries, view.z, scene.floor_z[i], water_z, height, edges)
        _paint_background(scene, i, view, image)
        _paint_walls(texels, mips, table, count, entries, edges, True, view.z, image)
        _paint_floor_and_water(scene, i, engine_ms[i], view, edges, image)
        _paint_walls(texels, mips, table, count, entries, edges, False, view.z, image)
        if scene.floor_z[i] < scene.platform[i, 2] < view.z:
            _paint_platform(scene.platform[i], view, image)
        if scene.square[i, 3] != 0:
            _paint_square(scene.square[i], image)


@kernel
def _paint_background(scene, i, view, image):  # type: ignore[no-untyped-def]
    """Paint the sky, as far down as it can be seen, or a colour above the horizon."""
    horizon = (image.shape[0] + 1) // 2
    if scene.sky_texture[i] >= 0:
        is_grid = scene.solid.shape[1] * scene.solid.shape[2] > 1
        rows = image.shape[0] if is_grid else horizon
        _paint_sky(scene.texels, scene.mips, scene.sky_texture[i], rows, view, image)
    else:
        _fill(scene.background[i], horizon, image)


@kernel
def _fill(colour, rows, image):  # type: ignore[no-untyped-def]
    """Fill the upper rows with one colour."""
    height, width = image.shape[0], image.shape[1]
    for column in range(width):
        for channel in range(3):
            image[0, column, channel] = colour[channel]
    flat = image.reshape(height, 3 * width)
    for row in range(1, rows):
        for k in range(3 * width):
            flat[row, k] = flat[0, k]


@kernel
def _paint_sky(texels, mips, first_texture, rows, view, image):  # type: ignore[no-untyped-def]
    """Fill the upper rows with the sides of a sky box; a level view hardly leaves them."""
    height, width = image.shape[0], image.shape[1]
    focal = 0.5 * width
    for column in range(width):
        x = (column + 0.5) / focal - 1.0
        ray_x, ray_y = view.cos + x * view.sin, view.sin - x * view.cos
        if abs(ray_x) >= abs(ray_y):
            face = 0 if ray_x > 0.0 else 2
            reach, across = abs(ray_x), (-ray_y if ray_x > 0.0 else ray_y)
        else:
            face = 1 if ray_y > 0.0 else 3
            reach, across = abs(ray_y), (ray_x if ray_y > 0.0 else -ray_x)
        texture = first_texture + face
        bits = mips[texture, LOG2_SIZE]
        level = mip_level((1 << bits) / (2.0 * focal * reach), bits)
        bits -= level
        size = 1 << bits
        u = min(int((0.5 + 0.5 * across / reach) * size), size - 1)
        strip = texels[mips[texture, START + level] + u * size :][:size]
        v_step = size / (2.0 * focal * reach)
        v = 0.5 * size + (0.5 - 0.5 * height) * v_step
        for row in range(rows):
            texel = strip[min(max(int(v), 0), size - 1)]
            image[row, column, 0] = texel & 255
            image[row, column, 1] = (texel >> 8) & 255
            image[row, column, 2] = (texel >> 16) & 255
            v += v_step


@kernel
def _paint_walls(  # type: ignore[no-untyped-def]
    texels, mips, table, count, entries, edges, behind, eye_z, image
):
    """Paint all columns' surfaces that belong behind the floor, or those before it."""
    for column in range(image.shape[1]):
        split = edges[column, BEHIND]
        for k in range(0 if behind else split, split if behind else count[column]):
            depth, surface = entries[column, k, 0], int(entries[column, k, 1])
            _paint_wall(texels, mips, table, surface, depth, eye_z, column, image)


@kernel
def _paint_wall(  # type: ignore[no-untyped-def]
    texels, mips, table, surface, depth, eye_z, column, image
):
    """Paint a surface into one column."""
    height, width = image.shape[0], image.shape[1]
    focal, middle = 0.5 * width, 0.5 * height
    first = middle - (table[surface, TOP] - eye_z) * focal / depth  # rows, not rounded
    last = middle - (table[surface, BOTTOM] - eye_z) * focal / depth
    texture = int(table[surface, TEXTURE])
    bits = mips[texture, LOG2_SIZE]
    u_per_pixel = table[surface, U_GAIN] * depth * depth / focal
    v_per_pixel = (table[surface, V_LOW] - table[surface, V_HIGH]) / (last - first)
    texels_per_pixel = max(abs(v_per_pixel), u_per_pixel) * (1 << bits)
    level = mip_level(texels_per_pixel / table[surface, SHARPNESS], bits)
    bits -= level
    size = 1 << bits
    x = (column + 0.5) / focal - 1.0
    u = depth * (table[surface, U] + x * table[surface, U_SLOPE])
    start = mips[texture, START + level] + ((int(np.floor(u * size)) & (size - 1)) << bits)
    strip = texels[start : start + size]
    top = int(np.ceil(min(max(first, 0.0), float(height)) - 0.5))
    bottom = int(np.ceil(min(max(last, 0.0), float(height)) - 0.5))
    v = int((table[surface, V_HIGH] + (top + 0.5 - first) * v_per_pixel) * TILE)
    v_step = int(v_per_pixel * TILE)
    for row in range(top, bottom):
        texel = strip[(v >> (BITS - bits)) & (size - 1)]
        if texel >> 24:
            image[row, column, 0] = texel & 255
            image[row, column, 1] = (texel >> 8) & 255
            image[row, column, 2] = (texel >> 16) & 255
        v += v_step


@kernel
def _paint_floor_and_water(scene, i, engine_ms, view, edges, image):  # type: ignore[no-untyped-def]
    """Paint what each column's edges leave to the floor, and the water."""
    texels, mips, textures = scene.texels, scene.mips, scene.floor_texture[i]
    floor = HorizontalSurface(textures.max(), scene.floor_tile[i], scene.floor_z[i])
    water = HorizontalSurface(scene.water_texture[i], scene.water_tile[i], scene.water_z[i])
    if textures.size > 1:
        paint_floor_cells(texels, mips, textures, scene.grid[i], floor, view, edges, image)
    else:
        paint_floor(texels, mips, floor, view, edges, image)
    if water.texture >= 0:
        phase = 2.0 * np.pi * (engine_ms % WATER_PERIOD_MS) / WATER_PERIOD_MS
        sway_u, sway_v = WATER_SWAY * np.cos(phase), WATER_SWAY * np.sin(phase)
        add_water(texels, mips, water, sway_u, sway_v, view, edges, image)


@kernel
def _paint_platform(platform, view, image):  # type: ignore[no-untyped-def]
    """Paint the top of the raised platform, an octagon. Only the camera is above it."""
    height, width = image.shape[0], image.shape[1]
    focal = 0.5 * width
    for row in range((height + 1) // 2, height):
        depth = (view.z - platform[2]) * focal / (row + 0.5 - 0.5 * height)
        for column in range(width):
            x = (column + 0.5) / focal - 1.0
            dx = abs(view.x + depth * (view.cos + x * view.sin) - platform[0])
            dy = abs(view.y + depth * (view.sin - x * view.cos) - platform[1])
            if max(dx, dy, (dx + dy) * DIAGONAL) <= PLATFORM_APOTHEM:
                for channel in range(3):
                    image[row, column, channel] = PLATFORM_GREY


@kernel
def _paint_square(square, image):  # type: ignore[no-untyped-def]
    """Paint a square of one colour near the upper left corner."""
    first = int(np.ceil(SQUARE_START * image.shape[1] - 0.5))
    last = int(np.ceil(SQUARE_END * image.shape[1] - 0.5))
    for row in range(first, last):
        for column in range(first, last):
            for channel in range(3):
                image[row, column, channel] = square[channel]
