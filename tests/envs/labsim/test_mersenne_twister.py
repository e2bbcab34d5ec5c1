import numpy as np
import pytest

from envs.labsim.mersenne_twister import MersenneTwister


def test_the_ten_thousandth_number_is_the_one_the_cpp_standard_names():
    """ISO C++, [rand.predef]: a default-constructed std::mt19937_64 has the seed 5489."""
    random = MersenneTwister(5489)
    numbers = [random.draw() for _ in range(10_000)]
    assert numbers[-1] == 9981545732273789042


@pytest.mark.parametrize(
    ("reset_seed", "script_seed"),
    [(7001, 2098538016), (7003, 1414188128), (1000, 306459877), (20000, 1554099184)],
)
def test_level_scripts_get_the_recorded_seeds(reset_seed, script_seed):
    assert MersenneTwister(reset_seed).integer(1, 2**31 - 1) == script_seed


def test_numbers_are_uniform_within_their_range():
    random = MersenneTwister(3)
    numbers = [random.integer(-2, 4) for _ in range(7000)]
    values, counts = np.unique(numbers, return_counts=True)
    assert values.tolist() == list(range(-2, 5))
    assert abs(counts - 1000).max() < 120
    reals = [random.real() for _ in range(5000)]
    assert 0.0 <= min(reals) < 0.01
    assert 0.99 < max(reals) < 1.0
    assert np.mean(reals) == pytest.approx(0.5, abs=0.02)


def test_every_seed_up_to_64_bits_has_its_own_stream():
    firsts = {MersenneTwister(seed).draw() for seed in (0, 1, 2**32, 2**63, 2**64 - 1)}
    assert len(firsts) == 5
