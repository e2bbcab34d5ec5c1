"""What a laser tag game looks like: bots, items and Orbs as things in a maze of text."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from envs.labsim.items import FAST_SPIN_MS, SPIN_MS, float_thing
from envs.labsim.levels.lasertag_fighters import NOBODY, NUM_FIGHTERS, ORB
from envs.labsim.levels.lasertag_items import GADGET, HEALTH, ITEM_Z, NUM_ITEMS, is_there
from envs.labsim.levels.lasertag_maps import SIDE
from envs.labsim.levels.lasertag_weapons import ORBS_EACH
from envs.labsim.models import BOT_VIEWS, GADGETS, SPIN_VIEWS, armour, bot, gadget, health
from envs.labsim.scene import (
    NONE,
    THING_HALF_WIDTH,
    THING_X,
    THING_Y,
    THING_YAW,
    THING_Z0,
    THING_Z1,
    Scene,
)
from envs.labsim.text_maze import FIRST_FREE_TEXTURE, empty_scene, maze_pictures
from envs.labsim.textures import TexturePack, pack_textures
from envs.labsim.world import SERVER_FRAME_MS, kernel

HUE_STEP_DEG = 30  # bots come in this many hues less than DeepMind Lab's 360
NUM_HUES = 360 // HUE_STEP_DEG

# Rows of `Scene.things`.
BOT_THINGS = 0
ITEM_THINGS = BOT_THINGS + NUM_FIGHTERS - 1
ORB_THINGS = ITEM_THINGS + NUM_ITEMS
NUM_ORBS = ORBS_EACH * NUM_FIGHTERS
NUM_THINGS = ORB_THINGS + NUM_ORBS

# Texture ids, in the order of `_textures`; of items and bots the first of their views.
GADGET_TEXTURE = FIRST_FREE_TEXTURE  # Orb, then Beam and Disc
HEALTH_TEXTURE = GADGET_TEXTURE + len(GADGETS) * SPIN_VIEWS
ARMOUR_TEXTURE = HEALTH_TEXTURE + SPIN_VIEWS
BOT_TEXTURE = ARMOUR_TEXTURE + SPIN_VIEWS
ORB_TEXTURE = BOT_TEXTURE + NUM_HUES * BOT_VIEWS

ITEM_MODELS = (gadget(GADGETS[0]), health(), armour())  # by kind; all gadgets have one size
ITEM_FOOT = np.array([ITEM_Z + model.foot for model in ITEM_MODELS])
ITEM_HEIGHT = np.array([model.height for model in ITEM_MODELS])
ITEM_HALF_WIDTH = np.array([model.half_width for model in ITEM_MODELS])
BOT_MODEL = bot(0)
BOT_FOOT, BOT_HEIGHT, BOT_HALF_WIDTH = BOT_MODEL.foot, BOT_MODEL.height, BOT_MODEL.half_width

ORB_RADIUS = 8.0  # units
ORB_SIDE = 32  # pixels
ORB_CORE, ORB_RIM = np.array([255.0, 255.0, 220.0]), np.array([255.0, 110.0, 20.0])


@cache
def _textures() -> TexturePack:
    """All pictures of the level, in the order of the texture ids."""
    models = [*(gadget(kind) for kind in GADGETS), health(), armour()]
    models += [bot(HUE_STEP_DEG * k) for k in range(NUM_HUES)]
    pictures = [picture for model in models for picture in model.pictures]
    return pack_textures([*maze_pictures(), *pictures, _orb_picture()])


def _orb_picture() -> NDArray[np.uint8]:
    """A glowing ball, RGBA [ORB_SIDE, ORB_SIDE, 4]."""
    steps = (np.arange(ORB_SIDE) + 0.5) / ORB_SIDE * 2.0 - 1.0
    radius = np.hypot(steps, steps[:, None])[..., None]
    colour = ORB_CORE + np.clip(radius, 0.0, 1.0) ** 2 * (ORB_RIM - ORB_CORE)
    alpha = np.where(radius < 1.0, 255.0, 0.0)
    return np.round(np.concatenate([colour, alpha], axis=2)).astype(np.uint8)


def build_scene(num_envs: int) -> Scene:
    """Scenes of num_envs games, yet without mazes and things."""
    scene = empty_scene(_textures(), num_envs, SIDE, NUM_THINGS)
    bots = slice(BOT_THINGS, ITEM_THINGS)
    scene.things[:, bots, THING_HALF_WIDTH] = BOT_HALF_WIDTH
    scene.thing_views[:, bots] = BOT_VIEWS
    scene.thing_views[:, ITEM_THINGS:ORB_THINGS] = SPIN_VIEWS
    scene.things[:, ORB_THINGS:, THING_HALF_WIDTH] = ORB_RADIUS
    return scene


@kernel
def draw_game(fighters, items, orbs, game, things, textures, i):  # type: ignore[no-untyped-def]
    """Show in scene i who is alive, what lies there and what flies."""
    player = fighters[0]
    now = player.engine_ms
    # The player sees bots on their way from one server frame to the next.
    part = (SERVER_FRAME_MS + player.server_debt - player.lag_ms) / SERVER_FRAME_MS
    part = min(max(part, 0.0), 1.0)
    for k in range(1, NUM_FIGHTERS):
        row, fighter = BOT_THINGS + k - 1, fighters[k]
        textures[i, row] = BOT_TEXTURE + BOT_VIEWS * game.hue if fighter.alive else NONE
        things[i, row, THING_X] = fighter.from_x + part * (fighter.x - fighter.from_x)
        things[i, row, THING_Y] = fighter.from_y + part * (fighter.y - fighter.from_y)
        foot = fighter.from_z + part * (fighter.z - fighter.from_z) + BOT_FOOT
        things[i, row, THING_Z0], things[i, row, THING_Z1] = foot, foot + BOT_HEIGHT
        things[i, row, THING_YAW] = fighter.yaw
    for k in range(NUM_ITEMS):
        row, item = ITEM_THINGS + k, items[k]
        if not is_there(item, now):
            textures[i, row] = NONE
            continue
        kind, spin_ms = item.kind, SPIN_MS
        if kind == GADGET:
            textures[i, row] = GADGET_TEXTURE + SPIN_VIEWS * (game.special - ORB)
        elif kind == HEALTH:
            textures[i, row], spin_ms = HEALTH_TEXTURE, FAST_SPIN_MS
        else:
            textures[i, row] = ARMOUR_TEXTURE
        things[i, row, THING_X], things[i, row, THING_Y] = item.x, item.y
        things[i, row, THING_HALF_WIDTH] = ITEM_HALF_WIDTH[kind]
        float_thing(things, i, row, ITEM_FOOT[kind], ITEM_HEIGHT[kind], now, spin_ms)
    for k in range(NUM_ORBS):
        row, orb = ORB_THINGS + k, orbs[k]
        textures[i, row] = ORB_TEXTURE if orb.owner != NOBODY else NONE
        things[i, row, THING_X], things[i, row, THING_Y] = orb.x, orb.y
        things[i, row, THING_Z0], things[i, row, THING_Z1] = orb.z - ORB_RADIUS, orb.z + ORB_RADIUS
