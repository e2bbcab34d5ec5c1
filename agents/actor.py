"""Acting: environments and network fill a rollout, row by row.

`Actor` does it in a group of environments, `Shard` has all groups of one process and the network's
work for them, acting and learning.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.batched_env import BatchedEnv, GroupedEnv, SplitEnv, StepResult, episode_ended
from agents.config import AgentConfig
from agents.devices import SideStream
from agents.episodes import Episode, EpisodeTracker
from agents.joined_state import join, part
from agents.networks import Agent, CoreState
from agents.passes import Pass
from agents.rollout import Batch, Rollout


class Actor:
    """The environments, and the agent's memory of them; see `collect`.

    The environments write into `host_rollout`, the network reads `device_rollout`; on a CPU they
    are the same. `network` is the agent's pass for the latter. `begin`, `act`, `observe` and
    `finish` are called without gradients, as by `collect`.
    """

    def __init__(
        self,
        envs: BatchedEnv,
        agent: Agent,
        host_rollout: Rollout,
        device_rollout: Rollout,
        network: Pass,
        *,
        discount: float,
        clip_rewards: bool,
        bootstrap_on_timeout: bool,
    ) -> None:
        self.envs = envs
        self._split_envs = envs if isinstance(envs, SplitEnv) else None
        self.agent = agent
        self.host_rollout = host_rollout
        self.device_rollout = device_rollout
        self.discount = discount
        self.clip_rewards = clip_rewards
        self.bootstrap_on_timeout = bootstrap_on_timeout
        # NumPy's views of the host's tensors: a tenth of the overhead where rows are small.
        inputs = ("obs", "is_first", "last_action", "last_reward")
        outcomes = ("action", "reward", "discount", "valid")
        self._arrays = {name: getattr(host_rollout, name).numpy() for name in (*inputs, *outcomes)}
        self._network = network
        self._uploads = SideStream(device_rollout.obs.device)
        # Before the next rollout's row 0, and after the last row that was acted on.
        self.core_state = self._latest_core_state = agent.initial_state(envs.num_envs)
        self.tracker = EpisodeTracker(envs.num_envs, stagger=True)

    def start(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every environment; its observation is the next rollout's row 0."""
        self.envs.reset_into(seeds, self.host_rollout.obs[-1].numpy())
        self.host_rollout.is_first[-1] = True
        self.host_rollout.last_action[-1] = -1
        self.host_rollout.last_reward[-1] = 0.0

    def begin(self) -> None:
        """Start a rollout: its row 0 is the last one's row T, which was not acted on."""
        host = self.host_rollout
        for rows in (host.obs, host.is_first, host.last_action, host.last_reward):
            rows[0] = rows[-1]
        self._network.begin(self.core_state)
        self._uploads.begin()  # learning may not be done with the last rollout
        self._upload(0, "obs", "last_action", "last_reward")

    def act(self, t: int, exponential_noise: Tensor) -> None:
        """Choose the actions of row t and hand them to environments that can begin with them.

        exponential_noise: [B, A] on the network's device; see `passes.sample_actions`.
        """
        self._uploads.finish()
        self._latest_core_state = self._network.act(t, exponential_noise)
        if self.device_rollout is not self.host_rollout:
            # Waits for the device: the environments need the actions now.
            self.host_rollout.action[t] = self.device_rollout.action[t]
        if self._split_envs is not None:
            self._split_envs.send(self._arrays["action"][t])

    def observe(self, t: int) -> list[Episode]:
        """Fill in what the actions of row t led to; return the episodes that ended with them."""
        rows = self._arrays
        if self._split_envs is not None:
            result = self._split_envs.receive(rows["obs"][t + 1])
        else:
            result = self.envs.step_into(rows["action"][t], rows["obs"][t + 1])
        self._upload(t + 1, "obs")  # on its way while the host looks at the rest
        self._write(t, result)
        self._upload(t + 1, "last_action", "last_reward")
        return [episode for _, episode in self.tracker.add(result)]

    def finish(self) -> None:
        """Close the rollout: the network reads its last row too, the losses on a GPU the rest."""
        host, device = self.host_rollout, self.device_rollout
        self._uploads.finish()
        if device is not host:
            for name in ("reward", "discount"):
                self._uploads.copy(getattr(device, name), getattr(host, name))
        self.core_state = self._network.finish()
        self._uploads.finish()

    def _upload(self, t: int, *names: str) -> None:
        """Start to copy parts of row t to the device, where it is another one than the host."""
        if self.device_rollout is not self.host_rollout:
            for name in names:
                source = getattr(self.host_rollout, name)[t]
                self._uploads.copy(getattr(self.device_rollout, name)[t], source)

    def _write(self, t: int, result: StepResult) -> None:
        """Fill in what followed action[t]."""
        rows = self._arrays
        ended = episode_ended(result)
        clipped = result.reward.clip(-1, 1)
        rows["reward"][t] = clipped if self.clip_rewards else result.reward
        rows["discount"][t] = np.where(ended, 0.0, self.discount)
        rows["is_first"][t + 1] = ended
        rows["last_action"][t + 1] = np.where(ended, -1, rows["action"][t])
        rows["last_reward"][t + 1] = np.where(ended, 0.0, clipped)
        rows["valid"][t] = True if result.lost is None else ~result.lost
        if self.bootstrap_on_timeout and result.truncated.any():
            # A time limit cut the episode: what would have followed is worth the value of the
            # last observation. The new episode's row t+1 must not stand in for it.
            self.host_rollout.reward[t] += self._timeout_value(t, result, torch.from_numpy(clipped))

    def _timeout_value(self, t: int, result: StepResult, last_reward: Tensor) -> Tensor:
        """Discounted value [B] of the final observation where a time limit ended it, else 0."""
        assert result.final_obs is not None
        to = self.device_rollout.obs.device
        output, _ = self.agent.unroll(
            torch.from_numpy(result.final_obs).to(to).unsqueeze(0),
            self.host_rollout.action[t].to(to).unsqueeze(0),
            last_reward.to(to).unsqueeze(0),
            torch.zeros(1, self.envs.num_envs, dtype=torch.bool),
            self._latest_core_state,
        )
        value = output.value[0].cpu()  # [B]
        truncated = torch.from_numpy(result.truncated & ~result.terminated)
        return torch.where(truncated, self.discount * value, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """What the next `collect` depends on, beside the parameters.

        Dicts of tensors and lists with one entry per environment.
        """
        return {
            "envs": {k: torch.from_numpy(v.copy()) for k, v in self.envs.get_state().items()},
            "core_state": {"hidden": self.core_state.hidden, "cell": self.core_state.cell},
            "obs": self.host_rollout.obs[-1].clone(),
            "is_first": self.host_rollout.is_first[-1].clone(),
            "last_action": self.host_rollout.last_action[-1].clone(),
            "last_reward": self.host_rollout.last_reward[-1].clone(),
            "tracker": dict(vars(self.tracker)),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue as the actor that `state` was taken from would have."""
        self.envs.set_state({k: v.numpy() for k, v in state["envs"].items()})
        device = self.device_rollout.hidden.device
        core_state = {k: v.to(device) for k, v in state["core_state"].items()}
        self.core_state = CoreState(**core_state)
        for name in ("obs", "is_first", "last_action", "last_reward"):
            getattr(self.host_rollout, name)[-1] = state[name]
        vars(self.tracker).update(state["tracker"])


@torch.no_grad()
def collect(actors: Sequence[Actor], exponential_noise: Tensor) -> list[Episode]:
    """Let `actors` act for T steps and fill their rollouts; return the episodes that ended.

    They take turns: while one waits for the network, the others' environments can be at work.

    exponential_noise: [T, B, A] for all actors' environments, one after the other; see
        `passes.sample_actions`.
    """
    ends = itertools.accumulate((actor.envs.num_envs for actor in actors), initial=0)
    parts = [exponential_noise[:, start:stop] for start, stop in itertools.pairwise(ends)]
    noise = [part.unbind() for part in parts]  # by row
    episodes = []
    for actor in actors:
        actor.begin()
    for t in range(len(exponential_noise)):
        for actor, own in zip(actors, noise, strict=True):
            if t > 0:
                episodes += actor.observe(t - 1)
            actor.act(t, own[t])
    for actor in actors:
        episodes += actor.observe(len(exponential_noise) - 1)
        actor.finish()
    return episodes


class Shard:
    """Environments of a batch, all of them or a core's, and the network's work for them.

    Args:
        envs: these environments, in groups or not; closed with the shard.
        config: hyper-parameters.
        agent: the network, on the device of the batch.
        make_pass: makes the agent's pass for a rollout.
        batch: their part of the batch, which this shard fills.
        gradients: receive what this shard adds to the gradients of the agent's parameters; each
            call of `backward` overwrites them.
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

        size = T, envs.num_envs, space, agent.hidden_size
        on_gpu = device.type != "cpu"
        host = Rollout.allocate(*size, torch.device("cpu"), pinned=on_gpu)
        self.rollout = host
        if on_gpu:
            on_device = Rollout.allocate(*size, device)
            self.rollout = on_device._replace(is_first=host.is_first, valid=host.valid)
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
        """What the environments have to report of themselves; see `Learner.metrics`."""
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
