"""Items that lie in a level: when a player touches one, and how it bobs and spins.

Engine code of DeepMind Lab, commit b1db91a: `bg_misc.c` (BG_PlayerTouchesItem), `g_items.c` (where
items come to rest) and `cg_ents.c` (how they are drawn).
"""

import numpy as np

from envs.labsim.scene import THING_YAW, THING_Z0, THING_Z1
from envs.labsim.world import kernel

ITEM_ORIGIN = 15.0  # an item's origin rests this far above the floor
# The touch test is a box, in terms of the player's origin minus the item's; the ends count.
TOUCH_WEST, TOUCH_EAST = -50.0, 44.0  # along x
TOUCH_SIDE = 36.0  # along y and z, either way
BOB_MIDDLE = 4.0  # units: items float 0 to 8 above where they rest
BOB_PER_MS = 0.005  # radians of the bob for each millisecond of engine time
SPIN_MS = 2048  # engine time of one turn ..
FAST_SPIN_MS = 1024  # .. and of health's


@kernel
def touches_item(player, x, y, z):  # type: ignore[no-untyped-def]
    """Whether a player touches an item whose origin is at (x, y, z)."""
    return (
        TOUCH_WEST <= player.x - x <= TOUCH_EAST
        and abs(player.y - y) <= TOUCH_SIDE
        and abs(player.z - z) <= TOUCH_SIDE
    )


@kernel
def float_thing(things, i, k, foot, height, engine_ms, spin_ms):  # type: ignore[no-untyped-def]
    """Let thing k of scene i bob and spin as items do at an engine time.

    `foot` is where the picture's lower edge is at the lowest point of the bob (the item's origin
    plus the model's `foot`), `height` the picture's, in units. things: f32 [B, N, 6], see `Scene`.
    """
    bottom = foot + BOB_MIDDLE + BOB_MIDDLE * np.cos(engine_ms * BOB_PER_MS)
    things[i, k, THING_Z0] = bottom
    things[i, k, THING_Z1] = bottom + height
    things[i, k, THING_YAW] = (engine_ms % spin_ms) * (360.0 / spin_ms)
