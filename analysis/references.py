"""Returns of policies that learn nothing, by level: what a curve has to rise above.

All were recorded in the real DeepMind Lab (google-deepmind/lab, commit b1db91a, unpatched) over
full episodes with action repeat 4 and IMPALA's nine actions. "random" draws one of them uniformly
at every agent step; the blind walker goes forward and turns by a random angle where a wall stops
it, without looking.
"""

from typing import NamedTuple


class ReferenceReturn(NamedTuple):
    """A horizontal line of a figure: a policy's mean return per episode."""

    policy: str
    mean_return: float


REFERENCE_RETURNS: dict[str, tuple[ReferenceReturn, ...]] = {
    "room_watermaze": (
        ReferenceReturn("random", 0.78),  # +- 0.14, 195 episodes
        ReferenceReturn("blind walker", 5.37),  # +- 0.43, 100 episodes
    ),
    "explore_goal_locations_small": (
        ReferenceReturn("random", 6.09),  # +- 0.84, 184 episodes in 79 mazes
    ),
    "seekavoid_arena_01": (
        ReferenceReturn("random", 0.90),  # +- 0.07, 353 episodes
        ReferenceReturn("blind walker", 1.48),  # +- 0.21, 60 episodes
    ),
    "lasertag_three_opponents_small": (
        ReferenceReturn("random", -0.11),  # +- 0.07, 106 episodes in 70 mazes
    ),
    "rooms_keys_doors_puzzle": (
        ReferenceReturn("random", 4.34),  # +- 1.59, 140 episodes of 56 puzzles
    ),
}


def random_return(level: str) -> float | None:
    """Mean return per episode of the uniform random policy on `level`; None: not measured."""
    for reference in REFERENCE_RETURNS.get(level, ()):
        if reference.policy == "random":
            return reference.mean_return
    return None
