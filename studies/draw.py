"""Draw the hyper-parameters of a search: python -m studies.draw --count 8 --seed 1

Prints the `variants` of a plan. As in IMPALA (Espeholt et al. 2018, table D.1) entropy cost and
learning rate are log-uniform and RMSProp's epsilon is one of four values; half of the variants clip
the gradient, which the pilots left open (docs/results.md). The points are a scrambled Sobol
sequence's: they cover the ranges evenly, however few they are.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence

from scipy.stats import qmc

ENTROPY_COST = (5e-5, 1e-2)  # IMPALA, table D.1
LEARNING_RATE = (1e-4, 2e-3)  # IMPALA's 5e-6 to 5e-3 without the ends, too slow and too unstable
RMSPROP_EPSILON = (1e-1, 1e-3, 1e-5, 1e-7)  # IMPALA, table D.1
MAX_GRAD_NORM = ("40", "null")  # IMPALA, table G.1; no clip
MAX_COUNT = 1000  # variants, each of which is trained at least once
SMALLEST, LARGEST = 1e-30, 1e30  # of the ends of a range, whose ratio is a finite number then


def draw(
    count: int, seed: int, entropy_cost: tuple[float, float] = ENTROPY_COST
) -> dict[str, list[str]]:
    """Return `count` variants by name, t1, t2, ...: settings of each. A power of 2 covers best.

    Raises ValueError, in one sentence, for a value that is not allowed.
    """
    low, high = entropy_cost
    if not 1 <= count <= MAX_COUNT:
        raise ValueError(f"--count is {count}; it must lie between 1 and {MAX_COUNT}.")
    if seed < 0:
        raise ValueError(f"--seed is {seed}; it must be at least 0.")
    if not SMALLEST <= low <= high <= LARGEST:
        raise ValueError(
            f"--entropy-cost is {low:g} {high:g}; it must be a lower and an upper end, "
            f"between {SMALLEST:g} and {LARGEST:g}."
        )
    points = qmc.Sobol(3, seed=seed).random(count)
    pairs = list(itertools.product(RMSPROP_EPSILON, MAX_GRAD_NORM))  # each once in 8 points
    variants = {}
    for i, (x, y, z) in enumerate(points.tolist(), 1):
        epsilon, norm = pairs[int(z * len(pairs))]
        variants[f"t{i}"] = [
            f"agent.entropy_cost={_log_uniform(x, entropy_cost):.2g}",
            f"agent.learning_rate={_log_uniform(y, LEARNING_RATE):.2g}",
            f"agent.rmsprop_epsilon={epsilon:g}",
            f"agent.max_grad_norm={norm}",
        ]
    return variants


def _log_uniform(x: float, ends: Sequence[float]) -> float:
    low, high = ends
    return low * (high / low) ** x


def main(argv: list[str] | None = None) -> int:
    """Print what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--entropy-cost", type=float, nargs=2, default=ENTROPY_COST, metavar="X")
    arguments = parser.parse_args(argv)
    entropy_cost = (arguments.entropy_cost[0], arguments.entropy_cost[1])
    try:
        variants = draw(arguments.count, arguments.seed, entropy_cost)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for name, settings in variants.items():
        print(f"  {name}: [{', '.join(settings)}]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
