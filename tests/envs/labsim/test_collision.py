import numpy as np

from envs.labsim.collision import wall_planes


def test_wall_planes_face_the_side_that_sees_point_0_on_the_left():
    (east,) = wall_planes([(100.0, 30.0, 100.0, -30.0)])  # seen from the origin
    np.testing.assert_allclose(east, [-1.0, 0.0, -100.0 + 15.0, -45.0, 45.0], atol=1e-12)
    (slanted,) = wall_planes([(0.0, 100.0, 100.0, 0.0)])
    r = 0.5**0.5
    np.testing.assert_allclose(slanted[:3], [-r, -r, -100 * r + 30 * r], atol=1e-12)
