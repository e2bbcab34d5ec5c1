"""How the bots of laser tag turn, aim and shoot.

Rules and numbers: DeepMind Lab's engine, commit b1db91a (`ai_dmq3.c`, `ai_main.c`) and the
characters CygniColor, LeonisColor and EpsilonColor of `assets_oa/botfiles/bots` at skill 4.
"""

import numpy as np

from envs.labsim.levels.lasertag_fighters import AGENT, IMPULSE, NOBODY, ORB
from envs.labsim.levels.lasertag_weapons import FAR, ORB_SPEED, SPLASH_RADIUS, ammo, first_hit
from envs.labsim.text_maze import FLOOR_Z, STANDING_Z
from envs.labsim.world import EYE, FRAME_MS, kernel, uniform

# Of Cygni, Leonis and Epsilon; accuracy with Impulse, Rapid, Orb, Beam, Disc.
ACCURACY = np.array(
    [[0.9, 0.7, 0.9, 0.7, 1.0], [0.9, 0.9, 0.9, 0.9, 0.9], [0.75, 0.5, 0.75, 0.75, 0.75]]
)
FIRE_THROTTLE = np.array([0.5, 0.9, 1.0])

VIEW_FACTOR = 0.9  # part of the missing turn that a bot with an enemy makes in a frame ..
CALM_VIEW_FACTOR = 0.05  # .. and what a bot without one adds to its speed of turning
MAX_TURN = 240.0 * FRAME_MS / 1000.0  # degrees in a frame with an enemy ..
CALM_MAX_TURN = 360.0 * FRAME_MS / 1000.0  # .. and without
TURN_DAMPING = 0.45

CLOSE = 100.0  # units: an enemy this near cannot be avoided
SHOOT_VIEW, CLOSE_SHOOT_VIEW = 50.0, 120.0  # degrees in which the target must be

AIM_UP = 8.0  # units above the enemy's origin
ORB_HALF_SIZE = 8.0  # units: as large they believe Orbs to be
# Where an Orb would burst they see along a line of 1000 units that begins 12 units behind their
# eyes, and take the whole for 1000 units.
LINE, LINE_BACK = 1000.0, 12.0
HIGHER, BELOW_FLOOR = 16.0, 8.0  # units: Orbs aim below the floor unless the enemy is higher up
FAR_FLOOR = 430.0  # units: from there on such a line meets the floor too far before the enemy
MEMORY_MS, LEAST_MOVE = 500, 32.0  # who moves less in this time gets Orbs without a lead
SURPRISING_MOVE, SURPRISED = 48.0, 0.7  # who moves more and turns back is aimed at so much worse
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
def _memorise(bot, enemy, now):  # type: ignore[no-untyped-def]
    """Let a bot keep in mind for a while where its enemy was and how he moved."""
    if now > bot.memory_ms:
        bot.memory_ms = now + MEMORY_MS
        bot.memory_x, bot.memory_y, bot.memory_z = enemy.known_x, enemy.known_y, enemy.known_z
        bot.memory_vx, bot.memory_vy = enemy.known_vx, enemy.known_vy
        bot.memory_vz = enemy.known_vz


@kernel
def _moved(bot, enemy):  # type: ignore[no-untyped-def]
    """How far a bot's enemy is from where it has him in mind."""
    dx, dy = enemy.known_x - bot.memory_x, enemy.known_y - bot.memory_y
    dz = enemy.known_z - bot.memory_z
    return np.sqrt(dx * dx + dy * dy + dz * dz)


@kernel
def _turned_back(bot, enemy):  # type: ignore[no-untyped-def]
    """Whether a bot's enemy came some way and now moves against how it has him in mind."""
    along = bot.memory_vx * enemy.known_vx + bot.memory_vy * enemy.known_vy
    along += bot.memory_vz * enemy.known_vz
    return along < 0.0 and _moved(bot, enemy) > SURPRISING_MOVE


@kernel
def _lead(bot, k, enemy, distance, held):  # type: ignore[no-untyped-def]
    """Seconds by which bot k aims an Orb ahead of a moving enemy; `held` is whether it fires on."""
    if distance > CLOSE and _moved(bot, enemy) < LEAST_MOVE:
        return 0.0
    if held or not FORECASTS[k - 1]:
        return distance / ORB_SPEED
    # The forecast's steps of 0.1 s are whole ones, and in them friction stops who walks.
    steps = int(10.0 * distance / ORB_SPEED)
    if enemy.known_z > STANDING_Z + 1.0:
        return 0.1 * steps
    return 0.1 * (1.0 - FORECAST_KEEPS**steps) / (1.0 - FORECAST_KEEPS)


@kernel
def aim(fighters, k, visible, held, now):  # type: ignore[no-untyped-def]
    """Turn bot k's ideal view to where it believes its enemy to be; return that point."""
    bot, random = fighters[k], fighters[AGENT]
    enemy = fighters[bot.enemy]
    accuracy = ACCURACY[k - 1, bot.gadget]
    _memorise(bot, enemy, now)
    if bot.gadget == ORB and _turned_back(bot, enemy):
        # The engine asks whether skill is below 0.9: so is 0.9 itself in single precision.
        accuracy *= SURPRISED
    x, y, z = bot.seen_x, bot.seen_y, enemy.known_z + AIM_UP
    distance = max(np.hypot(x - bot.x, y - bot.y), 1.0)
    if visible:
        if bot.gadget == ORB:
            seconds = _lead(bot, k, enemy, distance, held)
            x += seconds * enemy.known_vx
            y += seconds * enemy.known_vy
            if CLOSE < distance < FAR_FLOOR and enemy.known_z < bot.z + HIGHER:
                z = FLOOR_Z - BELOW_FLOOR  # where a splash catches the feet
        miss = 1.0 - accuracy
        x += MISS_FLAT * miss * (2.0 * uniform(random) - 1.0)
        y += MISS_FLAT * miss * (2.0 * uniform(random) - 1.0)
        z += MISS_UP * miss * (2.0 * uniform(random) - 1.0)
    elif bot.gadget == ORB:
        accuracy = 1.0
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
def shoots(fighters, k, cells, x, y, now):  # type: ignore[no-untyped-def]
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
    way = nearest * np.sqrt(1.0 + bot.slope**2)
    return first == bot.enemy or (way + LINE_BACK) * LINE / (LINE + LINE_BACK) >= SPLASH_RADIUS


@kernel
def turn_view(bot):  # type: ignore[no-untyped-def]
    """Turn a bot's view towards the ideal one for one frame, a little too far."""
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
