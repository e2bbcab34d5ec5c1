"""Speed of the environments: rules, physics and pictures, with random actions.

    python -m benchmarks.env_speed [--levels LEVEL ...] [--json] [--num-envs 32] [--blocks 9]

One and two worker threads step the same number of environments in alternating blocks of one
process, so that a change of the machine's speed meets both. Printed are medians over blocks:

    agent_steps_per_s_per_core  one thread; an agent step is 4 frames and one 72 x 96 image
    two_thread_efficiency       speed with two threads / (2 x speed with one), block by block
    two_batch_efficiency        the same for two threads with a batch of half the size each, which
                                do not wait for each other after every step
    us_per_image                what rendering takes of a step, in one thread
    miniworld_agent_steps_per_s, dmlab_agent_steps_per_s
                                one environment of another backend, where it is installed
"""

import argparse
import importlib.util
import itertools
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from envs import FRAMES_PER_STEP, LEVELS, EnvConfig
from envs.labsim.vector_env import LabsimVectorEnv
from envs.make_env import make_env

OTHER_BACKENDS = {"miniworld": "miniworld", "dmlab": "deepmind_lab"}  # and the module it needs
OTHER_STEPS = 200  # agent steps in a row; these backends make hundreds a second
STEPS_PER_BLOCK = 8000  # agent steps of all environments together
NUM_ACTIONS = 9


def main() -> None:
    """Measure all or some levels and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--levels", nargs="+", choices=LEVELS, default=LEVELS, metavar="LEVEL")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--num-envs", type=int, default=32)
    parser.add_argument("--blocks", type=int, default=9, help="blocks for each number of threads")
    args = parser.parse_args()
    if args.num_envs < 2 or args.num_envs % 2:  # two batches have half each
        parser.error(f"--num-envs is {args.num_envs}; it must be even, and at least 2")
    results = {level: measure(level, args.num_envs, args.blocks) for level in args.levels}
    for level, result in results.items():
        result |= measure_others(level)
    if args.json:
        print(json.dumps(results))
        return
    for level, result in results.items():
        print(level)
        for name, value in result.items():
            print(f"  {name:28} {value:12,.2f}" if value < 100 else f"  {name:28} {value:9,.0f}")


def measure(level: str, num_envs: int, blocks: int) -> dict[str, float]:
    """Time one and two threads, and rendering alone, in turns; medians over blocks."""
    (step_one, render), (step_two, _) = (_stepper(level, num_envs, n) for n in (1, 2))
    halves = [_stepper(level, num_envs // 2, 1)[0] for _ in range(2)]
    calls = max(1, STEPS_PER_BLOCK // num_envs)

    def repeat(work: Callable[[], None]) -> None:
        for _ in range(calls):
            work()

    def both_halves() -> None:
        list(threads.map(repeat, halves))

    with ThreadPoolExecutor(2) as threads:
        works = [partial(repeat, work) for work in (step_one, step_two, render)] + [both_halves]
        speeds: list[list[float]] = [[] for _ in works]
        for block in range(blocks + 1):
            for work, speed in zip(works, speeds, strict=True):
                start = time.perf_counter()
                work()
                if block > 0:  # the first block compiles, and fills caches
                    speed.append(calls * num_envs / (time.perf_counter() - start))
    one, two, images, batches = speeds
    per_core = statistics.median(one)
    return {
        "agent_steps_per_s_per_core": per_core,
        "frames_per_s_per_core": per_core * FRAMES_PER_STEP,
        "agent_steps_per_s_two_threads": statistics.median(two),
        "two_thread_efficiency": statistics.median(
            b / (2 * a) for a, b in zip(one, two, strict=True)
        ),
        "two_batch_efficiency": statistics.median(
            b / (2 * a) for a, b in zip(one, batches, strict=True)
        ),
        "us_per_image": 1e6 / statistics.median(images),
    }


def measure_others(level: str) -> dict[str, float]:
    """Agent steps per second of one environment in each other backend that is installed."""
    found = {}
    for backend, module in OTHER_BACKENDS.items():
        if importlib.util.find_spec(module) is not None:
            env = make_env(EnvConfig(level, backend=backend))
            env.reset(seed=0)
            env.step(0)  # the first step may compile, or fill caches
            start = time.perf_counter()
            for action in np.random.default_rng(0).integers(NUM_ACTIONS, size=OTHER_STEPS):
                env.step(action)
            found[f"{backend}_agent_steps_per_s"] = OTHER_STEPS / (time.perf_counter() - start)
            env.close()
    return found


def _stepper(level: str, num_envs: int, threads: int) -> tuple[Callable[[], None], ...]:
    """Functions that step a batch with random actions, and that only render it."""
    envs = LabsimVectorEnv(level, num_envs, stagger=True, num_threads=threads)
    obs = np.zeros((num_envs, *envs.single_observation_space.shape), np.uint8)
    envs.reset_into(list(range(num_envs)), obs)
    actions = itertools.cycle(np.random.default_rng(0).integers(NUM_ACTIONS, size=(1009, num_envs)))

    def step() -> None:
        envs.step_into(next(actions), obs)

    return step, partial(envs.render_into, obs)


if __name__ == "__main__":
    main()
