"""What explore_goal_locations_small looks like: a maze under the sky with one bobbing goal."""

from functools import cache

import numpy as np

from envs.labsim.items import ITEM_ORIGIN
from envs.labsim.models import goal
from envs.labsim.scene import THING_HALF_WIDTH, Scene
from envs.labsim.text_maze import FIRST_FREE_TEXTURE, FLOOR_Z, empty_scene, maze_pictures
from envs.labsim.textures import TexturePack, pack_textures

SIDE = 11  # cells
GOAL_TEXTURE = FIRST_FREE_TEXTURE
GOAL_Z = FLOOR_Z + ITEM_ORIGIN
GOAL_FOOT = GOAL_Z + goal().foot
GOAL_HEIGHT = goal().height
GOAL_LIGHT = 0.53  # how bright recorded frames show it


@cache
def _textures() -> TexturePack:
    (picture,) = goal().pictures
    lit = picture.copy()
    lit[..., :3] = np.round(GOAL_LIGHT * picture[..., :3])
    return pack_textures([*maze_pictures(), lit])


def build_scene(num_envs: int) -> Scene:
    """Scenes whose one thing is the goal; mazes and the goal's place are yet to be filled in."""
    scene = empty_scene(_textures(), num_envs, SIDE, num_things=1)
    scene.things[..., THING_HALF_WIDTH] = goal().half_width
    scene.thing_texture[:] = GOAL_TEXTURE
    return scene
