"""What lies in a laser tag maze: one gadget, two power-ups, and gadgets that the dead dropped.

Numbers: DeepMind Lab's engine, commit b1db91a (`g_items.c`, `g_combat.c`, `bg_misc.c`). A dropped
gadget lies where its owner died; the engine tosses it a little to one side.
"""

import numpy as np

from envs.labsim.items import ITEM_ORIGIN, touches_item
from envs.labsim.levels.lasertag_fighters import (
    BEAM,
    DISC,
    MAX_HEALTH,
    NUM_FIGHTERS,
    ORB,
)
from envs.labsim.levels.lasertag_weapons import change_gadget
from envs.labsim.text_maze import FLOOR_Z
from envs.labsim.world import kernel

NOTHING = -1
GADGET, HEALTH, ARMOUR = range(3)  # kinds of items
NUM_PLACES = 3  # items that come back: a gadget, then two power-ups
NUM_DROPS = 6  # gadgets dropped at the same time; the oldest makes room
NUM_ITEMS = NUM_PLACES + NUM_DROPS

BACK_MS = np.array([5000, 35000, 25000])  # a taken gadget, health or armour returns after this
DROP_MS = 30000  # a dropped gadget vanishes after this
AMMO = np.array([0, 0, 10, 100, 10])  # of an Orb, Beam or Disc that is picked up
MAX_AMMO = 200
POWER_UP = 50  # points of health or armour
MAX_ARMOUR = 200
ITEM_Z = FLOOR_Z + ITEM_ORIGIN

ITEM = np.dtype(
    [
        ("kind", np.int64),  # NOTHING, GADGET, HEALTH or ARMOUR
        ("x", np.float64),
        ("y", np.float64),
        ("from_ms", np.int64),  # it lies there from this engine time ..
        ("until_ms", np.int64),  # .. until this one
    ]
)


@kernel
def is_there(item, now):  # type: ignore[no-untyped-def]
    """Whether an item can be seen and taken."""
    return item.kind != NOTHING and item.from_ms <= now < item.until_ms


@kernel
def take_items(fighter, items, special, now):  # type: ignore[no-untyped-def]
    """Let a living fighter take every item that he touches and can use."""
    for k in range(NUM_ITEMS):
        item = items[k]
        if not is_there(item, now) or not touches_item(fighter, item.x, item.y, ITEM_Z):
            continue
        if not is_useful(fighter, item.kind):
            continue
        if item.kind == GADGET:
            take_gadget(fighter, special, k >= NUM_PLACES)
        elif item.kind == HEALTH:
            fighter.health = min(fighter.health + POWER_UP, MAX_HEALTH)
        else:
            fighter.armour = min(fighter.armour + POWER_UP, MAX_ARMOUR)
        if k < NUM_PLACES:
            item.from_ms = now + BACK_MS[item.kind]
        else:
            item.from_ms = item.until_ms  # bots still believe it there


@kernel
def is_useful(fighter, kind):  # type: ignore[no-untyped-def]
    """Whether a fighter can take an item of a kind."""
    if kind == HEALTH:
        return fighter.health < MAX_HEALTH
    return kind != ARMOUR or fighter.armour < MAX_ARMOUR


@kernel
def take_gadget(fighter, special, is_dropped):  # type: ignore[no-untyped-def]
    """Top up the shots of a gadget, by one if they are enough, and take it into the hands.

    A dropped one brings all of its shots.
    """
    shots = AMMO[special]
    if not is_dropped:
        shots = max(shots - fighter.special_ammo, 1)
    fighter.special_ammo = min(fighter.special_ammo + shots, MAX_AMMO)
    fighter.has_special = True
    change_gadget(fighter, special)


@kernel
def drop_gadget(fighter, items, now):  # type: ignore[no-untyped-def]
    """Leave the special gadget that a dying fighter has in his hands, if it has shots."""
    if fighter.gadget not in (ORB, BEAM, DISC) or fighter.special_ammo == 0:
        return
    oldest = NUM_PLACES
    for k in range(NUM_PLACES, NUM_ITEMS):
        if items[k].kind == NOTHING:
            oldest = k
            break
        if items[k].until_ms < items[oldest].until_ms:
            oldest = k
    item = items[oldest]
    item.kind = GADGET
    item.x, item.y = fighter.x, fighter.y
    item.from_ms, item.until_ms = now, now + DROP_MS


@kernel
def clear_old_drops(items, now):  # type: ignore[no-untyped-def]
    """Remove dropped gadgets whose time is over."""
    for k in range(NUM_PLACES, NUM_ITEMS):
        if items[k].kind != NOTHING and now >= items[k].until_ms:
            items[k].kind = NOTHING


@kernel
def drop_of_the_dead(fighters, items, now):  # type: ignore[no-untyped-def]
    """Let fighters who just died leave their gadgets."""
    for k in range(NUM_FIGHTERS):
        if fighters[k].drops:
            fighters[k].drops = False
            drop_gadget(fighters[k], items, now)
