"""What happens in lasertag_three_opponents_small from frame to frame: who thinks, walks, shoots."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.labsim.collision import CLEARANCE, Solids
from envs.labsim.levels.lasertag_aim import turn_view
from envs.labsim.levels.lasertag_bots import think
from envs.labsim.levels.lasertag_fighters import (
    AGENT,
    NUM_FIGHTERS,
    THINK_MS,
    may_return,
    put_box,
    run_timers,
    spawn,
)
from envs.labsim.levels.lasertag_items import clear_old_drops, drop_of_the_dead, take_items
from envs.labsim.levels.lasertag_scene import draw_game
from envs.labsim.levels.lasertag_weapons import fire, fly_orbs
from envs.labsim.physics import (
    GROUND_REACH,
    KICK_OFF_SPEED,
    MAX_SPEED,
    move,
    scratch,
    turn,
)
from envs.labsim.world import FEET, FRAME_MS, SERVER_FRAME_MS, kernel, pass_frame

HIGHEST_Z = 118.0  # of a player's origin below the lid of the maze, 150 units above the ground


class Rules(NamedTuple):
    """What a step reads and writes."""

    fighters: NDArray  # [B, NUM_FIGHTERS] of dtype FIGHTER
    games: NDArray  # [B] of dtype GAME
    items: NDArray  # [B, NUM_ITEMS] of dtype ITEM
    orbs: NDArray  # [B, NUM_ORBS] of dtype ORB_RECORD
    spawns: NDArray[np.float64]  # [B, MAX_SPAWNS, 2]
    avoid_ms: NDArray[np.int64]  # [B, NUM_FIGHTERS, NUM_ITEMS]
    steps: NDArray[np.uint8]  # [B, cells, cells]
    solids: Solids
    things: NDArray[np.float32]  # [B, NUM_THINGS, 6] the scene's, as the next
    textures: NDArray[np.int32]  # [B, NUM_THINGS]


@kernel
def step_slice(rules, actions, out, start, stop, num_frames):  # type: ignore[no-untyped-def]
    """Advance some environments by `num_frames` frames."""
    all_fighters, games, all_items, all_orbs = rules.fighters, rules.games, rules.items, rules.orbs
    spawns, avoid_ms, steps, solids = rules.spawns, rules.avoid_ms, rules.steps, rules.solids
    things, textures = rules.things, rules.textures
    planes = scratch()
    for i in range(start, stop):
        fighters, game, items, orbs = all_fighters[i], games[i], all_items[i], all_orbs[i]
        player, cells = fighters[AGENT], solids.cells[i]
        reward = 0.0
        for _ in range(num_frames):
            if player.frame == player.last_frame:
                break
            player.frame += 1
            ms, server_runs = pass_frame(player)
            now = player.engine_ms
            if server_runs:
                clear_old_drops(items, now)
            _let_bots_think(fighters, game, items, avoid_ms[i], cells, steps[i], now)
            _return_dead(
                fighters, spawns[i, : game.num_spawns], solids.boxes[i], actions[i, 3] != 0, now
            )
            if player.alive:
                turn(player, actions[i, 0])
                player.shooting = actions[i, 3] != 0
            for k in range(NUM_FIGHTERS):
                if fighters[k].alive and (k == AGENT or server_runs):
                    run_timers(fighters[k], FRAME_MS if k == AGENT else SERVER_FRAME_MS)
                    _walk(fighters[k], k, solids, i, actions, ms, planes)
                    take_items(fighters[k], items, game.special, now)
                    reward += _shoot(fighters, k, game, orbs, cells)
            reward += fly_orbs(fighters, orbs, cells)
            drop_of_the_dead(fighters, items, now)
            for k in range(NUM_FIGHTERS):
                if not fighters[k].alive:
                    solids.boxes[i, k, :] = -1.0
        out.reward[i] = reward
        out.terminated[i] = False
        out.truncated[i] = player.frame == player.last_frame
        out.success_seconds[i] = np.nan
        draw_game(fighters, items, orbs, game, things, textures, i)


@kernel
def _let_bots_think(  # type: ignore[no-untyped-def]
    fighters, game, items, avoid_ms, cells, steps, now
):
    """Let those bots think whose time it is; the dead keep time, too. All turn their views.

    All of them learn every 100 ms where everybody is.
    """
    if now >= game.known_ms:
        game.known_ms = _next(game.known_ms, now)
        for k in range(NUM_FIGHTERS):
            fighter = fighters[k]
            fighter.known_vx = (fighter.x - fighter.known_x) / (THINK_MS / 1000.0)
            fighter.known_vy = (fighter.y - fighter.known_y) / (THINK_MS / 1000.0)
            fighter.known_vz = (fighter.z - fighter.known_z) / (THINK_MS / 1000.0)
            fighter.known_x, fighter.known_y, fighter.known_z = fighter.x, fighter.y, fighter.z
    for k in range(1, NUM_FIGHTERS):
        bot = fighters[k]
        if now >= bot.think_ms:
            bot.think_ms = _next(bot.think_ms, now)
            if bot.alive:
                think(fighters, k, game, items, avoid_ms[k], cells, steps, now)
        if bot.alive:
            turn_view(bot)


@kernel
def _next(time_ms, now):  # type: ignore[no-untyped-def]
    """When what was due at a time, and is now, is due again."""
    return time_ms + THINK_MS * ((now - time_ms) // THINK_MS + 1)


@kernel
def _return_dead(fighters, spawns, boxes, agent_fires, now):  # type: ignore[no-untyped-def]
    """Let those come back who may and want to."""
    for k in range(NUM_FIGHTERS):
        if fighters[k].alive:
            continue
        presses = agent_fires if k == AGENT else now >= fighters[k].press_ms
        if may_return(fighters[k], now, presses):
            spawn(fighters, k, spawns, boxes)


@kernel
def _walk(fighter, k, solids, i, actions, ms, planes):  # type: ignore[no-untyped-def]
    """Move a living fighter by one frame; the others are in his way.

    The agent's lasts `ms`; bots move on server frames alone.
    """
    speed = MAX_SPEED
    if k == AGENT:
        forward, right = float(actions[i, 2]), float(actions[i, 1])
    else:
        ms, speed = SERVER_FRAME_MS, fighter.wish_speed
        fighter.from_x, fighter.from_y, fighter.from_z = fighter.x, fighter.y, fighter.z
        angle = np.radians(fighter.yaw)
        cos, sin = np.cos(angle), np.sin(angle)
        forward = fighter.wish_x * cos + fighter.wish_y * sin
        right = fighter.wish_x * sin - fighter.wish_y * cos
    height = fighter.z - FEET - fighter.floor
    slides = fighter.slide_ms > 0 and fighter.vz <= KICK_OFF_SPEED
    slides = slides and height < GROUND_REACH + CLEARANCE
    if slides:
        # Who was just hit slides without friction: physics takes him for taking off.
        fighter.vz = KICK_OFF_SPEED + 1.0
    solids.boxes[i, k, 2] = -1.0
    move(fighter, solids, i, forward, right, ms, planes, speed)
    if slides:
        fighter.z, fighter.vz = fighter.floor + FEET + CLEARANCE, 0.0
    if fighter.z > HIGHEST_Z:
        fighter.z, fighter.vz = HIGHEST_Z, 0.0
    put_box(fighter, solids.boxes[i], k)


@kernel
def _shoot(fighters, k, game, orbs, cells):  # type: ignore[no-untyped-def]
    """Let a living fighter shoot if he holds FIRE; return the agent's reward."""
    fighter = fighters[k]
    if not fighter.shooting:
        fighter.must_release = False
        fighter.weapon_ms = max(fighter.weapon_ms, 0)
    elif not fighter.must_release:
        return fire(fighters, k, game, orbs, cells)
    return 0.0
