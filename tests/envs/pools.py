"""What tests ask of a pool of workers."""

import numpy as np


def begun(pool, seed=0):
    """The pool's buffer of observations after a reset."""
    space = pool.single_observation_space
    obs = np.zeros((pool.num_envs, *space.shape), space.dtype)
    pool.reset_into(list(range(seed, seed + pool.num_envs)), obs)
    return obs


def workers(pool):
    """All workers of the pool, in the order of their environments."""
    return [worker for group in pool.groups for worker in group.workers]


def pids(pool):
    """The process of each environment, in their order."""
    return [worker.process.pid for worker in workers(pool)]
