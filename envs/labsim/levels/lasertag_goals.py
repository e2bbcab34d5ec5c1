"""Which items the bots of laser tag walk to.

Rules and numbers: DeepMind Lab's engine, commit b1db91a (`ai_dmnet.c`, botlib's `be_ai_goal.c` and
`be_ai_move.c`) and its `botfiles` (`items.c`, `fuzi.c`). Bots know all items. What they have
chosen they ignore for a while; if nothing is left, they stand for one thought and forget that.
A bot that wants but one item so stands beside it.
"""

import numpy as np

from envs.labsim.levels.lasertag_fighters import AGENT, MAX_HEALTH, NOBODY
from envs.labsim.levels.lasertag_items import (
    ARMOUR,
    BACK_MS,
    GADGET,
    NOTHING,
    NUM_ITEMS,
    NUM_PLACES,
    is_there,
)
from envs.labsim.levels.lasertag_maps import NO_WAY
from envs.labsim.levels.lasertag_walking import cell_of, walk_to, wish
from envs.labsim.levels.lasertag_weapons import sees
from envs.labsim.physics import MAX_SPEED
from envs.labsim.world import kernel, uniform

AVOID_MS, AVOID_DROPPED_MS = 30000, 10000  # a chosen item is ignored for so long
REACHED = 28.0  # units along x and y from an item at which a bot has been there
GONE_MS = 500  # who sees that an item has been away for so long gives it up
SLOW_DISTANCE = 100.0  # units from an item from which on bots slow down
GOAL_MS = 20000  # in which an item must be reached
CHECK_MS, CHECK_FIGHT_MS = 500, 1000  # between two looks for items near the way, with an enemy
NEARBY_MS = 1500  # of walking, to such an item ..
NEARBY_GOAL_MS, NEARBY_GOAL_FIGHT_MS = 5500, 2000  # .. which must be reached in this time
CELL_MS = 330  # of walking to the next cell
LEAST_MS = 10

# What an item is worth, divided by the way to it, is drawn anew for every choice.
GADGET_WORTH = (17.5, 7000.0)  # without a special gadget; those of the Orb
SPARE_GADGET_WORTH = 1.0  # with one
POWER_UP_WORTH = (1.0, 20.0)
DROPPED_WORTH = 1000.0  # more for what somebody dropped


@kernel
def walk_to_items(fighters, k, items, avoid, cells, steps, now):  # type: ignore[no-untyped-def]
    """Let bot k walk to an item near its way, or to the one that it wants most.

    avoid: i64 [NUM_ITEMS], until when it ignores each. Returns False if it stands instead, for
    want of an item.
    """
    bot, random = fighters[k], fighters[AGENT]
    fights = bot.enemy != NOBODY
    if bot.forgets:
        avoid[:] = 0
        bot.forgets = False
    if _is_done(bot, items, avoid, bot.nearby, cells, now) or now > bot.nearby_ms:
        bot.nearby = NOBODY
    if bot.nearby == NOBODY:
        if _is_done(bot, items, avoid, bot.goal, cells, now) or now > bot.goal_ms:
            bot.goal = NOBODY
        if bot.goal == NOBODY:
            bot.goal = _choose(bot, random, items, avoid, steps, now, NOBODY)
            bot.goal_ms = now + GOAL_MS
        if bot.goal == NOBODY:
            avoid[:] = 0
            wish(bot, 0.0, 0.0)
            return False
        if now > bot.check_ms:
            bot.check_ms = now + (CHECK_FIGHT_MS if fights else CHECK_MS)
            bot.nearby = _choose(bot, random, items, avoid, steps, now, bot.goal)
            bot.nearby_ms = now + (NEARBY_GOAL_FIGHT_MS if fights else NEARBY_GOAL_MS)
    item = items[bot.goal if bot.nearby == NOBODY else bot.nearby]
    walk_to(bot, item.x, item.y, steps)
    way = np.hypot(item.x - bot.x, item.y - bot.y)
    bot.wish_speed = MAX_SPEED * min(way / SLOW_DISTANCE, 1.0)
    return True


@kernel
def _is_done(bot, items, avoid, goal, cells, now):  # type: ignore[no-untyped-def]
    """Whether a bot has been at an item, or sees that it is no longer there; True for NOBODY."""
    if goal == NOBODY:
        return True
    item = items[goal]
    if item.kind == NOTHING:
        return True
    if max(abs(bot.x - item.x), abs(bot.y - item.y)) <= REACHED:
        if goal < NUM_PLACES:
            avoid[goal] = now + AVOID_MS
        return True
    if is_there(item, now):
        return False
    if goal < NUM_PLACES and now - (item.from_ms - BACK_MS[item.kind]) < GONE_MS:
        return False
    return sees(cells, bot.x, bot.y, item.x, item.y)


@kernel
def _choose(bot, random, items, avoid, steps, now, goal):  # type: ignore[no-untyped-def]
    """The item with the most worth for its way; NOBODY if all are ignored.

    With a goal, only what is near and does not lead away from it.
    """
    here = cell_of(bot.x, bot.y)
    best, best_worth = NOBODY, 0.0
    for k in range(NUM_ITEMS):
        item = items[k]
        if item.kind == NOTHING:
            continue
        cell = cell_of(item.x, item.y)
        if steps[cell, here] == NO_WAY:
            continue
        way = max(CELL_MS * steps[cell, here], LEAST_MS)
        if avoid[k] - now > 0.9 * way:
            continue
        worth = _worth(bot, random, item.kind, k >= NUM_PLACES) / way
        if goal != NOBODY:
            end = cell_of(items[goal].x, items[goal].y)
            leads_away = k < NUM_PLACES and steps[end, cell] > steps[end, here]
            if way >= NEARBY_MS or leads_away:
                continue
        if worth > best_worth:
            best, best_worth = k, worth
    if best != NOBODY:
        avoid[best] = now + (AVOID_MS if best < NUM_PLACES else AVOID_DROPPED_MS)
    return best


@kernel
def _worth(bot, random, kind, is_dropped):  # type: ignore[no-untyped-def]
    part = uniform(random)
    if kind == GADGET:
        worth = SPARE_GADGET_WORTH
        if not bot.has_special:
            worth = GADGET_WORTH[0] + part * (GADGET_WORTH[1] - GADGET_WORTH[0])
        return worth + DROPPED_WORTH if is_dropped else worth
    if kind != ARMOUR and bot.health >= MAX_HEALTH:
        return 0.0
    return POWER_UP_WORTH[0] + part * (POWER_UP_WORTH[1] - POWER_UP_WORTH[0])
