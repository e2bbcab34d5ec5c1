"""dmlab: the real DeepMind Lab, where the user has built it, as a Gymnasium environment.

Nothing here imports the module `deepmind_lab` before an environment is made.
"""

from envs.dmlab.env import DMLabEnv
from envs.dmlab.level_cache import LevelCache

__all__ = ["DMLabEnv", "LevelCache"]
