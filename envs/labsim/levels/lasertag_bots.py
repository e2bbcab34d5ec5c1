"""What the bots of laser tag think: whom they notice, when they fight, chase and flee.

Rules and numbers: DeepMind Lab's engine, commit b1db91a (`ai_dmq3.c`, `ai_dmnet.c`, `ai_main.c`)
and the characters CygniColor, LeonisColor and EpsilonColor of `assets_oa/botfiles/bots` at skill 4.
Bots know where all walls are; what they know of others is what they see.
"""

import numpy as np

from envs.labsim.levels.lasertag_aim import CLOSE, aim, angle_between, shoots
from envs.labsim.levels.lasertag_fighters import BEAM, NOBODY, NUM_FIGHTERS
from envs.labsim.levels.lasertag_goals import walk_to_items
from envs.labsim.levels.lasertag_walking import look_ahead, strafe, walk_around, walk_to
from envs.labsim.levels.lasertag_weapons import best_gadget, change_gadget, sees
from envs.labsim.world import kernel

# Of Cygni, Leonis and Epsilon.
ALERTNESS = np.array([0.98, 1.0, 1.0])

SIGHT, SIGHT_ALERT = 900.0, 4000.0  # units, and more for each part of alertness
NARROW_VIEW, WIDE_VIEW_DISTANCE = 90.0, 810.0  # degrees near by; twice that from there on
CHASED = 23.0  # units along x and y from where an enemy was last seen
ENEMY_VIEW = 90.0  # degrees that enemies are assumed to see
AIM_MS, SHOOT_MS = 500, 1000  # reaction times: until a bot aims, and shoots, after noticing
KNOWN_MS = 2000  # an enemy who comes nearer than the present one counts as noticed so long ago
FORGET_MS = 4000  # without sight, a fleeing bot forgets its enemy
CHASE_MS = 10000  # and a chasing one
LINGER_MS = 1000  # a fighting bot goes on for so long after its enemy died


@kernel
def wants_to_fight(bot, special):  # type: ignore[no-untyped-def]
    """Whether a bot fights and chases; else it keeps to its way and shoots as it goes."""
    if bot.health < 60 or (bot.health < 80 and bot.armour < 40):
        return False
    if special == BEAM:
        return bot.special_ammo > 50
    return bot.special_ammo > 5


@kernel
def find_enemy(fighters, k, present, special, cells, now):  # type: ignore[no-untyped-def]
    """Let bot k notice an enemy, or one who is nearer than the present one (or NOBODY)."""
    bot = fighters[k]
    hurt = bot.health < bot.last_health
    bot.last_health = bot.health
    limit = SIGHT + SIGHT_ALERT * ALERTNESS[k - 1]
    if present != NOBODY:
        limit = min(limit, np.hypot(fighters[present].x - bot.x, fighters[present].y - bot.y))
    for other in range(NUM_FIGHTERS):
        enemy = fighters[other]
        if other in (k, present) or not enemy.alive:
            continue
        dx, dy = enemy.x - bot.x, enemy.y - bot.y
        distance = np.hypot(dx, dy)
        if distance > limit:
            continue
        alarmed = present == NOBODY and (hurt or enemy.shooting)
        bearing = np.degrees(np.arctan2(dy, dx))
        part = min(distance / WIDE_VIEW_DISTANCE, 1.0)
        view = 360.0 if alarmed else NARROW_VIEW * (1.0 + part * part)
        if abs(angle_between(bot.yaw, bearing)) > 0.5 * view:
            continue
        if not sees(cells, bot.x, bot.y, enemy.x, enemy.y):
            continue
        if present == NOBODY and distance > CLOSE and not hurt and not enemy.shooting:
            unseen = abs(angle_between(enemy.yaw, bearing + 180.0)) > 0.5 * ENEMY_VIEW
            if unseen and not wants_to_fight(bot, special):
                continue
        bot.enemy = other
        bot.sight_ms = now if present == NOBODY else now - KNOWN_MS
        bot.visible_ms = now
        return


@kernel
def _watch(fighters, k, fights, cells, now):  # type: ignore[no-untyped-def]
    """Keep bot k's enemy in view, or forget him; return whether he is seen."""
    bot = fighters[k]
    if bot.enemy == NOBODY:
        return False
    enemy = fighters[bot.enemy]
    if not enemy.alive and not (fights and now - enemy.died_ms < LINGER_MS):
        bot.enemy = NOBODY
        return False
    if sees(cells, bot.x, bot.y, enemy.x, enemy.y):
        bot.visible_ms = now
        return True
    if now - bot.visible_ms > (CHASE_MS if fights else FORGET_MS):
        bot.enemy = NOBODY
    return False


@kernel
def think(fighters, k, game, items, avoid, cells, steps, now):  # type: ignore[no-untyped-def]
    """Let living bot k decide where to walk, where to look and whether to hold FIRE."""
    bot = fighters[k]
    held = bot.shooting
    bot.shooting = False
    change_gadget(bot, best_gadget(bot, game.special))
    wants = wants_to_fight(bot, game.special)
    fights = wants or bot.desperate
    visible = _watch(fighters, k, fights, cells, now)
    if not wants and bot.desperate and not visible:
        bot.enemy = NOBODY
    if bot.enemy == NOBODY:
        bot.desperate, fights = False, wants
    if visible:
        find_enemy(fighters, k, bot.enemy, game.special, cells, now)
    else:
        find_enemy(fighters, k, NOBODY, game.special, cells, now)
    if bot.visible_ms == now and bot.enemy != NOBODY:
        visible = True
        bot.seen_x, bot.seen_y = fighters[bot.enemy].known_x, fighters[bot.enemy].known_y
    if bot.enemy != NOBODY and fights:
        bot.goal, bot.nearby = NOBODY, NOBODY
        if not visible:
            walk_to(bot, bot.seen_x, bot.seen_y, steps)
            walk_around(fighters, k, cells, now)
            if max(abs(bot.x - bot.seen_x), abs(bot.y - bot.seen_y)) < CHASED:
                bot.enemy = NOBODY
    elif walk_to_items(fighters, k, items, avoid, cells, steps, now):
        walk_around(fighters, k, cells, now)
    elif bot.enemy != NOBODY:
        bot.desperate = fights = visible
    if bot.enemy != NOBODY and fights and visible:
        strafe(fighters, k, cells, now)
    if bot.enemy == NOBODY:
        x, y = look_ahead(bot, items, steps)
        bot.ideal_yaw, bot.ideal_slope = np.degrees(np.arctan2(y - bot.y, x - bot.x)), 0.0
    elif now - bot.sight_ms >= AIM_MS:
        x, y = aim(fighters, k, visible, held, now)
        if visible and now - bot.sight_ms >= SHOOT_MS:
            bot.shooting = shoots(fighters, k, cells, x, y, now)
