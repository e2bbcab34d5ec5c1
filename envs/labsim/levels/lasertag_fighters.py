"""The four fighters of a laser tag game: what they have, how they are hurt, die and come back.

Numbers: DeepMind Lab's engine, commit b1db91a (`g_combat.c`, `g_client.c`, `g_active.c`). Fighter 0
is the agent, the others are bots; all of an environment draw from the agent's random stream.
"""

import warnings

import numpy as np
from numba.core.errors import NumbaExperimentalFeatureWarning

from envs.labsim.text_maze import FLOOR_Z, STANDING_Z
from envs.labsim.world import HALF_WIDTH, PLAYER, kernel, uniform

# Numba calls it experimental that functions made for PLAYER take its extension FIGHTER.
warnings.filterwarnings("ignore", category=NumbaExperimentalFeatureWarning)

AGENT = 0
NUM_BOTS = 3
NUM_FIGHTERS = 1 + NUM_BOTS  # the agent comes first
NOBODY = -1

# Gadgets, in the order in which the engine prefers them when another is empty.
IMPULSE, RAPID, ORB, BEAM, DISC = range(5)

SPAWN_HEALTH = 125
MAX_HEALTH = 100  # health and armour above this fall to it ..
DECAY_MS = 1000  # .. by one in this time
RAPID_AMMO = 100
ARMOUR_SHARE = 0.66  # of damage that armour takes
SELF_DAMAGE = 0.5  # share of damage that fighters do to themselves
KNOCKBACK = 5.0  # units per engine second for each point of damage
MAX_KNOCKBACK = 200  # points
SLIDE_MS_PER_DAMAGE, MIN_SLIDE_MS, MAX_SLIDE_MS = 2, 50, 200  # without ground under the feet
RESPAWN_MS = 1700  # after a tag, FIRE brings the player back ..
FORCED_RESPAWN_MS = 20000  # .. and this much later he comes back by himself
THINK_MS = 100  # between two thoughts of a bot
BOT_RESPAWN_MS = 1000  # bots press FIRE this long after noticing their death, up to twice as long

TAG_REWARD, SELF_TAG_REWARD = 1.0, -1.0

# One record per fighter; the fields of PLAYER come first, so that physics moves all alike. Times
# are in engine milliseconds since the map was loaded.
FIGHTER = np.dtype(
    [
        *PLAYER.descr,
        ("alive", np.bool_),
        ("health", np.int64),
        ("armour", np.int64),
        ("decay_ms", np.int64),  # since health and armour last fell by themselves
        ("gadget", np.int64),  # in the hands
        ("rapid_ammo", np.int64),
        ("special_ammo", np.int64),  # of the map's Orb, Beam or Disc
        ("has_special", np.bool_),  # he took one since he last came back, be it empty by now
        ("weapon_ms", np.int64),  # until the gadget can fire
        ("shooting", np.bool_),  # FIRE is held
        ("must_release", np.bool_),  # the FIRE that brought him back does not shoot
        ("slide_ms", np.int64),  # rest of the time in which a hit makes him slide
        ("died_ms", np.int64),
        ("drops", np.bool_),  # he just died and yet has to leave his gadget
        ("deaths", np.int64),  # since the episode began
        ("tags", np.int64),  # others killed since the episode began
        ("self_tags", np.int64),
        ("known_x", np.float64),  # where bots believe him to be
        ("known_y", np.float64),
        ("known_z", np.float64),
        ("known_vx", np.float64),  # .. and how fast
        ("known_vy", np.float64),
        ("known_vz", np.float64),
        # Bots only, see lasertag_bots and lasertag_aim.
        ("from_x", np.float64),  # where he was one server frame earlier
        ("from_y", np.float64),
        ("from_z", np.float64),
        ("slope", np.float64),  # of the view: rise for each unit ahead
        ("turn_speed", np.float64),  # degrees per frame
        ("ideal_yaw", np.float64),
        ("ideal_slope", np.float64),
        ("think_ms", np.int64),  # time of the next thought
        ("press_ms", np.int64),  # dead bots press FIRE from then on
        ("last_health", np.int64),  # when it last looked for enemies; less since: hurt, or decay
        ("enemy", np.int64),  # a fighter, or NOBODY
        ("sight_ms", np.int64),  # when the enemy was noticed ..
        ("visible_ms", np.int64),  # .. and last seen ..
        ("seen_x", np.float64),  # .. there
        ("seen_y", np.float64),
        ("memory_ms", np.int64),  # when he next memorises ..
        ("memory_x", np.float64),  # .. where the enemy is
        ("memory_y", np.float64),
        ("memory_z", np.float64),
        ("memory_vx", np.float64),  # .. and how fast
        ("memory_vy", np.float64),
        ("memory_vz", np.float64),
        ("wish_x", np.float64),  # direction of walking, or 0, 0
        ("wish_y", np.float64),
        ("wish_speed", np.float64),  # units per engine second
        ("free_ms", np.int64),  # when nobody last stood in the way
        ("avoid_right", np.bool_),  # the side to which he walks around others
        ("jump_ms", np.int64),  # in a fight he may jump from then on
        ("desperate", np.bool_),  # fights for want of a way out
        ("strafe_right", np.bool_),
        ("strafe_ms", np.int64),  # when the side last changed
        ("pause_until_ms", np.int64),  # of shooting
        ("burst_until_ms", np.int64),
        ("goal", np.int64),  # an item, or NOBODY ..
        ("goal_ms", np.int64),  # .. given up then
        ("nearby", np.int64),  # an item near the way to it, or NOBODY ..
        ("nearby_ms", np.int64),  # .. given up then
        ("check_ms", np.int64),  # next look for one
        ("forgets", np.bool_),  # what he ignored before he died
    ]
)

# What an environment remembers besides its fighters.
GAME = np.dtype(
    [
        ("next_seed", np.int64),  # of the next episode's map
        ("special", np.int64),  # kind of the map's gadget: ORB, BEAM or DISC
        ("hue", np.int64),  # of the bots, in steps of HUE_STEP_DEG
        ("num_spawns", np.int64),
        ("known_ms", np.int64),  # when bots next learn where everybody is
    ]
)


@kernel
def spawn(fighters, k, spawns, boxes):  # type: ignore[no-untyped-def]
    """Let fighter k begin at a random free spawn point [n, 2], with any heading.

    boxes: f64 [4, 4], where the living stand, as in `Solids`; his own is added.
    """
    random, fighter = fighters[AGENT], fighters[k]
    place = _free_spawn(random, spawns, boxes)
    fighter.x, fighter.y, fighter.z = spawns[place, 0], spawns[place, 1], STANDING_Z
    fighter.vx, fighter.vy, fighter.vz = 0.0, 0.0, 0.0
    fighter.from_x, fighter.from_y, fighter.from_z = fighter.x, fighter.y, fighter.z
    fighter.known_x, fighter.known_y, fighter.known_z = fighter.x, fighter.y, fighter.z
    fighter.known_vx, fighter.known_vy, fighter.known_vz = 0.0, 0.0, 0.0
    fighter.yaw = 360.0 * uniform(random)
    fighter.floor = FLOOR_Z
    fighter.alive, fighter.drops = True, False
    fighter.health, fighter.armour, fighter.decay_ms = SPAWN_HEALTH, 0, 0
    fighter.gadget = RAPID
    fighter.rapid_ammo, fighter.special_ammo, fighter.has_special = RAPID_AMMO, 0, False
    fighter.weapon_ms, fighter.slide_ms = 0, 0
    fighter.shooting, fighter.must_release = False, True
    fighter.slope, fighter.turn_speed = 0.0, 0.0
    fighter.ideal_yaw, fighter.ideal_slope = fighter.yaw, 0.0
    fighter.last_health = SPAWN_HEALTH
    fighter.enemy, fighter.goal, fighter.nearby = NOBODY, NOBODY, NOBODY
    fighter.desperate, fighter.forgets = False, True
    fighter.wish_x, fighter.wish_y = 0.0, 0.0
    now = random.engine_ms
    fighter.free_ms, fighter.strafe_ms = now, now
    fighter.jump_ms, fighter.check_ms, fighter.memory_ms = now, now, now
    fighter.pause_until_ms, fighter.burst_until_ms = now, now
    put_box(fighter, boxes, k)


@kernel
def _free_spawn(random, spawns, boxes):  # type: ignore[no-untyped-def]
    """Draw one of the spawn points on which nobody stands; any if there is none."""
    free = 0
    chosen = int(uniform(random) * len(spawns))
    for place in range(len(spawns)):
        taken = False
        for k in range(len(boxes)):
            away_x = abs(boxes[k, 0] - spawns[place, 0])
            away_y = abs(boxes[k, 1] - spawns[place, 1])
            near = max(away_x, away_y) < 2.0 * HALF_WIDTH
            taken = taken or (near and boxes[k, 2] >= 0.0)
        if not taken:
            free += 1
            if uniform(random) * free < 1.0:
                chosen = place
    return chosen


@kernel
def put_box(fighter, boxes, k):  # type: ignore[no-untyped-def]
    """Let fighter k stand in others' way where he is now."""
    boxes[k, 0], boxes[k, 1] = fighter.x, fighter.y
    boxes[k, 2], boxes[k, 3] = HALF_WIDTH, HALF_WIDTH


@kernel
def run_timers(fighter, ms):  # type: ignore[no-untyped-def]
    """Advance a living fighter's own clocks; surplus health and armour decay."""
    fighter.decay_ms += ms
    if fighter.decay_ms >= DECAY_MS:
        fighter.decay_ms -= DECAY_MS
        if fighter.health > MAX_HEALTH:
            fighter.health -= 1
        if fighter.armour > MAX_HEALTH:
            fighter.armour -= 1
    if fighter.weapon_ms > 0:
        fighter.weapon_ms -= ms
    fighter.slide_ms = max(fighter.slide_ms - ms, 0)


@kernel
def hurt(fighters, target, attacker, damage, dx, dy, dz):  # type: ignore[no-untyped-def]
    """Do damage to a living fighter and push him along the unit vector (dx, dy, dz).

    Returns the reward that the agent gets for it.
    """
    victim = fighters[target]
    push = KNOCKBACK * min(damage, MAX_KNOCKBACK)
    victim.vx += push * dx
    victim.vy += push * dy
    victim.vz += push * dz
    if victim.slide_ms == 0:
        victim.slide_ms = min(max(SLIDE_MS_PER_DAMAGE * damage, MIN_SLIDE_MS), MAX_SLIDE_MS)
    if target == attacker:
        damage = max(int(SELF_DAMAGE * damage), 1)
    saved = min(int(np.ceil(ARMOUR_SHARE * damage)), victim.armour)
    victim.armour -= saved
    victim.health -= damage - saved
    if victim.health > 0:
        return 0.0
    _die(victim, fighters[AGENT])
    if target == attacker:
        victim.self_tags += 1
        return SELF_TAG_REWARD if attacker == AGENT else 0.0
    fighters[attacker].tags += 1
    return TAG_REWARD if attacker == AGENT else 0.0


@kernel
def _die(victim, random):  # type: ignore[no-untyped-def]
    """The body disappears; what is left waits for its return."""
    victim.alive = False
    victim.deaths += 1
    victim.drops = True
    victim.shooting = False
    victim.vx, victim.vy, victim.vz = 0.0, 0.0, 0.0
    victim.died_ms = random.engine_ms
    # A bot notices at a thought that it is dead, and at another one that the wait is over.
    thoughts = int(np.ceil(BOT_RESPAWN_MS * (1.0 + uniform(random)) / THINK_MS))
    victim.press_ms = victim.think_ms + thoughts * THINK_MS


@kernel
def may_return(fighter, now, fire):  # type: ignore[no-untyped-def]
    """Whether a dead fighter comes back at engine time `now`; `fire` is whether he presses FIRE."""
    dead_ms = now - fighter.died_ms
    return dead_ms > RESPAWN_MS and (fire or dead_ms > RESPAWN_MS + FORCED_RESPAWN_MS)
