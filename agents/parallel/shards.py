"""All shards of a batch, at work at once: the first in a thread, the others in processes."""

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from agents.actor import Shard
from agents.batched_env import BatchedEnv
from agents.config import AgentConfig
from agents.devices import prepare_worker
from agents.episodes import Episode
from agents.joined_state import join, part
from agents.networks import Agent
from agents.parallel.process import ShardProcess
from agents.passes import Pass
from agents.rollout import Batch, Rollout

# How much longer than the first one the other shards may take: so many seconds, in which a new
# process starts and compiles its kernels, or so many times as long.
PATIENCE_S = 120.0
PATIENCE = 10.0


def split(num_envs: int, num_shards: int) -> list[slice]:
    """The environments of each shard, as equal in number as possible."""
    ends = np.linspace(0, num_envs, num_shards + 1).astype(int).tolist()
    return [slice(*pair) for pair in itertools.pairwise(ends)]


class Shards:
    """The shards of a batch and their gradients.

    Args:
        envs_of: the environments of each shard.
        envs: those of the first shard; closed with it.
        make_envs: makes those of the others, given how many, in their processes.
        config: hyper-parameters.
        agent: the network, on the device of the batch.
        make_pass: makes the agent's pass for a rollout; picklable.
        batch: filled by the shards. It and the agent's parameters move to memory that all
            processes see.

    Methods and `gradients` are as those of one `Shard` for the whole batch.
    """

    def __init__(
        self,
        envs_of: Sequence[slice],
        envs: BatchedEnv,
        make_envs: Callable[[int], BatchedEnv],
        config: AgentConfig,
        agent: Agent,
        make_pass: Callable[[Agent, Rollout], Pass],
        batch: Batch,
    ) -> None:
        self._envs_of = envs_of
        parameters = list(agent.parameters())
        # One list of gradients per shard, each laid out in memory as its parameter.
        parts = [[torch.zeros_like(p) for p in parameters] for _ in envs_of]
        self.gradients, *self._others_gradients = parts
        for tensor in (*parameters, *itertools.chain(*parts), *batch):
            tensor.share_memory_()
        arguments = [
            (config, agent, make_pass, batch.select_envs(own.start, own.stop), gradients)
            for own, gradients in zip(envs_of, parts, strict=True)
        ]
        self.first = Shard(envs, *arguments[0])
        self.others = [
            ShardProcess(make_envs, own.stop - own.start, *args)
            for own, args in zip(envs_of[1:], arguments[1:], strict=True)
        ]
        # The first shard's own thread: what is prepared for it is not for the rest of the process.
        self._thread = ThreadPoolExecutor(1, initializer=prepare_worker)

    def _run(self, method: str, *arguments: Sequence[Any]) -> list[Any]:
        """Let all shards run a method at once; return the results.

        Of each argument, shard k gets entry k. Raises ShardError: the process of one failed.
        """
        own, *others = [tuple(a[k] for a in arguments) for k in range(len(self._envs_of))]
        for shard, args in zip(self.others, others, strict=True):
            shard.call(method, *args)
        start = time.monotonic()
        result = self._thread.submit(getattr(self.first, method), *own).result()
        # All shards have as much to do.
        patience_s = max(PATIENCE_S, PATIENCE * (time.monotonic() - start))
        return [result, *(shard.result(patience_s) for shard in self.others)]

    def start(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every environment."""
        self._run("start", [seeds[own] for own in self._envs_of])

    def collect(self) -> list[Episode]:
        """Fill the batch; return the episodes that ended meanwhile."""
        return list(itertools.chain.from_iterable(self._run("collect")))

    def backward(self, retain_graph: bool = False) -> None:
        """Carry the gradients in the batch on to the agent's parameters, summed over the shards."""
        self._run("backward", [retain_graph] * len(self._envs_of))
        for gradients in self._others_gradients:
            for total, gradient in zip(self.gradients, gradients, strict=True):
                total += gradient

    def metrics(self) -> dict[str, float]:
        """What the environments have to report of themselves."""
        return self.first.metrics()

    def state_dict(self) -> dict[str, Any]:
        """What the next `collect` depends on, beside parameters; entries are per environment."""
        state: dict[str, Any] = join(self._run("state_dict"))
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state of as many environments, in whatever shards."""
        self._run("load_state_dict", [part(state, own) for own in self._envs_of])

    def close(self) -> None:
        """End the processes and close the environments."""
        self._thread.shutdown()
        self.first.close()
        for shard in self.others:
            shard.close()
