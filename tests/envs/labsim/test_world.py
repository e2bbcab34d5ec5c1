import numpy as np
import pytest

from envs.labsim.world import (
    PLAYER,
    load_clocks,
    pass_frame,
    place_cameras,
    random_seed,
    short_angle,
    start_clocks,
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


def test_frames_last_17_17_and_14_ms_in_turn_and_16_on_average():
    player = np.zeros(1, PLAYER)[0]
    load_clocks(player, (12, 49))
    lengths, server = zip(*(pass_frame(player) for _ in range(300)), strict=True)
    # The start of the recordings of the three larger maps, 4 frames an agent step.
    assert lengths[:28] == (
        14, 17, 17, 14, 17, 17, 17, 17, 17, 17, 17, 17, 14, 17, 17, 17, 17, 17, 17, 17,
        17, 14, 14, 17, 17, 14, 17, 17,
    )  # fmt: skip
    for first in range(75, 225):
        assert sum(lengths[first : first + 75]) == 75 * 16
        assert sum(lengths[first : first + 3]) in (45, 48, 51)
    assert (player["engine_ms"], player["server_ms"]) == (4800, 4800)
    # 12 ms are over already: the third frame is the first in which the server has one.
    assert np.flatnonzero(server)[:4].tolist() == [2, 5, 8, 11]
    assert sum(server) == 96
    assert player["lag_ms"] - 49 == 4800 - sum(lengths)


@pytest.mark.parametrize(("debt", "known"), [(16, 0), (12, 46), (15, 49), (49, 33)])
def test_a_frame_is_short_within_5_ms_of_the_server_frame_last_heard_of(debt, known):
    for ahead, ms in ((5, 14), (6, 17)):
        player = np.zeros(1, PLAYER)[0]
        load_clocks(player, (debt, known + ahead))
        assert pass_frame(player)[0] == ms
        assert player["lag_ms"] == known + ahead + 16 - ms


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


def test_one_start_in_nine_is_elsewhere_on_the_clocks_course_and_costs_no_random_number():
    starts = []
    for seed in range(2000):
        player = np.zeros(1, PLAYER)[0]
        player["rng"] = before = random_seed(np.uint64(seed))
        start_clocks(player, (12, 49))
        assert player["rng"] == before
        assert (player["engine_ms"], player["server_ms"]) == (0, 0)
        starts.append((int(player["server_debt"]), int(player["lag_ms"])))
    usual = starts.count((12, 49))
    assert usual / 2000 == pytest.approx(8 / 9, abs=0.03)
    assert len({debt for debt, _ in starts}) == 25
