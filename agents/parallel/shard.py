"""A shard of a batch: some environments, and the network's work for them, acting and learning."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from agents.actor import Actor, collect
from agents.batched_env import BatchedEnv, GroupedEnv
from agents.config import AgentConfig
from agents.episodes import Episode
from agents.networks import Agent
from agents.passes import Pass
from agents.rollout import Batch, Rollout


class Shard:
    """Some environments of a batch, and the network's work for them.

    Args:
        envs: these environments; closed with the shard.
        config: hyper-parameters.
        agent: the network, on the device of the batch.
        make_pass: makes the agent's pass for a rollout.
        batch: their part of the batch, which this shard fills.
        gradients: receive what this shard adds to the gradients of the agent's parameters.
    """

    def __init__(
        self,
        envs: BatchedEnv,
        config: AgentConfig,
        agent: Agent,
        make_pass: Callable[[Agent, Rollout], Pass],
        batch: Batch,
        gradients: Sequence[Tensor],
    ) -> None:
        self.agent = agent
        self.batch = batch
        self.gradients = gradients
        self.envs = envs
        T, device, space = len(batch.action), batch.action.device, envs.single_observation_space

        def allocate(where: torch.device) -> Rollout:
            return Rollout.allocate(T, envs.num_envs, space, agent.hidden_size, where)

        host = allocate(torch.device("cpu"))
        self.rollout = host
        if device.type != "cpu":
            self.rollout = allocate(device)._replace(is_first=host.is_first, valid=host.valid)
        self.network = make_pass(agent, self.rollout)
        groups = envs.groups if isinstance(envs, GroupedEnv) else [envs]
        ends = itertools.accumulate((group.num_envs for group in groups), initial=0)
        self._group_envs = [slice(*pair) for pair in itertools.pairwise(ends)]
        self.actors = []
        for group, own in zip(groups, self._group_envs, strict=True):
            host_part = host.select_envs(own.start, own.stop)
            device_part = host_part
            if self.rollout is not host:
                device_part = self.rollout.select_envs(own.start, own.stop)
            self.actors.append(
                Actor(
                    group,
                    agent,
                    host_part,
                    device_part,
                    self.network.select_envs(own.start, own.stop),
                    discount=config.discount,
                    clip_rewards=config.clip_rewards,
                    bootstrap_on_timeout=config.bootstrap_on_timeout,
                )
            )

    def start(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every environment."""
        for actor, own in zip(self.actors, self._group_envs, strict=True):
            actor.start(seeds[own])

    def collect(self) -> list[Episode]:
        """Act for T steps; fill the batch; return the episodes that ended."""
        with self.agent.autocast():
            episodes = collect(self.actors, self.batch.exponential_noise)
        for name in ("is_first", "action", "reward", "discount", "valid"):
            getattr(self.batch, name).copy_(getattr(self.rollout, name))
        for kept, output in zip(self.batch.outputs, self.network.outputs(), strict=True):
            kept.copy_(output.detach())
        return episodes

    def backward(self, retain_graph: bool = False) -> None:
        """Carry the gradients in the batch on to the agent's parameters."""
        gradients = self.network.gradients(self.batch.grad, retain_graph)
        for own, gradient in zip(self.gradients, gradients, strict=True):
            own.copy_(gradient)

    def metrics(self) -> dict[str, float]:
        """What the environments have to report of themselves; see records.metrics."""
        if not isinstance(self.envs, GroupedEnv):
            return {}
        return {"env/worker_restarts": float(self.envs.worker_restarts)}

    def state_dict(self) -> dict[str, Any]:
        """What the next `collect` depends on, beside parameters; entries are per environment."""
        return join([actor.state_dict() for actor in self.actors])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state of as many environments."""
        for actor, own in zip(self.actors, self._group_envs, strict=True):
            actor.load_state_dict(part(state, own))

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()


def join(states: Sequence[Any]) -> Any:
    """Join nested dicts of tensors and lists that have one entry per environment."""
    if isinstance(states[0], dict):
        return {name: join([state[name] for state in states]) for name in states[0]}
    if isinstance(states[0], Tensor):
        return torch.cat(list(states))
    return list(itertools.chain.from_iterable(states))


def part(state: Any, envs: slice) -> Any:
    """The part of a joined state that belongs to the environments `envs`."""
    if isinstance(state, dict):
        return {name: part(value, envs) for name, value in state.items()}
    return state[envs]
