"""The random numbers of DeepMind Lab's level scripts, so that a seed gives the maps it gives there.

The scripts draw from the 64-bit Mersenne Twister (Nishimura 2000; `std::mt19937_64`) through the
distributions of GCC's standard library (`deepmind/engine/lua_random.cc`, commit b1db91a).
"""

import numpy as np
from numpy.typing import NDArray

from envs.labsim.world import kernel

STATE_WORDS, MIDDLE_WORD = 312, 156
INITIAL_FACTOR = np.uint64(6364136223846793005)
TWIST = np.uint64(0xB5026F5AA96619E9)
UPPER_BITS = np.uint64(0xFFFFFFFF80000000)
LOWER_BITS = np.uint64(0x7FFFFFFF)


class MersenneTwister:
    """One stream of random numbers; seeds are in 0 .. 2^64 - 1."""

    def __init__(self, seed: int) -> None:
        self._state = np.empty(STATE_WORDS, np.uint64)
        _start(self._state, np.uint64(seed))
        self._block: list[int] = []  # numbers not yet drawn, the next one last

    def draw(self) -> int:
        """Give the next number of 0 .. 2^64 - 1."""
        if not self._block:
            self._block = _next_block(self._state)[::-1].tolist()
        return self._block.pop()

    def integer(self, low: int, high: int) -> int:
        """Draw a whole number of low .. high, as `random:uniformInt` does.

        Left out is the second draw that makes it exactly uniform: it happens once in 2^60 draws.
        """
        return low + (self.draw() * (high - low + 1) >> 64)

    def real(self) -> float:
        """Draw from [0, 1), as `random:uniformReal(0, 1)` does."""
        return min(self.draw() * 2.0**-64, 1.0 - 2.0**-53)


@kernel
def _start(state, seed):  # type: ignore[no-untyped-def]
    """Fill the state, u64 [STATE_WORDS], from a seed."""
    state[0] = seed
    for k in range(1, STATE_WORDS):
        before = state[k - 1]
        state[k] = INITIAL_FACTOR * (before ^ (before >> np.uint64(62))) + np.uint64(k)


@kernel
def _next_block(state: NDArray) -> NDArray:
    """Advance the state by STATE_WORDS numbers and give them, u64 [STATE_WORDS]."""
    for k in range(STATE_WORDS):
        word = (state[k] & UPPER_BITS) | (state[(k + 1) % STATE_WORDS] & LOWER_BITS)
        twisted = (word >> np.uint64(1)) ^ (TWIST * (word & np.uint64(1)))
        state[k] = state[(k + MIDDLE_WORD) % STATE_WORDS] ^ twisted
    out = np.empty(STATE_WORDS, np.uint64)
    for k in range(STATE_WORDS):
        word = state[k]
        word ^= (word >> np.uint64(29)) & np.uint64(0x5555555555555555)
        word ^= (word << np.uint64(17)) & np.uint64(0x71D67FFFEDA60000)
        word ^= (word << np.uint64(37)) & np.uint64(0xFFF7EEE000000000)
        out[k] = word ^ (word >> np.uint64(43))
    return out
