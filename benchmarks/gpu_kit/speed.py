"""Steps that measure speed: ours over sizes, with and without agent.compile, and the peers."""

import gc
import time
from collections.abc import Sequence

import torch

from agents.devices import prepare_cpu
from benchmarks.gpu_kit.checks import SMALL, train
from benchmarks.gpu_kit.kit import Kit
from benchmarks.peers import __main__ as peers_benchmark
from benchmarks.peers.setting import Size
from benchmarks.train_speed import build_learner
from envs import FRAMES_PER_STEP

NUM_ENVS = (32, 128, 512, 1024)
NETWORKS = [(encoder, aux) for encoder in ("shallow", "deep") for aux in ("none", "cpc")]
SECONDS = 2.0  # of a measurement, at least
RESERVE_S = 15.0  # a step begins nothing new when this little is left
# Those whose networks follow `Size.device`.
PEERS = ("ours", "ours_cpc", "sb3_a2c", "sb3_contrib_recurrent_ppo")


def plain(kit: Kit) -> None:
    """Training speed without agent.compile."""
    _all_sizes(kit, compiled=False)


def compiled(kit: Kit) -> None:
    """Training speed with agent.compile. Raises RuntimeError on a CPU."""
    if kit.device == "cpu":
        raise RuntimeError("agent.compile needs a GPU")
    _all_sizes(kit, compiled=True)


def _all_sizes(kit: Kit, compiled: bool) -> None:
    """Both encoders, without and with CPC, at all sizes. What fails is recorded."""
    for num_envs in (3,) if kit.tiny else NUM_ENVS:
        torch.compiler.reset()  # what is compiled serves all four; PyTorch keeps eight shapes
        for encoder, aux in NETWORKS:
            arm = {"num_envs": num_envs, "encoder": encoder, "aux": aux, "compile": compiled}
            if kit.seconds_left < RESERVE_S:
                kit.record("speed", **arm, error="no time left")
                continue
            settings = [*(SMALL if kit.tiny else [f"env.num_envs={num_envs}"])]
            settings += [f"agent.network.encoder={encoder}", f"agent.compile={compiled}"]
            try:
                kit.record("speed", **arm, **measure(kit, num_envs, aux, settings))
            except Exception as error:  # out of memory, or any of a compiler's own
                why = [type(error).__name__, *str(error).strip().splitlines()[:1]]
                kit.record("speed", **arm, error=": ".join(why).replace("|", "/"))
            gc.collect()
            if kit.device == "cuda":
                torch.cuda.empty_cache()


def measure(kit: Kit, num_envs: int, aux: str, settings: Sequence[str]) -> dict[str, float]:
    """Agent steps per second, the shares of collecting and learning, and memory."""
    start = time.perf_counter()
    learner, _ = build_learner("a2c", aux, kit.threads(num_envs), settings, device=kit.device)
    try:
        train(learner, 2)  # the first compiles, and measures both losses' gradients
        kit.wait()
        if kit.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        ready, collecting, learning, rollouts = time.perf_counter(), 0.0, 0.0, 0
        while collecting + learning < (0 if kit.tiny else SECONDS) or not rollouts:
            begin = time.perf_counter()
            learner.collect()
            kit.wait()
            between = time.perf_counter()
            learner.update()
            kit.wait()
            collecting += between - begin
            learning += time.perf_counter() - between
            rollouts += 1
        steps = rollouts * learner.frames_per_rollout / FRAMES_PER_STEP
    finally:
        learner.close()
    result = {
        "agent_steps_per_s": round(steps / (collecting + learning)),
        "collect_ms": round(1e3 * collecting / rollouts, 2),
        "update_ms": round(1e3 * learning / rollouts, 2),
        "rollouts": rollouts,
        "ready_s": round(ready - start, 1),
    }
    if kit.device == "cuda":
        result["gpu_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
    return result


def peers(kit: Kit) -> None:
    """Other libraries' agents, with their networks on the GPU too."""
    entries = {name: peers_benchmark.PEERS[name] for name in PEERS[: 3 if kit.tiny else None]}
    for num_envs in (3,) if kit.tiny else (32, 128):
        threads = kit.threads(num_envs)
        prepare_cpu(threads, torch.device(kit.device))
        size = Size(threads, num_envs, 31 if kit.tiny else 100, kit.device)
        blocks, steps = (1, 1) if kit.tiny else (3, peers_benchmark.STEPS_PER_BLOCK)
        for row in peers_benchmark.measure_agents(size, blocks, entries, steps):
            kit.record("peer", num_envs=num_envs, agent=row.label, **row.as_json())
