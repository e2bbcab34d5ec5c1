from pathlib import Path

import numpy as np
import pytest

from envs.pool import WorkerPool

DATA = Path(__file__).parent.parent / "data"


@pytest.fixture(scope="session")
def watermaze_traces():
    """Recorded traces by reset seed: dicts of the arrays that tests/data/README.md lists."""
    names = {7001: "rooms_watermaze_seed7001_uniform", 7003: "rooms_watermaze_seed7003_sticky"}
    return {seed: dict(np.load(DATA / f"{name}.npz")) for seed, name in names.items()}


@pytest.fixture(scope="session")
def keys_doors_traces():
    """Recorded traces of rooms_keys_doors_puzzle by reset seed, as `watermaze_traces`."""
    names = {7001: "seed7001_uniform", 7003: "seed7003_sticky"}
    files = {seed: DATA / f"rooms_keys_doors_puzzle_{name}.npz" for seed, name in names.items()}
    return {seed: dict(np.load(file)) for seed, file in files.items()}


@pytest.fixture(scope="session")
def forward_and_coast():
    """Positions P [81, 3] and velocities V [81, 3] of 40 frames forward, then 40 coasting."""
    return dict(np.load(DATA / "phys_empty_room_forward40_then_coast40.npz"))


@pytest.fixture
def pool_of():
    """Make pools that are closed in the end."""
    pools = []

    def make(make_env, num_envs, **settings):
        pools.append(WorkerPool(make_env, num_envs, **settings))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
