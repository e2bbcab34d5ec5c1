"""The hidden platform of room_watermaze: touched, it holds and lifts the player and pays him.

What happens, in server frames of 50 ms counted from the one in which the player first touched it
(engine code `g_trigger.c`, `g_mover.c` and the entities of `em_watermaze.map`, commit b1db91a;
times checked against a recorded visit):

- from 100 ms on, every 100 ms, he is put in the middle and his horizontal speed is removed;
- from 150 ms on, the platform rises from z = -2 to 94 at 700 units/s and lifts him;
- at 250 ms and every 500 ms after it, a button toggles a timer. Switched on, the timer pays at once
  and then waits for a time that was meant to be random around 0: an engine bug makes it
  U(-100, 100) s from now. A time already past, or in the future, means that the next toggle only
  switches it off: one payment a second. A time between 0 and now on the engine clock, which starts
  at each (re)load, pays in the next server frame and waits again.

The sixth payment gives no reward but has the map loaded again.
"""

import numpy as np

from envs.labsim.levels.room_watermaze_scene import WATER_Z
from envs.labsim.scene import NOWHERE, PLATFORM_APOTHEM
from envs.labsim.world import FEET, HALF_WIDTH, kernel, uniform

CORNER_REACH = HALF_WIDTH * 2.0**0.5  # of the player's box along a diagonal
LOW, HIGH = -2.0, 94.0
SPEED = 700.0  # units per engine second

HOLD_MS = 100
RISE_MS = 150
FIRST_TOGGLE_MS = 250
TOGGLE_PERIOD_MS = 500
TIMER_RANGE_MS = 100_000.0
REWARD = 1.0
REWARDS_PER_VISIT = 5

UNTOUCHED = -1  # `touched_ms` before the player finds the platform
IDLE = 0  # `timer_ms` of a timer that is off

# The platform and its machinery, one record per environment.
PLATFORM = np.dtype(
    [
        ("x", np.float64),  # its centre
        ("y", np.float64),
        ("top", np.float64),  # height of its surface
        ("touched_ms", np.int64),  # server time of the first touch since the (re)load
        ("timer_ms", np.int64),  # when the timer pays next; IDLE: switched off
        ("payments", np.int64),  # since the (re)load
        ("unpaid", np.float64),  # reward that arrives with the next frame
        ("reloading", np.bool_),  # the map is loaded again in the next frame
    ]
)


@kernel
def hide(player, platform):  # type: ignore[no-untyped-def]
    """Lower the platform and switch off its machinery."""
    platform.top = LOW
    platform.touched_ms = UNTOUCHED
    platform.timer_ms = IDLE
    platform.payments = 0
    platform.reloading = False
    player.floor = WATER_Z


@kernel
def touches(player, platform):  # type: ignore[no-untyped-def]
    """Whether the player's box overlaps the octagon around the platform."""
    x, y = abs(player.x - platform.x), abs(player.y - platform.y)
    straight = max(x, y) <= PLATFORM_APOTHEM + HALF_WIDTH
    return straight and (x + y) * np.sqrt(0.5) <= PLATFORM_APOTHEM + CORNER_REACH


@kernel
def server_frame(player, platform):  # type: ignore[no-untyped-def]
    """Run the platform's machinery for one server frame."""
    now = player.server_ms
    since_touch = now - platform.touched_ms
    if since_touch > 0 and since_touch % HOLD_MS == 0:
        player.x, player.y = platform.x, platform.y
        player.vx, player.vy = 0.0, 0.0
    _raise(player, platform, since_touch)
    if IDLE < platform.timer_ms <= now:
        _pay(player, platform)
    if since_touch >= FIRST_TOGGLE_MS and (since_touch - FIRST_TOGGLE_MS) % TOGGLE_PERIOD_MS == 0:
        if platform.timer_ms == IDLE:
            _pay(player, platform)
        else:
            platform.timer_ms = IDLE


@kernel
def _raise(player, platform, since_touch):  # type: ignore[no-untyped-def]
    """Move the platform up and push the player by as much, as Quake's movers do."""
    rise = max(since_touch - RISE_MS, 0) * (SPEED / 1000.0)
    top = min(LOW + rise, HIGH)
    if top > platform.top:
        if player.z - FEET < top:
            player.z += top - platform.top
        platform.top = top
        player.floor = max(top, WATER_Z)


@kernel
def _pay(player, platform):  # type: ignore[no-untyped-def]
    """Pay a reward, or load the map again at the sixth payment; then set the timer."""
    if platform.payments == REWARDS_PER_VISIT:
        platform.reloading = True
        return
    platform.payments += 1
    platform.unpaid += REWARD
    wait = TIMER_RANGE_MS * (2.0 * uniform(player) - 1.0)
    platform.timer_ms = player.server_ms + int(wait)


@kernel
def draw(platform, drawn, i):  # type: ignore[no-untyped-def]
    """Show a raised platform in scene i, hide a lowered one; drawn [B, 3] is the scene's."""
    drawn[i, 0], drawn[i, 1] = platform.x, platform.y
    drawn[i, 2] = platform.top if platform.top > LOW else NOWHERE
