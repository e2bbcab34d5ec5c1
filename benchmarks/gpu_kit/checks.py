"""Steps that say whether it works: the machine, the GPU tests, a checkpoint's trip, a trace."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity

from agents.learner import Learner
from benchmarks.gpu_kit.kit import Kit
from benchmarks.machine import describe_machine
from benchmarks.train_speed import build_learner
from records import checkpoint

ROOT = Path(__file__).parents[2]
SMALL = ("env.num_envs=3", "agent.unroll_length=31")  # longer than CPC's horizon
PLAIN = "fast=false"  # without the kernels for CPUs, which take long to compile
TOP = 12  # rows of the trace's table


def machine(kit: Kit) -> None:
    """What it is, and how long the engine takes to compile here."""
    facts: dict[str, Any] = dict(describe_machine())
    if kit.device == "cuda":
        facts["gpu"] = torch.cuda.get_device_name()
        facts["gpu_memory_gib"] = round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1)
        facts["cuda"] = torch.version.cuda
    start = time.perf_counter()
    learner, _ = build_learner("a2c", "cpc", kit.threads(3), SMALL, device=kit.device)
    train(learner, 1)
    learner.close()
    kit.record("machine", **facts, first_update_s=round(time.perf_counter() - start, 1))


def tests(kit: Kit) -> None:
    """The tests that need a GPU. Raises RuntimeError unless they ran, and passed."""
    command = [sys.executable, "-m", "pytest", "tests/agents/fast/test_cuda_graph.py"]
    command += ["-k", "gpu or host_waits", "-rs", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    counts = {what: int(n) for n, what in re.findall(r"(\d+) (passed|failed|skipped)", done.stdout)}
    kit.record("tests", **counts)
    if done.returncode or (kit.device == "cuda" and not counts.get("passed")):
        raise RuntimeError(f"the GPU tests did not pass: {counts}")


def checkpoint_trip(kit: Kit) -> None:
    """A run goes on on the other device, and back. Raises RuntimeError: its numbers changed."""
    path = kit.out / "trip.pt"
    devices = ("cpu", kit.device, "cpu")
    state = None
    for device in devices:
        learner, _ = build_learner("a2c", "cpc", 1, (*SMALL, PLAIN), device=device)
        if state is not None:
            learner.load_state_dict(state["learner"])
            changed = [
                i
                for i, (old, new) in enumerate(zip(tensors(state), tensors(learner), strict=True))
                if not torch.equal(old.cpu(), new.cpu())
            ]
            kit.record("checkpoint", to=device, tensors=len(list(tensors(state))), changed=changed)
            if changed:
                raise RuntimeError(f"tensors {changed} changed on the way to {device}")
        train(learner, 2)
        checkpoint.save(path, {"learner": learner.state_dict(), "metrics": {}})
        learner.close()
        state = checkpoint.load(path)
    path.unlink()


def tensors(of: Any) -> Iterator[torch.Tensor]:
    """Parameters and the optimiser's state, of a learner or in a checkpoint, in a fixed order."""
    state = of.state_dict() if isinstance(of, Learner) else of["learner"]
    yield from state["agent"].values()
    yield from state["aux"].values()
    for _, own in sorted(state["optimizer"]["state"].items()):
        yield from (own[name] for name in sorted(own) if isinstance(own[name], torch.Tensor))


def trace(kit: Kit) -> None:
    """A rollout and its update as a Chrome trace, and what took the longest."""
    settings = SMALL if kit.tiny else ()
    learner, config = build_learner(
        "a2c", "cpc", kit.threads(3 if kit.tiny else 32), settings, device=kit.device
    )
    train(learner, 2)
    kit.wait()
    activities = [ProfilerActivity.CPU]
    activities += [ProfilerActivity.CUDA] if kit.device == "cuda" else []
    start = time.perf_counter()
    with torch.profiler.profile(activities=activities) as profiler:
        train(learner, 1)
        kit.wait()
    wall = time.perf_counter() - start
    learner.close()
    profiler.export_chrome_trace(str(kit.out / "trace.json.gz"))
    events = profiler.key_averages()
    if kit.device == "cuda":
        on_gpu = (e for e in events if e.device_type == DeviceType.CUDA)
        times = {e.key: (e.self_device_time_total, e.count) for e in on_gpu}
    else:
        times = {e.key: (e.self_cpu_time_total, e.count) for e in events}
    longest = sorted(times.items(), key=lambda item: -item[1][0])[:TOP]
    kit.record(
        "trace",
        num_envs=config.env.num_envs,
        wall_ms=round(1e3 * wall, 2),
        busy_ms=round(sum(t for t, _ in times.values()) / 1e3, 2),
        launches=sum(count for _, count in times.values()),
        longest=[[name[:80], round(t / 1e3, 3), count] for name, (t, count) in longest],
    )


def train(learner: Learner, updates: int) -> None:
    """Collect and learn."""
    for _ in range(updates):
        learner.collect()
        learner.update()
