"""Where the bots of laser tag go: to items, after enemies, around them.

Rules: DeepMind Lab's engine, commit b1db91a (`ai_dmq3.c`, `ai_dmnet.c`, botlib's `be_ai_goal.c`).
Bots know the maze and walk from cell to cell. Left out: jumping, crouching and camping.
"""

import numpy as np

from envs.labsim.levels.lasertag_fighters import AGENT, IMPULSE, NOBODY
from envs.labsim.levels.lasertag_items import (
    ARMOUR,
    GADGET,
    NUM_ITEMS,
    NUM_PLACES,
    is_there,
    is_useful,
)
from envs.labsim.levels.lasertag_maps import NO_WAY, SIDE
from envs.labsim.physics import MAX_SPEED
from envs.labsim.text_maze import CELL
from envs.labsim.world import HALF_WIDTH, kernel, uniform

# After a bot has been at an item, it thinks of other ones for this long.
AVOID_MS = np.array([10000, 35000, 25000])  # a gadget, health, armour
ARRIVED = 24.0  # units along x and y from an item at which a bot has been there
LOOK_AHEAD = 3  # cells; the engine has 300 units
SLOW_DISTANCE = 100.0  # units from an item from which on bots slow down
# What items are worth to a bot, for one more cell on the way to it.
GADGET_WORTH, SPARE_GADGET_WORTH = 4.0, 1.0  # without a special gadget, and with one
ARMOUR_WORTH = 1.5
HEALTH_WORTH, HEALTH_WORTH_LOST = 0.5, 0.05  # and for each point that is missing
CELLS_TO_START = 2.0  # to the way to every item

IDEAL_DISTANCE, DISTANCE_RANGE = 140.0, 40.0  # from the enemy in a fight
STRAFE_MS, STRAFE_JITTER_MS = 400, 200  # until a bot may strafe to the other side
STRAFE_CHANGE = 0.065  # probability of that in each thought
STEP_BACK = 0.1  # probability of stepping back in each thought
FEELER = 30.0  # units that a strafing bot looks ahead for walls
STUCK_SPEED = 60.0  # a bot that wants to walk and is slower than this is blocked
DODGE_MS = 400  # then it walks to one side for this long


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
    _wish(bot, x - bot.x, y - bot.y)


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
def _wish(bot, dx, dy):  # type: ignore[no-untyped-def]
    """Walk in a direction of any length."""
    length = np.sqrt(dx * dx + dy * dy)
    if length < 1.0e-6:
        bot.wish_x, bot.wish_y = 0.0, 0.0
    else:
        bot.wish_x, bot.wish_y = dx / length, dy / length
    bot.wish_speed = MAX_SPEED


@kernel
def dodge(bot, now, random):  # type: ignore[no-untyped-def]
    """If somebody blocks the way, or just did, walk around him; True if so."""
    if now < bot.dodge_ms:
        return True
    wants = bot.wish_x != 0.0 or bot.wish_y != 0.0
    if not wants or np.sqrt(bot.vx * bot.vx + bot.vy * bot.vy) >= STUCK_SPEED:
        return False
    sign = 1.0 if uniform(random) < 0.5 else -1.0
    back = uniform(random)
    x, y = bot.wish_x, bot.wish_y
    _wish(bot, -sign * y - back * x, sign * x - back * y)
    bot.dodge_ms = now + DODGE_MS
    return True


@kernel
def walk_to_items(fighters, k, items, avoid, steps, now):  # type: ignore[no-untyped-def]
    """Walk to the item that bot k wants most; avoid [NUM_PLACES] is until when it ignores each."""
    bot = fighters[k]
    goal = bot.goal
    if goal != NOBODY:
        item = items[goal]
        reached = max(abs(bot.x - item.x), abs(bot.y - item.y)) <= ARRIVED
        if goal >= NUM_PLACES:
            if reached or not is_there(item, now):
                goal = NOBODY
        elif reached or now < avoid[goal]:
            avoid[goal] = max(avoid[goal], now + AVOID_MS[item.kind])
            goal = NOBODY
    if goal == NOBODY:
        goal = _choose_item(bot, items, avoid, steps, now)
        if goal == NOBODY:
            # As in the engine, a bot that ignores everything forgets what it ignores.
            avoid[:] = 0
            goal = _choose_item(bot, items, avoid, steps, now)
        bot.goal = goal
    x, y = items[goal].x, items[goal].y
    walk_to(bot, x, y, steps)
    bot.wish_speed = MAX_SPEED * min(np.hypot(x - bot.x, y - bot.y) / SLOW_DISTANCE, 1.0)


@kernel
def _choose_item(bot, items, avoid, steps, now):  # type: ignore[no-untyped-def]
    """The item with the most worth for its way; NOBODY if all are ignored."""
    here = cell_of(bot.x, bot.y)
    best, best_worth = NOBODY, 0.0
    for k in range(NUM_ITEMS):
        item = items[k]
        if k < NUM_PLACES:
            near = max(abs(bot.x - item.x), abs(bot.y - item.y)) <= ARRIVED
            if now < avoid[k] or near:
                continue
        elif not is_there(item, now):
            continue
        way = CELLS_TO_START + steps[cell_of(item.x, item.y), here]
        worth = _worth(bot, item.kind) / way
        if worth > best_worth:
            best, best_worth = k, worth
    return best


@kernel
def _worth(bot, kind):  # type: ignore[no-untyped-def]
    if kind == GADGET:
        return GADGET_WORTH if bot.special_ammo == 0 else SPARE_GADGET_WORTH
    if kind == ARMOUR:
        return ARMOUR_WORTH if is_useful(bot, kind) else 0.5 * ARMOUR_WORTH
    return HEALTH_WORTH + HEALTH_WORTH_LOST * max(100 - bot.health, 0)


@kernel
def strafe(fighters, k, cells, now):  # type: ignore[no-untyped-def]
    """Circle around the enemy at the ideal distance, now and then the other way round."""
    bot, random = fighters[k], fighters[AGENT]
    enemy = fighters[bot.enemy]
    dx, dy = enemy.x - bot.x, enemy.y - bot.y
    distance = max(np.sqrt(dx * dx + dy * dy), 1.0)
    dx, dy = dx / distance, dy / distance
    wait = STRAFE_MS + STRAFE_JITTER_MS * (2.0 * uniform(random) - 1.0)
    if now - bot.strafe_ms > wait and uniform(random) < STRAFE_CHANGE:
        bot.strafe_right = not bot.strafe_right
        bot.strafe_ms = now
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
        _wish(bot, ahead * dx + side * dy, ahead * dy - side * dx)
        if _is_free(cells, bot.x + FEELER * bot.wish_x, bot.y + FEELER * bot.wish_y):
            return
        bot.strafe_right = not bot.strafe_right
        bot.strafe_ms = now


@kernel
def _is_free(cells, x, y):  # type: ignore[no-untyped-def]
    """Whether a fighter at (x, y) would be clear of solid cells."""
    for side_x in (-HALF_WIDTH, HALF_WIDTH):
        for side_y in (-HALF_WIDTH, HALF_WIDTH):
            if cells[int((y + side_y) / CELL), int((x + side_x) / CELL)]:
                return False
    return True
