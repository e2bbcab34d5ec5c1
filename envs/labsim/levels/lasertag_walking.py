"""How the bots of laser tag walk: from cell to cell, past each other, around an enemy.

Rules: DeepMind Lab's engine, commit b1db91a (`ai_dmq3.c`, botlib's `be_ai_move.c`). Left out: bots
never crouch, because all three would rather jump.
"""

import numpy as np

from envs.labsim.collision import CLEARANCE, WALL_THICKNESS
from envs.labsim.levels.lasertag_fighters import AGENT, IMPULSE, NOBODY, NUM_FIGHTERS
from envs.labsim.levels.lasertag_maps import NO_WAY, SIDE
from envs.labsim.physics import (
    AIR_ACCELERATION,
    FRICTION,
    GROUND_ACCELERATION,
    GROUND_REACH,
    MAX_SPEED,
    STOP_SPEED,
)
from envs.labsim.text_maze import CELL
from envs.labsim.world import FEET, HALF_WIDTH, kernel, uniform

LOOK_AHEAD = 3  # cells; the engine has 300 units
IDEAL_DISTANCE, DISTANCE_RANGE = 140.0, 40.0  # from the enemy in a fight
STRAFE_MS, STRAFE_JITTER_MS = 400, 200  # until a bot may strafe to the other side
STRAFE_CHANGE = 0.065  # probability of that in each thought
STEP_BACK = 0.1  # probability of stepping back in each thought
JUMP_MS = 1000  # between two jumps in a fight
JUMP_SPEED = 270.0  # units per engine second
BLOCKED = 3.0  # units ahead in which a body makes a bot walk around it ..
BLOCKED_MS = 400  # .. and after this long look for another item

# Bots move only where they believe to get at least so far.
LEAST_WAY = 20.0  # units
BELIEF_SECONDS = 0.1  # of one step of their forecast
WALK_STEPS, JUMP_STEPS = 2, 7  # steps of it; a jump lasts as long as its flight


@kernel
def cell_of(x, y):  # type: ignore[no-untyped-def]
    """The number of the cell that holds a point."""
    return int(y / CELL) * SIDE + int(x / CELL)


@kernel
def walk_to(bot, x, y, steps):  # type: ignore[no-untyped-def]
    """Set the direction of walking so that the bot comes nearer to a point.

    steps: u8 [cells, cells], see `walking_distances`.
    """
    x, y = _on_the_way(bot, x, y, steps, 1)
    wish(bot, x - bot.x, y - bot.y)


@kernel
def look_ahead(bot, items, steps):  # type: ignore[no-untyped-def]
    """Where a bot looks that has no enemy: to a point on the way to its goal."""
    if bot.goal == NOBODY:
        return bot.x + bot.wish_x, bot.y + bot.wish_y
    item = items[bot.goal]
    return _on_the_way(bot, item.x, item.y, steps, LOOK_AHEAD)


@kernel
def _on_the_way(bot, x, y, steps, cells):  # type: ignore[no-untyped-def]
    """The point so many cells further on a bot's way to (x, y), or that if it is nearer."""
    here, goal = cell_of(bot.x, bot.y), cell_of(x, y)
    if here == goal or steps[goal, here] == NO_WAY:
        return x, y
    for _ in range(cells):
        best = here
        for side in range(4):
            near = here + (1 if side == 0 else -1 if side == 1 else SIDE if side == 2 else -SIDE)
            if steps[goal, near] < steps[goal, best]:
                best = near
        here = best
    return CELL * (here % SIDE + 0.5), CELL * (here // SIDE + 0.5)


@kernel
def wish(bot, dx, dy):  # type: ignore[no-untyped-def]
    """Walk in a direction of any length."""
    length = np.sqrt(dx * dx + dy * dy)
    if length < 1.0e-6:
        bot.wish_x, bot.wish_y = 0.0, 0.0
    else:
        bot.wish_x, bot.wish_y = dx / length, dy / length
    bot.wish_speed = MAX_SPEED


@kernel
def walk_around(fighters, k, cells, now):  # type: ignore[no-untyped-def]
    """If somebody stands right ahead of bot k, let it walk to one side, or back."""
    bot = fighters[k]
    dx, dy = bot.wish_x, bot.wish_y
    blocked = False
    for other in range(NUM_FIGHTERS):
        body = fighters[other]
        away = max(abs(body.x - bot.x - BLOCKED * dx), abs(body.y - bot.y - BLOCKED * dy))
        blocked = blocked or (other != k and body.alive and away < 2.0 * HALF_WIDTH)
    if not blocked:
        bot.free_ms = now
        return
    side = -1.0 if bot.avoid_right else 1.0
    side_x, side_y = side * dy, -side * dx
    if not _gets_on(bot, cells, side_x, side_y, False):
        bot.avoid_right = not bot.avoid_right
        side_x, side_y = (side_x - dx) * 0.5**0.5, (side_y - dy) * 0.5**0.5
        if not _gets_on(bot, cells, side_x, side_y, False):
            side_x, side_y = dx, dy
    wish(bot, side_x, side_y)
    if now - bot.free_ms > BLOCKED_MS:
        bot.goal, bot.nearby = NOBODY, NOBODY


@kernel
def strafe(fighters, k, cells, now):  # type: ignore[no-untyped-def]
    """Circle around the enemy at the ideal distance, jumping, now and then the other way round."""
    bot, random = fighters[k], fighters[AGENT]
    enemy = fighters[bot.enemy]
    dx, dy = enemy.known_x - bot.x, enemy.known_y - bot.y
    distance = max(np.sqrt(dx * dx + dy * dy), 1.0)
    dx, dy = dx / distance, dy / distance
    jumps = now >= bot.jump_ms
    if jumps:
        bot.jump_ms = now + JUMP_MS
    wait = STRAFE_MS + STRAFE_JITTER_MS * (2.0 * uniform(random) - 1.0)
    if now - bot.strafe_ms > wait and uniform(random) < STRAFE_CHANGE:
        bot.strafe_right = not bot.strafe_right
        bot.strafe_ms = now
    wish(bot, 0.0, 0.0)
    if bot.z - FEET - bot.floor >= GROUND_REACH + CLEARANCE:
        return  # in the air it does not steer
    ideal, spread = IDEAL_DISTANCE, DISTANCE_RANGE
    if bot.gadget == IMPULSE:
        ideal, spread = 0.0, 0.0
    for _ in range(2):
        side = 1.0 if bot.strafe_right else -1.0
        ahead = 0.0
        if uniform(random) < STEP_BACK:
            ahead = -1.0
        elif distance > ideal + spread:
            ahead = 1.0
        elif distance < ideal - spread:
            ahead = -1.0
        length = np.sqrt(1.0 + ahead * ahead)
        to_x, to_y = (ahead * dx + side * dy) / length, (ahead * dy - side * dx) / length
        if _gets_on(bot, cells, to_x, to_y, jumps):
            wish(bot, to_x, to_y)
            if jumps:
                bot.vz = JUMP_SPEED
            return
        bot.strafe_right = not bot.strafe_right
        bot.strafe_ms = now


@kernel
def _gets_on(bot, cells, dx, dy, jumps):  # type: ignore[no-untyped-def]
    """Whether a bot believes that walls let it walk, or jump, along the unit vector (dx, dy)."""
    x, y, vx, vy = bot.x, bot.y, bot.vx, bot.vy
    for step in range(JUMP_STEPS if jumps else WALK_STEPS):
        if step == 0 or not jumps:
            speed = np.sqrt(vx * vx + vy * vy)
            drop = max(speed, STOP_SPEED) * FRICTION * BELIEF_SECONDS
            kept = max(speed - drop, 0.0) / max(speed, 1.0)
            acceleration = AIR_ACCELERATION if jumps else GROUND_ACCELERATION
            missing = MAX_SPEED - kept * (vx * dx + vy * dy)
            gain = max(min(acceleration * BELIEF_SECONDS * MAX_SPEED, missing), 0.0)
            vx, vy = kept * vx + gain * dx, kept * vy + gain * dy
        to_x = _up_to_wall(cells, x, y, BELIEF_SECONDS * vx, 0.0)
        if to_x != x + BELIEF_SECONDS * vx:
            vx = 0.0
        x = to_x
        to_y = _up_to_wall(cells, x, y, 0.0, BELIEF_SECONDS * vy)
        if to_y != y + BELIEF_SECONDS * vy:
            vy = 0.0
        y = to_y
    return np.hypot(x - bot.x, y - bot.y) >= LEAST_WAY


@kernel
def _up_to_wall(cells, x, y, dx, dy):  # type: ignore[no-untyped-def]
    """Move a box along x or along y, up to a wall; its new coordinate there. One of dx, dy is 0."""
    to = x + dx if dy == 0.0 else y + dy
    half = HALF_WIDTH + WALL_THICKNESS
    forward = dx + dy > 0.0
    cell = int((to + half if forward else to - half) / CELL)
    for side in (-HALF_WIDTH, HALF_WIDTH):
        beside = int(((y if dy == 0.0 else x) + side) / CELL)
        solid = cells[beside, cell] if dy == 0.0 else cells[cell, beside]
        if solid:
            return CELL * cell - half if forward else CELL * (cell + 1) + half
    return to
