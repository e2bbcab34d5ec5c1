"""Where the time of a training step goes.

    python -m benchmarks.profile [key=value ...] [--presets a2c a2c_laptop] [--aux none cpc]
                                 [--seconds 5] [--json] [--trace FILE]

Microseconds per agent step, and percent, of one shard of the batch in one process with one thread:
the methods of a live learner on room_watermaze are timed from outside, each less the timed methods
within it, so that the parts sum to the whole. It is the process's CPU time, in which other work of
the machine does not count. Losses, records and the optimiser are in it, checkpoints and the display
are not. The last lines say what the stopwatch itself costs, and what more cores add: wall-clock
time with a shard per core, and how long the first shard of it waits for the others.

--trace writes a few updates of the first preset and loss as a Chrome trace (chrome://tracing,
ui.perfetto.dev): PyTorch's operators within the same parts.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

import agents.actor
from agents.devices import available_cores, prepare_cpu
from agents.fast.cpu_pass import CpuPass
from agents.learner import Learner
from agents.parallel.shards import Shards
from benchmarks.stopwatch import Clock, Stopwatch
from benchmarks.stopwatch import Path as CallPath
from benchmarks.train_speed import PRESETS, build_learner
from envs import FRAMES_PER_STEP
from records.metrics import Metrics

ROW_FRAMES = 100_000  # frames between rows of progress.csv, as in configs/config.yaml
TRACED_UPDATES = 3
# The innermost timed call decides which part of the table its own time belongs to.
PARTS = {
    "rules": "rules and physics",
    "begin": "maps and respawns",
    "render": "rendering",
    "environments": "rest of the environments",
    "encode": "encoder, acting",
    "act": "heads and choice of action",
    "lstm": "LSTM, acting",
    "heads": "heads, learning forward",
    "lstm_backward": "LSTM, backward",
    "shard_backward": "heads, backward",
    "encoder_backward": "encoder, backward",
    "a2c_loss": "A2C loss",
    "aux_loss": "CPC",
    "optimiser": "optimiser",
    "records": "logging",
    "wait": "waiting for other shards",
    "rollout": "copies",
    "shard_collect": "copies",
    "backward": "copies",
}
ORDER = (
    "rules and physics", "maps and respawns", "rendering", "rest of the environments",
    "encoder, acting", "LSTM, acting", "heads and choice of action", "copies",
    "heads, learning forward", "heads, backward", "LSTM, backward", "encoder, backward",
    "A2C loss", "CPC", "optimiser", "logging",
    "waiting for other shards", "other",
)  # fmt: skip


def part_of(path: CallPath) -> str:
    """The row of the table that the time of a path of calls belongs to."""
    return PARTS.get(path[-1], "other")


def step_then_draw(watch: Stopwatch, envs: Any) -> None:
    """Let labsim's batch of one thread take two calls for what it does in one, and time them."""
    arrays = envs._arrays

    def run(num_frames: int, obs: Any) -> None:
        if num_frames > 0:
            envs.level.step(arrays.actions, arrays.out, 0, len(obs), num_frames)
        envs._team.run(0, obs)

    watch.replace(envs, "_run", run)
    watch.watch(envs.level, "step", "rules")
    watch.watch(envs._team, "run", "render")
    watch.watch(envs, "_draw", "render")


def watch_learner(watch: Stopwatch, learner: Learner) -> None:
    """Time the parts of a learner's work; those of other processes stay in the dark."""
    shards = learner._shards
    shard, others = (shards.first, shards.others) if isinstance(shards, Shards) else (shards, [])
    (actor,) = shard.actors
    envs: Any = actor.envs
    watch.watch(envs, "step_into", "environments")
    step_then_draw(watch, envs)
    watch.watch(envs.level, "begin", "begin")
    watch.watch(agents.actor, "collect", "rollout")
    watch.watch(actor.tracker, "add", "records")
    watch.watch(actor, "act", "act")
    acting, network = actor._network, shard.network
    if isinstance(acting, CpuPass) and isinstance(network, CpuPass):
        watch.watch(acting._encoder, "step", "encode")
        watch.watch(acting._lstm, "step", "lstm")
        watch.watch(network._lstm, "gradients", "lstm_backward")
        watch.watch(network._encoder, "gradients", "encoder_backward")
    else:  # the core's time is then in the parts around it
        watch.watch(acting, "_encode", "encode")
        watch.watch(network, "_add_encoder_gradients", "encoder_backward")
    watch.watch(learner.agent, "heads", "heads")
    watch.watch(shard, "collect", "shard_collect")
    watch.watch(shard, "backward", "shard_backward")
    watch.watch(learner, "_backward", "backward")
    watch.watch(learner, "_a2c_gradients", "a2c_loss")
    if learner.aux is not None:
        watch.watch(learner, "_aux_gradients", "aux_loss")
    watch.watch(learner, "_check_finite", "optimiser")
    watch.watch(learner, "_step", "optimiser")
    watch.watch(learner._means, "add", "records")
    watch.watch(learner, "metrics", "records")
    for other in others:
        watch.watch(other, "result", "wait")


class Training:
    """A learner and its records in a folder that vanishes with it; `block` trains for a while."""

    def __init__(self, preset: str, aux: str, threads: int, settings: Sequence[str] = ()) -> None:
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self.learner, _ = build_learner(preset, aux, threads, settings)
        self._stack.callback(self.learner.close)
        self.metrics = Metrics(folder, ROW_FRAMES)
        self._update()

    def _update(self) -> None:
        """What the main loop of train_agent.py does once, without checkpoint and display."""
        learner, metrics = self.learner, self.metrics
        episodes = learner.collect()
        learner.update()
        metrics.add(learner.frames, episodes)
        if metrics.due(learner.frames):
            metrics.write(learner.frames, learner.metrics())

    def block(self, seconds: float, clock: Clock) -> tuple[float, int]:
        """Train for at least `seconds`; the seconds it took, and the agent steps."""
        updates, start = 0, clock()
        while (elapsed := clock() - start) < seconds or not updates:
            self._update()
            updates += 1
        return elapsed, updates * self.learner.frames_per_rollout // FRAMES_PER_STEP

    def watched_block(self, watch: Stopwatch, seconds: float) -> tuple[float, int]:
        """As `block`, with the stopwatch running."""
        with watch:
            watch_learner(watch, self.learner)
            watch.watch(self.metrics, "add", "records")
            watch.watch(self.metrics, "write", "records")
            with watch.span("training"):
                return self.block(seconds, watch.clock)

    def close(self) -> None:
        """Close the learner and remove the folder."""
        self._stack.close()


def profile(
    preset: str, aux: str, seconds: float, threads: int, settings: Sequence[str]
) -> dict[str, Any]:
    """Microseconds per agent step of all parts, and of the whole with and without stopwatch."""
    prepare_cpu(1)
    training = Training(preset, aux, 1, settings)
    watch = Stopwatch(time.process_time)
    training.block(seconds / 4, watch.clock)  # warm-up
    plain, plain_steps = training.block(seconds, watch.clock)
    elapsed, steps = training.watched_block(watch, seconds)
    training.close()
    sums = watch.by_part(part_of)
    result = {
        "us_per_agent_step": {name: 1e6 * sums[name] / steps for name in ORDER if name in sums},
        "total_us": 1e6 * elapsed / steps,
        "total_us_without_stopwatch": 1e6 * plain / plain_steps,
    }
    if threads > 1:
        result["shards"] = profile_shards(preset, aux, seconds, threads, settings)
    return result


def profile_shards(
    preset: str, aux: str, seconds: float, threads: int, settings: Sequence[str]
) -> dict[str, float]:
    """What `threads` shards take together, and how long the first waits for the others."""
    prepare_cpu(threads)
    training = Training(preset, aux, threads, settings)
    watch = Stopwatch(time.perf_counter)
    training.block(seconds / 4, watch.clock)
    elapsed, steps = training.watched_block(watch, seconds)
    training.close()
    waited = watch.by_part(part_of).get("waiting for other shards", 0.0)
    return {
        "threads": threads,
        "total_us": 1e6 * elapsed / steps,
        "first_shard_waits_us": 1e6 * waited / steps,
    }


def write_trace(path: Path, preset: str, aux: str, settings: Sequence[str]) -> None:
    """Write a few updates with one shard as a Chrome trace."""
    prepare_cpu(1)
    training = Training(preset, aux, 1, settings)
    every_thread = torch.profiler._ExperimentalConfig(profile_all_threads=True)
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], experimental_config=every_thread
    ) as profiler:
        for _ in range(TRACED_UPDATES):
            training.watched_block(Stopwatch(trace=True), 0.0)
    training.close()
    profiler.export_chrome_trace(str(path))


def print_profile(preset: str, aux: str, result: dict[str, Any]) -> None:
    """One table."""
    total = result["total_us"]
    print(f"{preset}, aux={aux}, one shard: microseconds per agent step")
    for name, us in result["us_per_agent_step"].items():
        print(f"  {name:28} {us:8.2f} {100 * us / total:6.1f} %")
    print(f"  {'total':28} {total:8.2f}")
    print(f"  {'total without stopwatch':28} {result['total_us_without_stopwatch']:8.2f}")
    if shards := result.get("shards"):
        print(
            f"  {shards['threads']} shards, wall-clock: {shards['total_us']:.2f}, "
            f"of which the first waits {shards['first_shard_waits_us']:.2f} for the others"
        )


def main(argv: list[str] | None = None) -> int:
    """Profile all presets and losses asked for; print tables or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS)
    parser.add_argument("--aux", nargs="+", default=("none", "cpc"), help="settings of aux=")
    parser.add_argument("--seconds", type=float, default=5.0, help="per measurement (default 5)")
    parser.add_argument("--threads", type=int, default=available_cores(), help="default: all cores")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="write a Chrome trace instead")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="as for train_agent.py")
    arguments = parser.parse_args(argv)
    if arguments.trace is not None:
        write_trace(arguments.trace, arguments.presets[0], arguments.aux[0], arguments.settings)
        return 0
    results: dict[str, dict[str, Any]] = {}
    for preset in arguments.presets:
        results[preset] = {}
        for aux in arguments.aux:
            result = profile(preset, aux, arguments.seconds, arguments.threads, arguments.settings)
            results[preset][aux] = result
            if not arguments.json:
                print_profile(preset, aux, result)
    if arguments.json:
        print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
