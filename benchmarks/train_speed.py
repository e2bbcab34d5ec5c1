"""Speed of the whole training loop: environments, acting and learning together.

    python -m benchmarks.train_speed [--json] [--blocks 7] [--threads N] [key=value ...]

Both presets train on room_watermaze, with and without CPC, in alternating blocks of one process,
so that a change of the machine's speed meets both. Printed are medians over blocks. The sgemm
bound is the speed at which the shallow network's multiplications alone would run at the rate that
a large float32 matrix product reaches in the same run, with the same threads and backend. Settings
change both presets, as in agent.network.precision=bfloat16.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

from agents.batched_env import BatchedEnv
from agents.devices import available_cores, prepare_cpu
from agents.learner import Learner
from agents.networks import Agent
from agents.parallel.ranks import ALONE, Ranks
from configs import RunConfig, compose_runs, make_learner
from envs import FRAMES_PER_STEP

PRESETS = ("a2c", "a2c_laptop")
STEPS_PER_BLOCK = 6400


def build_learner(
    preset: str,
    aux: str,
    threads: int,
    settings: Sequence[str] = (),
    make_envs: Callable[..., BatchedEnv] | None = None,
    device: str = "cpu",
    ranks: Ranks = ALONE,
) -> tuple[Learner, RunConfig]:
    """A started learner of the preset on room_watermaze; `settings` change it, as key=value."""
    changes = [*settings, f"total_frames={10**12}"]  # the learning rate stays as it is
    (request,) = compose_runs(["env=room_watermaze", f"agent={preset}", f"aux={aux}", *changes])
    if request.config is None:
        raise ValueError(request.error)
    learner = make_learner(request.config, torch.device(device), threads, make_envs, ranks)
    assert isinstance(learner, Learner)
    learner.start()
    return learner, request.config


def seconds_per_block(learner: Learner) -> tuple[float, int]:
    """Train for about STEPS_PER_BLOCK agent steps; seconds, and the steps made."""
    steps = learner.frames_per_rollout // FRAMES_PER_STEP
    rollouts = max(1, round(STEPS_PER_BLOCK / steps))
    start = time.perf_counter()
    for _ in range(rollouts):
        learner.collect()
        learner.update()
    return time.perf_counter() - start, rollouts * steps


def flop_per_agent_step(agent: Agent, height: int = 72, width: int = 96) -> float:
    """Multiplications and additions of acting and learning, convolutions to LSTM, per agent step.

    Two forward passes, to act and to learn, and a backward pass of twice the forward's cost, less
    the gradient on the image, which nobody needs: 20.7 MFLOP for the shallow network. That is what
    the plain algorithm needs; this one spares the encoder the second forward pass.
    """
    forward, first = 0, 0
    h, w = height, width
    for layer in agent.encoder.modules():
        if isinstance(layer, nn.Conv2d):
            h = (h - layer.kernel_size[0]) // layer.stride[0] + 1
            w = (w - layer.kernel_size[1]) // layer.stride[1] + 1
            cost = 2 * h * w * layer.weight.numel()
            forward, first = forward + cost, first or cost
        elif isinstance(layer, nn.Linear):
            forward += 2 * layer.weight.numel()
    forward += 2 * sum(p.numel() for p in agent.core.parameters() if p.dim() == 2)
    return 4 * forward - first


def sgemm_rate(threads: int, size: int = 1024, repeats: int = 20) -> float:
    """Floating-point operations per second of one large product on each thread at once."""

    def multiply(_: int) -> float:
        a, b = torch.randn(size, size), torch.randn(size, size)
        a @ b
        start = time.perf_counter()
        for _ in range(repeats):
            a @ b
        return 2 * size**3 * repeats / (time.perf_counter() - start)

    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return sum(pool.map(multiply, range(threads)))


def measure(
    preset: str, blocks: int, threads: int, settings: Sequence[str] = ()
) -> dict[str, float]:
    """All figures of one preset."""
    learners = {aux: build_learner(preset, aux, threads, settings)[0] for aux in ("none", "cpc")}
    for learner in learners.values():
        seconds_per_block(learner)  # warm-up
    speed: dict[str, list[float]] = {"none": [], "cpc": []}
    rates = []
    for _ in range(blocks):
        for aux, learner in learners.items():
            seconds, steps = seconds_per_block(learner)
            speed[aux].append(steps / seconds)
        rates.append(sgemm_rate(threads))
    flop = flop_per_agent_step(learners["none"].agent)
    for learner in learners.values():
        learner.close()
    plain = statistics.median(speed["none"])
    ratio = statistics.median(a / b for a, b in zip(speed["none"], speed["cpc"], strict=True))
    rate = statistics.median(rates)
    return {
        "agent_steps_per_s": round(plain),
        "frames_per_s": round(plain * FRAMES_PER_STEP),
        "cpc_overhead": round(ratio - 1, 4),
        "sgemm_fraction": round(plain * flop / rate, 4),
        "sgemm_gflops": round(rate / 1e9, 1),
        "mflop_per_agent_step": round(flop / 1e6, 2),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure both presets and print a table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--blocks", type=int, default=7, help="blocks per arm (default 7)")
    parser.add_argument("--threads", type=int, default=available_cores(), help="default: all cores")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="as for train_agent.py")
    arguments = parser.parse_args(argv)
    backend = prepare_cpu(arguments.threads)
    size = arguments.blocks, arguments.threads, arguments.settings
    results = {preset: measure(preset, *size) for preset in PRESETS}
    if arguments.json:
        flat = results["a2c"] | {"threads": arguments.threads, "backend": backend}
        print(json.dumps(flat | {"laptop": results["a2c_laptop"]}))
        return 0
    asked = "".join(f", {setting}" for setting in arguments.settings)
    print(f"{arguments.threads} threads, float32 matrix products by {backend}{asked}")
    for preset, r in results.items():
        print(
            f"{preset:11} {r['agent_steps_per_s']:6,} agent steps/s  {r['frames_per_s']:6,} "
            f"frames/s  CPC costs {100 * r['cpc_overhead']:.1f} %  "
            f"{100 * r['sgemm_fraction']:.0f} % of the sgemm bound ({r['sgemm_gflops']} GFLOP/s, "
            f"{r['mflop_per_agent_step']} MFLOP per agent step)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
