"""Quake 3's ground movement for the players of a batch, one frame at a time.

Follows `bg_pmove.c` and `bg_slidemove.c` of DeepMind Lab's engine (commit b1db91a): friction,
acceleration, sliding along up to five planes, gravity, velocity rounded to whole numbers after
each frame. Left out because no action needs them: jumping, crouching, slopes, water, steps other
than being lifted out of a floor that is at most 18 units too high. Quake's 100 ms of weak control
after a spawn are also absent: the recordings show full control in the first frame after a reload.
"""

import numpy as np

from envs.labsim.collision import CLEARANCE, trace
from envs.labsim.world import FEET, kernel, short_angle

MAX_SPEED = 320.0
GROUND_ACCELERATION = 10.0
AIR_ACCELERATION = 1.0
FRICTION = 6.0
STOP_SPEED = 100.0
GRAVITY = 800.0
STEP_HEIGHT = 18.0
TURN_PER_PIXEL = 0.1056  # degrees a frame

GROUND_REACH = 0.25  # a player this far above a floor still walks
KICK_OFF_SPEED = 10.0  # faster upwards than this, he does not
OVERCLIP = 1.001  # removes slightly more than the velocity into a plane
MOVING_AWAY = 0.1  # velocities along a normal above this do not touch the plane
SAME_PLANE = 0.99
MAX_BUMPS = 4
MAX_PLANES = 5


@kernel
def scratch():  # type: ignore[no-untyped-def]
    """Allocate what `move` needs: the planes hit in one frame, [MAX_PLANES + 1, 3]."""
    return np.empty((MAX_PLANES + 1, 3))


@kernel
def turn(player, pixels):  # type: ignore[no-untyped-def]
    """Apply one frame of mouse movement to the yaw; right is positive and lowers it."""
    yaw = player.yaw - pixels * TURN_PER_PIXEL
    player.yaw = yaw - 360.0 * np.floor(yaw / 360.0)


@kernel
def move(player, solids, i, forward, right, ms, planes, speed=MAX_SPEED):  # type: ignore[no-untyped-def]
    """Move the player of environment i by a frame of `ms`; `forward` and `right` are -1, 0 or 1.

    Changes his position and velocity; player.floor is the height of the floor below him. `speed`
    is the one that he wishes, in units per engine second.
    """
    seconds = ms / 1000.0
    height = player.z - FEET - player.floor
    if -STEP_HEIGHT <= height < CLEARANCE:
        height = CLEARANCE
        player.z = player.floor + FEET + CLEARANCE
        player.vz = 0.0
    walking = height < GROUND_REACH + CLEARANCE and player.vz <= KICK_OFF_SPEED
    _apply_friction(player, walking, seconds)
    if forward != 0 or right != 0:
        _accelerate(player, forward, right, walking, seconds, speed)
    fall = 0.0
    if walking:
        player.vz = 0.0
    else:
        fall = GRAVITY * seconds
        player.vz -= 0.5 * fall  # the path takes the mean of the speeds before and after
    x = player.x + player.vx * seconds
    y = player.y + player.vy * seconds
    z = player.z + player.vz * seconds
    if trace(player, solids, i, x, y, z)[0] >= 1.0:
        player.x, player.y, player.z = x, y, z
        player.vz -= 0.5 * fall
    else:
        _slide(player, solids, i, fall, seconds, planes)
    player.vx, player.vy, player.vz = np.rint(player.vx), np.rint(player.vy), np.rint(player.vz)


@kernel
def _apply_friction(player, walking, seconds):  # type: ignore[no-untyped-def]
    """Slow down a walking player (PM_Friction)."""
    vertical = 0.0 if walking else player.vz
    speed = np.sqrt(player.vx**2 + player.vy**2 + vertical**2)
    if speed < 1.0:
        player.vx = 0.0
        player.vy = 0.0
    elif walking:
        drop = max(speed, STOP_SPEED) * FRICTION * seconds
        scale = max(speed - drop, 0.0) / speed
        player.vx *= scale
        player.vy *= scale


@kernel
def _accelerate(player, forward, right, walking, seconds, speed):  # type: ignore[no-untyped-def]
    """Speed up in the direction wished, up to `speed` in that direction (PM_Accelerate)."""
    angle = short_angle(player.yaw) * (np.pi / 180.0)
    cos, sin = np.cos(angle), np.sin(angle)
    length = np.sqrt(float(forward * forward + right * right))
    wish_x, wish_y = (cos * forward + sin * right) / length, (sin * forward - cos * right) / length
    missing = speed - (player.vx * wish_x + player.vy * wish_y)
    acceleration = GROUND_ACCELERATION if walking else AIR_ACCELERATION
    gain = max(min(acceleration * seconds * speed, missing), 0.0)
    player.vx += gain * wish_x
    player.vy += gain * wish_y


@kernel
def _slide(player, solids, i, fall, seconds, planes):  # type: ignore[no-untyped-def]
    """Move for one frame, sliding along what is hit (PM_SlideMove).

    `fall` is the speed that gravity adds in this frame; 0 means that the player walks.
    """
    num_planes = 0
    if fall == 0.0:
        num_planes = _add_plane(planes, num_planes, 0.0, 0.0, 1.0)
    # The direction of travel counts as a plane: sliding never turns a player around.
    speed = np.sqrt(player.vx**2 + player.vy**2 + player.vz**2)
    num_planes = _add_plane(
        planes, num_planes, player.vx / speed, player.vy / speed, player.vz / speed
    )
    time_left = seconds
    for _ in range(MAX_BUMPS):
        step_x, step_y, step_z = player.vx * time_left, player.vy * time_left, player.vz * time_left
        fraction, nx, ny, nz = trace(
            player, solids, i, player.x + step_x, player.y + step_y, player.z + step_z
        )
        way = min(fraction, 1.0)
        player.x += way * step_x
        player.y += way * step_y
        player.z += way * step_z
        if fraction >= 1.0:
            break
        time_left -= time_left * fraction
        if nz > 0.0:
            fall = 0.0  # landed
        if num_planes >= MAX_PLANES:
            _set_velocity(player, 0.0, 0.0, 0.0)
            return
        if _is_known(planes, num_planes, nx, ny, nz):
            # Hit again because of rounding: nudge the velocity off the plane.
            _set_velocity(player, player.vx + nx, player.vy + ny, player.vz + nz)
            continue
        num_planes = _add_plane(planes, num_planes, nx, ny, nz)
        if not _clip_to_planes(player, planes, num_planes):
            _set_velocity(player, 0.0, 0.0, 0.0)
            return
    player.vz -= 0.5 * fall


@kernel
def _set_velocity(player, x, y, z):  # type: ignore[no-untyped-def]
    player.vx, player.vy, player.vz = x, y, z


@kernel
def _add_plane(planes, num_planes, nx, ny, nz):  # type: ignore[no-untyped-def]
    planes[num_planes, 0], planes[num_planes, 1], planes[num_planes, 2] = nx, ny, nz
    return num_planes + 1


@kernel
def _is_known(planes, num_planes, nx, ny, nz):  # type: ignore[no-untyped-def]
    for k in range(num_planes):
        if nx * planes[k, 0] + ny * planes[k, 1] + nz * planes[k, 2] > SAME_PLANE:
            return True
    return False


@kernel
def _clip_to_planes(player, planes, num_planes):  # type: ignore[no-untyped-def]
    """Make the velocity parallel to all planes; False if a corner stops the player dead.

    Like Quake, stops at the first plane the velocity enters, after clipping to the others too.
    """
    for first in range(num_planes):
        if _along(player, planes, first) >= MOVING_AWAY:
            continue
        _clip(player, planes, first)
        for second in range(num_planes):
            if second == first or _along(player, planes, second) >= MOVING_AWAY:
                continue
            _clip(player, planes, second)
            if _along(player, planes, first) >= 0.0:
                continue
            _follow_crease(player, planes, first, second)
            for third in range(num_planes):
                if third in (first, second) or _along(player, planes, third) >= MOVING_AWAY:
                    continue
                return False
        return True
    return True


@kernel
def _follow_crease(player, planes, first, second):  # type: ignore[no-untyped-def]
    """Keep only the velocity along the line in which two planes meet."""
    ax, ay, az = planes[first, 0], planes[first, 1], planes[first, 2]
    bx, by, bz = planes[second, 0], planes[second, 1], planes[second, 2]
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    along = x * player.vx + y * player.vy + z * player.vz
    along /= max(x * x + y * y + z * z, 1e-12)
    _set_velocity(player, along * x, along * y, along * z)


@kernel
def _along(player, planes, k):  # type: ignore[no-untyped-def]
    """Velocity along the normal of plane k."""
    return player.vx * planes[k, 0] + player.vy * planes[k, 1] + player.vz * planes[k, 2]


@kernel
def _clip(player, planes, k):  # type: ignore[no-untyped-def]
    """Remove the velocity into plane k, and a little more (PM_ClipVelocity)."""
    back_off = _along(player, planes, k)
    back_off = back_off * OVERCLIP if back_off < 0.0 else back_off / OVERCLIP
    player.vx -= planes[k, 0] * back_off
    player.vy -= planes[k, 1] * back_off
    player.vz -= planes[k, 2] * back_off
