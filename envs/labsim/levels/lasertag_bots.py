"""What the bots of laser tag think: whom they notice, when they flee, how they aim and shoot.

Rules and numbers: DeepMind Lab's engine, commit b1db91a (`ai_dmq3.c`, `ai_dmnet.c`, `ai_main.c`)
and the characters CygniColor, LeonisColor and EpsilonColor of `assets_oa/botfiles/bots` at skill 4.
Bots know where all walls are; what they know of others is what they see.
"""

import numpy as np

from envs.labsim.levels.lasertag_fighters import (
    AGENT,
    BEAM,
    IMPULSE,
    NOBODY,
    NUM_FIGHTERS,
    ORB,
)
from envs.labsim.levels.lasertag_goals import walk_to_items
from envs.labsim.levels.lasertag_walking import look_ahead, strafe, walk_around, walk_to
from envs.labsim.levels.lasertag_weapons import (
    FAR,
    ORB_SPEED,
    SPLASH_RADIUS,
    ammo,
    best_gadget,
    change_gadget,
    first_hit,
    sees,
)
from envs.labsim.text_maze import FLOOR_Z, STANDING_Z
from envs.labsim.world import EYE, SERVER_FRAME_MS, kernel, uniform

# Of Cygni, Leonis and Epsilon; accuracy with Impulse, Rapid, Orb, Beam, Disc.
ACCURACY = np.array(
    [[0.9, 0.7, 0.9, 0.7, 1.0], [0.9, 0.9, 0.9, 0.9, 0.9], [0.75, 0.5, 0.75, 0.75, 0.75]]
)
FIRE_THROTTLE = np.array([0.5, 0.9, 1.0])
ALERTNESS = np.array([0.98, 1.0, 1.0])

VIEW_FACTOR = 0.9  # part of the missing turn that a bot with an enemy makes in a frame ..
CALM_VIEW_FACTOR = 0.05  # .. and what a bot without one adds to its speed of turning
MAX_TURN = 240.0 * SERVER_FRAME_MS / 1000.0  # degrees in a frame with an enemy ..
CALM_MAX_TURN = 360.0 * SERVER_FRAME_MS / 1000.0  # .. and without
TURN_DAMPING = 0.45

SIGHT, SIGHT_ALERT = 900.0, 4000.0  # units, and more for each part of alertness
NARROW_VIEW, WIDE_VIEW_DISTANCE = 90.0, 810.0  # degrees near by; twice that from there on
CLOSE = 100.0  # units: an enemy this near cannot be avoided
CHASED = 23.0  # units along x and y from where an enemy was last seen
ENEMY_VIEW = 90.0  # degrees that enemies are assumed to see
AIM_MS, SHOOT_MS = 500, 1000  # reaction times: until a bot aims, and shoots, after noticing
KNOWN_MS = 2000  # an enemy who comes nearer than the present one counts as noticed so long ago
FORGET_MS = 4000  # without sight, a fleeing bot forgets its enemy
CHASE_MS = 10000  # and a chasing one
LINGER_MS = 1000  # a fighting bot goes on for so long after its enemy died
SHOOT_VIEW, CLOSE_SHOOT_VIEW = 50.0, 120.0  # degrees in which the target must be

AIM_UP = 8.0  # units above the enemy's origin
ORB_HALF_SIZE = 8.0  # units: as large they believe Orbs to be
HIGHER, BELOW_FLOOR = 16.0, 8.0  # units: Orbs aim below the floor unless the enemy is higher up
FAR_FLOOR = 430.0  # units: from there on such a line meets the floor too far before the enemy
MEMORY_MS, LEAST_MOVE = 500, 32.0  # who moves less in this time gets Orbs without a lead
FORECASTS = np.array([True, True, False])  # whether their skill with Orbs is above 0.8
FORECAST_KEEPS = 0.4  # part of its speed that whoever walks keeps in a step of a forecast
MISS_FLAT, MISS_UP = 20.0, 10.0  # units by which an aim with accuracy 0 errs at most
MISS_DIRECTION, STEADY = 0.3, 0.8  # accuracy below this also errs in direction, by this at most
BLUR_NEAR, BLUR_DISTANCE = 0.6, 150.0  # accuracy of lines is less near by: this part at 0 units


@kernel
def angle_between(a, b):  # type: ignore[no-untyped-def]
    """Degrees from one direction to another, -180 to 180."""
    return (b - a + 180.0) % 360.0 - 180.0


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
        # In the engine, bots do not leave alone who fires either. Then the agent, who seldom looks
        # at anybody, dies far more often than recorded; no other statistic tells.
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
    elif not visible:
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
        x, y = _aim(fighters, k, visible, held, now)
        if visible and now - bot.sight_ms >= SHOOT_MS:
            bot.shooting = _shoots(fighters, k, cells, x, y, now)


@kernel
def _lead(bot, k, enemy, distance, held, now):  # type: ignore[no-untyped-def]
    """Seconds by which bot k aims an Orb ahead of a moving enemy; `held` is whether it fires on."""
    if now > bot.memory_ms:
        bot.memory_ms = now + MEMORY_MS
        bot.memory_x, bot.memory_y = enemy.known_x, enemy.known_y
    moved = np.hypot(enemy.known_x - bot.memory_x, enemy.known_y - bot.memory_y)
    if distance > CLOSE and moved < LEAST_MOVE:
        return 0.0
    if held or not FORECASTS[k - 1]:
        return distance / ORB_SPEED
    # The forecast's steps of 0.1 s are whole ones, and in them friction stops who walks.
    steps = int(10.0 * distance / ORB_SPEED)
    if enemy.known_z > STANDING_Z + 1.0:
        return 0.1 * steps
    return 0.1 * (1.0 - FORECAST_KEEPS**steps) / (1.0 - FORECAST_KEEPS)


@kernel
def _aim(fighters, k, visible, held, now):  # type: ignore[no-untyped-def]
    """Turn bot k's ideal view to where it believes its enemy to be; return that point."""
    bot, random = fighters[k], fighters[AGENT]
    enemy = fighters[bot.enemy]
    accuracy = ACCURACY[k - 1, bot.gadget]
    x, y, z = bot.seen_x, bot.seen_y, enemy.known_z + AIM_UP
    distance = max(np.hypot(x - bot.x, y - bot.y), 1.0)
    if visible:
        if bot.gadget == ORB:
            seconds = _lead(bot, k, enemy, distance, held, now)
            x += seconds * enemy.known_vx
            y += seconds * enemy.known_vy
            if CLOSE < distance < FAR_FLOOR and enemy.known_z < bot.z + HIGHER:
                z = FLOOR_Z - BELOW_FLOOR  # where a splash catches the feet
        miss = 1.0 - accuracy
        x += MISS_FLAT * miss * (2.0 * uniform(random) - 1.0)
        y += MISS_FLAT * miss * (2.0 * uniform(random) - 1.0)
        z += MISS_UP * miss * (2.0 * uniform(random) - 1.0)
    dx, dy, dz = x - bot.x, y - bot.y, z - bot.z - EYE
    distance = max(np.sqrt(dx * dx + dy * dy + dz * dz), 1.0)
    if bot.gadget != ORB and bot.gadget != IMPULSE:
        near = min(distance, BLUR_DISTANCE) / BLUR_DISTANCE
        accuracy *= BLUR_NEAR + (1.0 - BLUR_NEAR) * near
    dx, dy, dz = dx / distance, dy / distance, dz / distance
    if accuracy < STEADY:
        miss = MISS_DIRECTION * (1.0 - accuracy)
        dx += miss * (2.0 * uniform(random) - 1.0)
        dy += miss * (2.0 * uniform(random) - 1.0)
        dz += miss * (2.0 * uniform(random) - 1.0)
    bot.ideal_yaw = np.degrees(np.arctan2(dy, dx))
    bot.ideal_slope = dz / max(np.hypot(dx, dy), 0.05)
    return x, y


@kernel
def _shoots(fighters, k, cells, x, y, now):  # type: ignore[no-untyped-def]
    """Whether bot k, who aims at (x, y) at its enemy, holds FIRE until its next thought.

    It does not mind who stands in the way.
    """
    bot, random = fighters[k], fighters[AGENT]
    if now < bot.pause_until_ms:
        return False
    if now >= bot.burst_until_ms:
        throttle = FIRE_THROTTLE[k - 1]
        if uniform(random) > throttle:
            bot.pause_until_ms = now + int(1000.0 * throttle)
            bot.burst_until_ms = now
        else:
            bot.burst_until_ms = now + int(1000.0 * (1.0 - throttle))
            bot.pause_until_ms = now
    dx, dy = x - bot.x, y - bot.y
    flat = max(np.hypot(dx, dy), 1.0)
    if bot.gadget == IMPULSE and flat > 60.0:
        return False
    view = CLOSE_SHOOT_VIEW if flat < CLOSE else SHOOT_VIEW
    if abs(angle_between(bot.yaw, np.degrees(np.arctan2(dy, dx)))) > 0.5 * view:
        return False
    if bot.gadget == ORB:
        return _spares_itself(fighters, k, cells)
    return ammo(bot, bot.gadget) > 0


@kernel
def _spares_itself(fighters, k, cells):  # type: ignore[no-untyped-def]
    """Whether an Orb, were it as large as bot k believes, would hit its enemy or burst far away."""
    bot = fighters[k]
    angle = np.radians(bot.yaw)
    dx, dy = np.cos(angle), np.sin(angle)
    nearest, first = FAR, NOBODY
    for side in (-ORB_HALF_SIZE, 0.0, ORB_HALF_SIZE):
        x, y, z = bot.x - side * dy, bot.y + side * dx, bot.z + EYE - ORB_HALF_SIZE
        hit, way = first_hit(fighters, k, cells, x, y, z, dx, dy, bot.slope, FAR)
        if way < nearest:
            nearest, first = way, hit
    return first == bot.enemy or nearest * np.sqrt(1.0 + bot.slope**2) >= SPLASH_RADIUS


@kernel
def turn_view(bot):  # type: ignore[no-untyped-def]
    """Turn a bot's view towards the ideal one for one server frame, a little too far."""
    has_enemy = bot.enemy != NOBODY
    factor = VIEW_FACTOR if has_enemy else CALM_VIEW_FACTOR
    limit = MAX_TURN if has_enemy else CALM_MAX_TURN
    missing = angle_between(bot.yaw, bot.ideal_yaw)
    bot.turn_speed = 2.0 * bot.turn_speed + factor * missing
    turn = max(-limit, min(bot.turn_speed, limit))
    yaw = bot.yaw + turn
    bot.yaw = yaw - 360.0 * np.floor(yaw / 360.0)
    bot.turn_speed *= TURN_DAMPING * (1.0 - factor)
    bot.slope += factor * (bot.ideal_slope - bot.slope)
