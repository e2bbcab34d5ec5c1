"""Maps of levels that make a new one for each episode: their seeds, and making them ahead of time.

A map depends on its seed only, so it is the same whether it was made ahead or when it was needed.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from envs.labsim.mersenne_twister import MersenneTwister
from envs.labsim.world import kernel, uniform

Map = TypeVar("Map")

LAST_LAB_SEED = 2**31 - 1  # level scripts get seeds from 1 to this


def lab_seed(reset_seed: int) -> int:
    """Give the seed that DeepMind Lab hands a level's script in `reset(seed=reset_seed)`.

    The first draw of its engine's random numbers (`deepmind/engine/context.cc`, commit b1db91a;
    mixer seed 0).
    """
    return MersenneTwister(reset_seed).integer(1, LAST_LAB_SEED)


@kernel
def draw_lab_seed(player):  # type: ignore[no-untyped-def]
    """Draw a level script's seed from the random stream of a player's environment."""
    return 1 + int(uniform(player) * LAST_LAB_SEED)


class MapMaker(Generic[Map]):
    """Makes the maps of a batch of environments; one thread makes those that are expected."""

    def __init__(self, make: Callable[[int], Map], num_envs: int) -> None:
        """`make` turns a seed into a map; several threads may call it at the same time."""
        self._make = make
        self._ahead: list[tuple[int, Future[Map]] | None] = [None] * num_envs
        # The thread starts with the first expected map and ends with this object.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="maps")

    def expect(self, i: int, seed: int) -> None:
        """Have the map made that environment i probably takes next."""
        self._forget(i)
        self._ahead[i] = seed, self._thread.submit(self._make, seed)

    def take(self, i: int, seed: int) -> Map:
        """Give environment i the map of this seed, made ahead or now."""
        ahead = self._ahead[i]
        # A map whose turn has not come is made faster here than waited for.
        if ahead is not None and ahead[0] == seed and not ahead[1].cancel():
            self._ahead[i] = None
            return ahead[1].result()
        self._forget(i)
        return self._make(seed)

    def _forget(self, i: int) -> None:
        """Drop what was made ahead for environment i, or will be."""
        ahead, self._ahead[i] = self._ahead[i], None
        if ahead is not None:
            ahead[1].cancel()
