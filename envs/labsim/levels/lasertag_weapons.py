"""The gadgets of laser tag: Impulse, Rapid, Orb, Beam and Disc, and what they hit.

Numbers: DeepMind Lab's engine, commit b1db91a (`g_weapon.c`, `g_missile.c`, `bg_pmove.c`). Shots
start 14 units before the eyes and are lines with a slope; Orbs fly.
"""

import numpy as np

from envs.labsim.collision import WALL_THICKNESS
from envs.labsim.levels.lasertag_fighters import (
    DISC,
    IMPULSE,
    NOBODY,
    NUM_FIGHTERS,
    ORB,
    RAPID,
    hurt,
)
from envs.labsim.text_maze import CELL, FLOOR_Z
from envs.labsim.world import EYE, FEET, FRAME_MS, HALF_WIDTH, kernel, short_angle, uniform

FAR = 8192.0  # units: the reach of what has no limit
# Of Impulse, Rapid, Orb, Beam, Disc.
DAMAGE = np.array([50, 7, 100, 8, 100])  # points of health
PERIOD_MS = np.array([400, 100, 800, 50, 1500])  # engine time between shots
REACH = np.array([32.0, FAR, FAR, 768.0, FAR])  # units
RAPID_SPREAD = 200.0 / 8192.0  # largest offset of a shot for each unit ahead, about 1.4 degrees
MUZZLE = 14.0  # units from the eyes
HEAD = 32.0  # a fighter's origin is this far below the top of his box
CHANGE_MS = 450  # to lower one gadget and raise another
EMPTY_MS = 500  # that an empty gadget takes to be noticed

ORB_SPEED = 900.0  # units per engine second
ORB_HEAD_START_MS = 50
SPLASH_DAMAGE, SPLASH_RADIUS = 100.0, 120.0
SPLASH_REACH = 1.0  # unit that the engine adds to bodies on every side before it measures
SPLASH_LIFT = 24.0  # splashes push as if they were this much lower
BACK_OFF = 1.0  # units before a wall at which an Orb bursts
ORBS_EACH = 3  # that one fighter can have in the air: the longest flight takes 1.7 s

ORB_RECORD = np.dtype(
    [
        ("owner", np.int64),  # a fighter, or NOBODY if there is no Orb
        ("x", np.float64),
        ("y", np.float64),
        ("z", np.float64),
        ("dx", np.float64),  # direction, a unit vector
        ("dy", np.float64),
        ("dz", np.float64),
    ]
)


@kernel
def free_way(cells, x, y, dx, dy, reach):  # type: ignore[no-untyped-def]
    """How far it is from (x, y) along the unit vector (dx, dy) to a wall; `reach` at most.

    cells: bool [rows, columns], True is solid; a digital differential analyser.
    """
    column, row = int(x / CELL), int(y / CELL)
    step_x, step_y = (1 if dx > 0.0 else -1), (1 if dy > 0.0 else -1)
    per_x, per_y = CELL / max(abs(dx), 1e-9), CELL / max(abs(dy), 1e-9)
    next_x = (column + 1 - x / CELL if step_x > 0 else x / CELL - column) * per_x
    next_y = (row + 1 - y / CELL if step_y > 0 else y / CELL - row) * per_y
    while not cells[row, column]:
        if next_x < next_y:
            way, before = next_x, WALL_THICKNESS * per_x / CELL
            next_x += per_x
            column += step_x
        else:
            way, before = next_y, WALL_THICKNESS * per_y / CELL
            next_y += per_y
            row += step_y
        if way - before >= reach:
            return reach
        if cells[row, column]:
            return max(way - before, 0.0)
    return 0.0


@kernel
def sees(cells, x, y, to_x, to_y):  # type: ignore[no-untyped-def]
    """Whether no wall is between two points."""
    dx, dy = to_x - x, to_y - y
    distance = np.sqrt(dx * dx + dy * dy)
    if distance < 1.0:
        return True
    return free_way(cells, x, y, dx / distance, dy / distance, distance) >= distance


@kernel
def _body_way(fighter, x, y, z, dx, dy, slope):  # type: ignore[no-untyped-def]
    """How far along a line a fighter's box begins; FAR if it is missed.

    The line starts at (x, y, z), runs along the unit vector (dx, dy) and rises by `slope`.
    """
    enter, leave = 0.0, FAR
    low_x, low_y = fighter.x - HALF_WIDTH - x, fighter.y - HALF_WIDTH - y
    low_z = fighter.z - FEET - z
    for axis in range(3):
        if axis == 0:
            low, high, step = low_x, low_x + 2.0 * HALF_WIDTH, dx
        elif axis == 1:
            low, high, step = low_y, low_y + 2.0 * HALF_WIDTH, dy
        else:
            low, high, step = low_z, low_z + FEET + HEAD, slope
        if abs(step) < 1e-9:
            if low > 0.0 or high < 0.0:
                return FAR
            continue
        near, far = low / step, high / step
        enter, leave = max(enter, min(near, far)), min(leave, max(near, far))
    return enter if enter <= leave else FAR


@kernel
def first_hit(fighters, shooter, cells, x, y, z, dx, dy, slope, reach):  # type: ignore[no-untyped-def]
    """What a line from (x, y, z) hits first: (fighter or NOBODY, how far ahead)."""
    if slope < 0.0:
        reach = min(reach, (FLOOR_Z - z) / slope)
    way = free_way(cells, x, y, dx, dy, reach)
    hit = NOBODY
    for k in range(NUM_FIGHTERS):
        if k != shooter and fighters[k].alive:
            body = _body_way(fighters[k], x, y, z, dx, dy, slope)
            if body < way:
                way, hit = body, k
    return hit, way


@kernel
def ammo(fighter, gadget):  # type: ignore[no-untyped-def]
    """How many shots are left; Impulse needs none."""
    if gadget == IMPULSE:
        return 1
    return fighter.rapid_ammo if gadget == RAPID else fighter.special_ammo


@kernel
def change_gadget(fighter, gadget):  # type: ignore[no-untyped-def]
    """Take another gadget into the hands."""
    if fighter.gadget != gadget:
        fighter.gadget = gadget
        fighter.weapon_ms = max(fighter.weapon_ms, 0) + CHANGE_MS


@kernel
def best_gadget(fighter, special):  # type: ignore[no-untyped-def]
    """The gadget that is chosen when another is empty: the last of them that has shots."""
    if fighter.special_ammo > 0:
        return special
    return RAPID if fighter.rapid_ammo > 0 else IMPULSE


@kernel
def fire(fighters, k, game, orbs, cells):  # type: ignore[no-untyped-def]
    """Let fighter k, who holds FIRE, shoot if his gadget is ready; return the agent's reward."""
    fighter = fighters[k]
    if fighter.weapon_ms > 0:
        return 0.0
    gadget = fighter.gadget
    if ammo(fighter, gadget) == 0:
        fighter.weapon_ms += EMPTY_MS
        change_gadget(fighter, best_gadget(fighter, game.special))
        return 0.0
    angle = short_angle(fighter.yaw) * (np.pi / 180.0)
    dx, dy, slope = np.cos(angle), np.sin(angle), fighter.slope
    x, y = fighter.x + MUZZLE * dx, fighter.y + MUZZLE * dy
    z = fighter.z + EYE + MUZZLE * slope
    if gadget == IMPULSE:
        if first_hit(fighters, k, cells, x, y, z, dx, dy, slope, REACH[IMPULSE])[0] == NOBODY:
            fighter.weapon_ms = 0
            return 0.0
    elif gadget == RAPID:
        fighter.rapid_ammo -= 1
    else:
        fighter.special_ammo -= 1
    fighter.weapon_ms += PERIOD_MS[gadget]
    if gadget == ORB:
        return _launch(fighters, k, orbs, cells, x, y, z, dx, dy, slope)
    if gadget == DISC:
        return _pierce(fighters, k, cells, x, y, z, dx, dy, slope)
    if gadget == RAPID:
        turn = 2.0 * np.pi * uniform(fighters[0])
        up = np.sin(turn) * (2.0 * uniform(fighters[0]) - 1.0) * RAPID_SPREAD
        right = np.cos(turn) * (2.0 * uniform(fighters[0]) - 1.0) * RAPID_SPREAD
        dx, dy, slope = dx + right * dy, dy - right * dx, slope + up
        length = np.sqrt(dx * dx + dy * dy)
        dx, dy, slope = dx / length, dy / length, slope / length
    hit, _ = first_hit(fighters, k, cells, x, y, z, dx, dy, slope, REACH[gadget])
    if hit == NOBODY:
        return 0.0
    return _hurt_along(fighters, hit, k, DAMAGE[gadget], dx, dy, slope)


@kernel
def _hurt_along(fighters, target, attacker, damage, dx, dy, slope):  # type: ignore[no-untyped-def]
    """Hurt a fighter and push him along a line."""
    length = np.sqrt(1.0 + slope * slope)
    return hurt(fighters, target, attacker, damage, dx / length, dy / length, slope / length)


@kernel
def _pierce(fighters, k, cells, x, y, z, dx, dy, slope):  # type: ignore[no-untyped-def]
    """A Disc's shot: it goes through fighters up to the next wall."""
    reach = REACH[DISC]
    if slope < 0.0:
        reach = min(reach, (FLOOR_Z - z) / slope)
    way = free_way(cells, x, y, dx, dy, reach)
    reward = 0.0
    for other in range(NUM_FIGHTERS):
        if other == k or not fighters[other].alive:
            continue
        if _body_way(fighters[other], x, y, z, dx, dy, slope) < way:
            reward += _hurt_along(fighters, other, k, DAMAGE[DISC], dx, dy, slope)
    return reward


@kernel
def _launch(fighters, k, orbs, cells, x, y, z, dx, dy, slope):  # type: ignore[no-untyped-def]
    """Send an Orb on its way."""
    length = np.sqrt(1.0 + slope * slope)
    for n in range(ORBS_EACH):
        orb = orbs[ORBS_EACH * k + n]
        if orb.owner == NOBODY:
            orb.owner = k
            orb.x, orb.y, orb.z = x, y, z
            orb.dx, orb.dy, orb.dz = dx / length, dy / length, slope / length
            return _fly(fighters, orb, cells, ORB_HEAD_START_MS)
    return 0.0


@kernel
def fly_orbs(fighters, orbs, cells):  # type: ignore[no-untyped-def]
    """Move all Orbs by one frame; return the agent's reward for what they hit."""
    reward = 0.0
    for k in range(len(orbs)):
        if orbs[k].owner != NOBODY:
            reward += _fly(fighters, orbs[k], cells, FRAME_MS)
    return reward


@kernel
def _fly(fighters, orb, cells, ms):  # type: ignore[no-untyped-def]
    """Move an Orb; where it hits something it bursts."""
    flat = np.sqrt(orb.dx * orb.dx + orb.dy * orb.dy)
    dx, dy, slope = orb.dx / flat, orb.dy / flat, orb.dz / flat
    reach = ORB_SPEED * ms / 1000.0 * flat
    hit, way = first_hit(fighters, orb.owner, cells, orb.x, orb.y, orb.z, dx, dy, slope, reach)
    bursts = hit != NOBODY or way < reach
    if bursts:
        way = max(way - BACK_OFF, 0.0)
    orb.x += way * dx
    orb.y += way * dy
    orb.z += way * slope
    if not bursts:
        return 0.0
    reward = 0.0
    if hit != NOBODY:
        reward += hurt(fighters, hit, orb.owner, DAMAGE[ORB], orb.dx, orb.dy, orb.dz)
    reward += _splash(fighters, orb, hit, cells)
    orb.owner = NOBODY
    return reward


@kernel
def _splash(fighters, orb, spared, cells):  # type: ignore[no-untyped-def]
    """Hurt all fighters near a bursting Orb but the one that it hit."""
    reward = 0.0
    for k in range(NUM_FIGHTERS):
        fighter = fighters[k]
        if k == spared or not fighter.alive:
            continue
        away_x = max(abs(orb.x - fighter.x) - HALF_WIDTH - SPLASH_REACH, 0.0)
        away_y = max(abs(orb.y - fighter.y) - HALF_WIDTH - SPLASH_REACH, 0.0)
        away_z = max(fighter.z - FEET - orb.z, orb.z - fighter.z - HEAD, SPLASH_REACH)
        away_z -= SPLASH_REACH
        distance = np.sqrt(away_x * away_x + away_y * away_y + away_z * away_z)
        damage = int(SPLASH_DAMAGE * (1.0 - distance / SPLASH_RADIUS))
        if damage < 1 or not _reaches(cells, orb, fighter):
            continue
        dx, dy, dz = fighter.x - orb.x, fighter.y - orb.y, fighter.z - orb.z + SPLASH_LIFT
        length = max(np.sqrt(dx * dx + dy * dy + dz * dz), 1e-9)
        reward += hurt(fighters, k, orb.owner, damage, dx / length, dy / length, dz / length)
    return reward


@kernel
def _reaches(cells, orb, fighter):  # type: ignore[no-untyped-def]
    """Whether a line from an Orb to the middle of a fighter or to one of his edges is free."""
    if sees(cells, orb.x, orb.y, fighter.x, fighter.y):
        return True
    for side_x in (-HALF_WIDTH, HALF_WIDTH):
        for side_y in (-HALF_WIDTH, HALF_WIDTH):
            if sees(cells, orb.x, orb.y, fighter.x + side_x, fighter.y + side_y):
                return True
    return False
