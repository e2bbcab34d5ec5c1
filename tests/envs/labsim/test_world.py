import numpy as np
import pytest

from envs.labsim.world import (
    PLAYER,
    place_cameras,
    random_seed,
    short_angle,
    uniform,
)


def test_angles_are_rounded_down_to_16_bits():
    unit = 360 / 65536
    assert short_angle(1.5 * unit) == pytest.approx(unit)
    assert all(short_angle(k * unit) == pytest.approx(k * unit) for k in range(0, 65536, 101))


def test_random_numbers_are_uniform_and_streams_differ():
    players = np.zeros(3, PLAYER)
    draws = np.zeros((3, 2000))
    for i, seed in enumerate((0, 1, 2**64 - 1)):
        players["rng"][i] = random_seed(np.uint64(seed))
        draws[i] = [uniform(players[i]) for _ in range(2000)]
    assert (draws >= 0).all()
    assert (draws < 1).all()
    np.testing.assert_allclose(draws.mean(axis=1), 0.5, atol=0.03)
    np.testing.assert_allclose(draws.var(axis=1), 1 / 12, atol=0.01)
    assert abs(np.corrcoef(draws)[np.triu_indices(3, 1)]).max() < 0.08


def test_cameras_are_26_units_above_the_origin_and_have_their_own_clock():
    players = np.zeros(5, PLAYER)
    for name in ("x", "y", "z", "yaw"):
        players[name] = np.arange(5) * 10.0 + len(name)
    players["engine_ms"] = np.arange(5) * 16
    camera, engine_ms = np.zeros((5, 4)), np.zeros(5, np.int64)
    place_cameras(players, camera, engine_ms, 1, 3)
    assert (camera[[0, 3, 4]] == 0).all()
    np.testing.assert_allclose(camera[2], [21.0, 21.0, 21.0 + 26.0, 23.0], atol=0.006)
    assert engine_ms.tolist() == [0, 16, 32, 0, 0]
