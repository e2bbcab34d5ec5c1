"""What happens in rooms_keys_doors_puzzle from frame to frame: keys, doors, the goal, the end.

DeepMind Lab, commit b1db91a: `keys_doors_puzzle_factory.lua`, `translate_text_level.cc`
(MakeFenceDoor), `g_trigger.c` and `g_mover.c`. Before and behind a fence lies a trigger half a cell
deep. Whoever touches one asks the door to open; then that trigger sleeps for a second.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.frame_rate import FRAMES_PER_SECOND
from envs.labsim.collision import HALF_X, HALF_Y, MIDDLE_X, MIDDLE_Y, Solids
from envs.labsim.items import SPIN_MS, float_thing, touches_item
from envs.labsim.levels.rooms_keys_doors_puzzle_scene import (
    CELL,
    COLOUR_RGB,
    FENCE_HALF_THICKNESS,
    FENCE_LENGTH,
    FENCE_SEGMENTS,
    FENCES,
    GOAL_THING,
    ITEM_Z,
    KEY,
    KEY_FOOT,
    KEY_HEIGHT,
    LOLLY,
    LOLLY_FOOT,
    LOLLY_HEIGHT,
)
from envs.labsim.models import SPIN_VIEWS
from envs.labsim.physics import move, scratch, turn
from envs.labsim.scene import NONE, THING_X, THING_Y, X0, X1, Y0, Y1
from envs.labsim.world import FRAME_MS, HALF_WIDTH, kernel, pass_frame

KEY_REWARD, DOOR_REWARD, GOAL_REWARD = 1.0, 1.0, 50.0
SECONDS_AFTER_GOAL = 0.2
EMPTY_HANDED = -1
CLOSED = -1
ABSENT = -1
TRIGGER_GAP = 1.0  # between a trigger and the middle of its cell
TRIGGER_SLEEP_MS = 1000
OPENING_DELAY_MS = 50
SLIDE_PER_MS = 0.4
# A fence stands one unit off the middle of its cell, to the side to which it slides. It slides its
# length, as Quake measures it with a unit of margin at both ends, less a lip of 8 units.
FENCE_OFFSET = 1.0
SLIDE = FENCE_LENGTH + 2.0 - 8.0

DOOR = np.dtype(
    [
        ("x", np.float64),  # middle of its cell
        ("y", np.float64),
        ("colour", np.int64),  # of the generator's COLOURS, or ABSENT
        ("is_east_west", np.int64),  # 1: who passes walks along x, the fence slides along +y
        ("opened_ms", np.int64),  # server time of the touch that opened it, or CLOSED
        ("low_ready_ms", np.int64),  # server time when the trigger at the smaller coordinate wakes
        ("high_ready_ms", np.int64),  # and the other
    ]
)

# What the level remembers besides the player, one record per environment.
GAME = np.dtype(
    [
        ("next_seed", np.int64),  # of the next episode's puzzle, as a level's script gets it
        ("held", np.int64),  # colour of the key that the player carries, or EMPTY_HANDED
        ("goal_x", np.float64),
        ("goal_y", np.float64),
        ("goal_taken", np.bool_),
        ("ends_after", np.float64),  # seconds of the episode after which it ends early
        ("unpaid", np.float64),  # reward that arrives with the next frame
    ]
)
ITEM = np.dtype([("x", np.float64), ("y", np.float64), ("colour", np.int64)])


class Rules(NamedTuple):
    """What a step reads and writes."""

    players: NDArray  # [B] of dtype PLAYER
    games: NDArray  # [B] of dtype GAME
    keys: NDArray  # [B, MAX_KEYS] of dtype ITEM
    doors: NDArray  # [B, MAX_DOORS] of dtype DOOR
    solids: Solids
    segments: NDArray[np.float32]  # [B, S, 10] the scene's, as all that follow
    things: NDArray[np.float32]  # [B, N, 6]
    textures: NDArray[np.int32]  # [B, N]
    square: NDArray[np.uint8]  # [B, 4]


@kernel
def step_slice(rules, actions, out, start, stop, num_frames):  # type: ignore[no-untyped-def]
    """Advance some environments by `num_frames` frames."""
    planes = scratch()
    players, games, keys, doors, solids = (
        rules.players, rules.games, rules.keys, rules.doors, rules.solids
    )  # fmt: skip
    segments, things, textures, square = rules.segments, rules.things, rules.textures, rules.square
    for i in range(start, stop):
        player, game = players[i], games[i]
        reward, success, over = 0.0, np.nan, False
        for _ in range(num_frames):
            if over or player.frame == player.last_frame:
                break
            reward += game.unpaid  # rewards arrive one frame late
            game.unpaid = 0.0
            player.frame += 1
            ms, server_runs = pass_frame(player)
            if server_runs:
                _slide_doors(player, doors[i], solids.boxes[i], segments[i])
            turn(player, actions[i, 0])
            move(player, solids, i, actions[i, 2], actions[i, 1], ms, planes)
            _touch_keys(player, game, keys[i])
            _touch_doors(player, game, doors[i])
            if not game.goal_taken and touches_item(player, game.goal_x, game.goal_y, ITEM_Z):
                _take_goal(player, game)
                success = (player.frame - player.trial_start) / FRAMES_PER_SECOND
            over = _seconds(player.frame) > game.ends_after
            if over or player.frame == player.last_frame:
                # One more engine frame collects what the last one earned.
                reward += game.unpaid
                game.unpaid = 0.0
        out.reward[i] = reward
        out.terminated[i] = over
        out.truncated[i] = player.frame == player.last_frame and not over
        out.success_seconds[i] = success
        draw_items(player, game, keys[i], things, textures, square, i)


@kernel
def _seconds(frame):  # type: ignore[no-untyped-def]
    """The episode's clock after a number of frames, rounded as DeepMind Lab rounds it."""
    return frame * FRAME_MS / (FRAME_MS * FRAMES_PER_SECOND * 1.0)


@kernel
def _touch_keys(player, game, keys):  # type: ignore[no-untyped-def]
    """Take every key that the player touches; he carries on with the last."""
    for k in range(len(keys)):
        if keys[k].colour != ABSENT and touches_item(player, keys[k].x, keys[k].y, ITEM_Z):
            game.held = keys[k].colour
            keys[k].colour = ABSENT
            game.unpaid += KEY_REWARD


@kernel
def _touch_doors(player, game, doors):  # type: ignore[no-untyped-def]
    """Open the closed doors that the player touches with a key of their colour."""
    for k in range(len(doors)):
        door = doors[k]
        if door.colour == ABSENT or not touches_door(player, door):
            continue
        if door.opened_ms == CLOSED and door.colour == game.held:
            door.opened_ms = player.server_ms
            game.held = EMPTY_HANDED
            game.unpaid += DOOR_REWARD


@kernel
def _take_goal(player, game):  # type: ignore[no-untyped-def]
    """Pay for the goal and set the end, 0.2 s after what the clock showed before this frame."""
    game.goal_taken = True
    game.unpaid += GOAL_REWARD
    game.ends_after = _seconds(player.frame - 1) + SECONDS_AFTER_GOAL


@kernel
def draw_items(player, game, keys, things, textures, square, i):  # type: ignore[no-untyped-def]
    """Show the objects that are left, and the square of the key that is carried."""
    ms = player.engine_ms
    for k in range(len(keys)):
        colour = keys[k].colour
        textures[i, k] = NONE if colour == ABSENT else KEY + SPIN_VIEWS * colour
        things[i, k, THING_X], things[i, k, THING_Y] = keys[k].x, keys[k].y
        float_thing(things, i, k, KEY_FOOT, KEY_HEIGHT, ms, SPIN_MS)
    textures[i, GOAL_THING] = NONE if game.goal_taken else LOLLY
    things[i, GOAL_THING, THING_X], things[i, GOAL_THING, THING_Y] = game.goal_x, game.goal_y
    float_thing(things, i, GOAL_THING, LOLLY_FOOT, LOLLY_HEIGHT, ms, SPIN_MS)
    square[i, 3] = game.held != EMPTY_HANDED
    for channel in range(3):
        square[i, channel] = COLOUR_RGB[game.held, channel] if square[i, 3] else 0


@kernel
def touches_door(player, door):  # type: ignore[no-untyped-def]
    """Whether a player sets off one of a door's triggers, which then sleeps."""
    along, across = player.x - door.x, player.y - door.y
    if door.is_east_west == 0:
        along, across = across, along
    reach = 0.5 * CELL + HALF_WIDTH
    if abs(across) >= reach or abs(along) >= reach:
        return False
    touched = False
    if along < HALF_WIDTH - TRIGGER_GAP and player.server_ms >= door.low_ready_ms:
        door.low_ready_ms = player.server_ms + TRIGGER_SLEEP_MS
        touched = True
    if along > TRIGGER_GAP - HALF_WIDTH and player.server_ms >= door.high_ready_ms:
        door.high_ready_ms = player.server_ms + TRIGGER_SLEEP_MS
        touched = True
    return touched


@kernel
def _slide_doors(player, doors, boxes, segments):  # type: ignore[no-untyped-def]
    """Move what is opening, once per server frame."""
    for k in range(len(doors)):
        moving_ms = player.server_ms - doors[k].opened_ms
        if doors[k].opened_ms != CLOSED and moving_ms < OPENING_DELAY_MS + 2 * SLIDE / SLIDE_PER_MS:
            place_fence(player, doors[k], boxes[k], segments, k)


@kernel
def place_fence(player, door, box, segments, k):  # type: ignore[no-untyped-def]
    """Put the solid box, [4], and the segments of door k where it is at the server's time.

    segments: f32 [MAX_DOORS * FENCE_SEGMENTS, 10].
    """
    slid = 0.0
    if door.opened_ms != CLOSED:
        moving_ms = player.server_ms - door.opened_ms - OPENING_DELAY_MS
        slid = min(max(moving_ms * SLIDE_PER_MS, 0.0), SLIDE)
    east_west = door.is_east_west == 1
    x = door.x if east_west else door.x + FENCE_OFFSET + slid
    y = door.y + FENCE_OFFSET + slid if east_west else door.y
    box[MIDDLE_X], box[MIDDLE_Y] = x, y
    box[HALF_X] = FENCE_HALF_THICKNESS if east_west else 0.5 * FENCE_LENGTH
    box[HALF_Y] = 0.5 * FENCE_LENGTH if east_west else FENCE_HALF_THICKNESS
    for row in range(FENCE_SEGMENTS):
        segment = segments[k * FENCE_SEGMENTS + row]
        segment[:] = FENCES[door.is_east_west, row]
        segment[X0] += x
        segment[X1] += x
        segment[Y0] += y
        segment[Y1] += y
