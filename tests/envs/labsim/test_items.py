import numpy as np
import pytest

from envs.labsim.items import float_thing, touches_item
from envs.labsim.world import PLAYER

E = 1e-6


@pytest.mark.parametrize(
    ("offset", "touched"),
    [((-50, 0, 0), True), ((-50 - E, 0, 0), False), ((44, 0, 0), True), ((44 + E, 0, 0), False),
     ((0, 36, 0), True), ((0, 36 + E, 0), False), ((0, -36, 0), True), ((0, -36 - E, 0), False),
     ((0, 0, 36), True), ((0, 0, 36 + E), False), ((0, 0, -36), True), ((0, 0, -36 - E), False),
     ((44, 36, -36), True)],
)  # fmt: skip
def test_the_touch_box(offset, touched):
    player = np.zeros(1, PLAYER)
    player["x"], player["y"], player["z"] = np.array([300.0, -70.0, 24.0]) + offset
    assert touches_item(player[0], 300.0, -70.0, 24.0) == touched


def test_items_bob_by_8_units_every_1257_ms_and_spin():
    things = np.zeros((3, 2, 6), np.float32)

    def state(engine_ms, spin_ms=2048):
        float_thing(things, 2, 1, 15.0, 30.0, engine_ms, spin_ms)
        return things[2, 1, [2, 3, 5]]

    np.testing.assert_allclose(state(0), [23.0, 53.0, 0.0], atol=1e-4)
    np.testing.assert_allclose(state(512)[2], 90.0)
    np.testing.assert_allclose(state(512, 1024)[2], 180.0)
    np.testing.assert_allclose(state(2048 * 7 + 1024)[2], 180.0)
    heights = [state(ms)[0] for ms in range(0, 1257)]
    assert np.argmin(heights) == pytest.approx(628, abs=1)  # pi / 0.005 ms
    assert (min(heights), max(heights)) == pytest.approx((15.0, 23.0), abs=1e-3)
    assert not things[:2].any()
    assert not things[2, 0].any()
