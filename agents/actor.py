"""Acting: environments and network fill a rollout, row by row."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.batched_env import BatchedEnv, SplitEnv, StepResult, episode_ended
from agents.devices import SideStream
from agents.episodes import Episode, EpisodeTracker
from agents.networks import Agent, CoreState
from agents.passes import Pass
from agents.rollout import Rollout
from compiled.cache import kernel


class Actor:
    """The environments, and the agent's memory of them; see `collect`.

    `host` and `device` are the rollout where the environments write and where the network reads; on
    a CPU they are the same. `network` is the agent's pass for the latter. `begin`, `act`, `observe`
    and `finish` are called without gradients, as by `collect`.
    """

    def __init__(
        self,
        envs: BatchedEnv,
        agent: Agent,
        host: Rollout,
        device: Rollout,
        network: Pass,
        *,
        discount: float,
        clip_rewards: bool,
        bootstrap_on_timeout: bool,
    ) -> None:
        self.envs = envs
        self._split_envs = envs if isinstance(envs, SplitEnv) else None
        self.agent = agent
        self.host = host
        self.device = device
        self.discount = discount
        self.clip_rewards = clip_rewards
        self.bootstrap_on_timeout = bootstrap_on_timeout
        # NumPy's views of the host's tensors: a tenth of the overhead where rows are small.
        inputs = ("obs", "is_first", "last_action", "last_reward")
        outcomes = ("action", "reward", "discount", "valid")
        self._arrays = {name: getattr(host, name).numpy() for name in (*inputs, *outcomes)}
        self._network = network
        self._uploads = SideStream(device.obs.device)
        # The memory before the next rollout's row 0, and after the last row that was acted on.
        self.core_state = self._memory = agent.initial_state(envs.num_envs)
        self.tracker = EpisodeTracker(envs.num_envs, stagger=True)

    def start(self, seeds: Sequence[int]) -> None:
        """Begin an episode in every environment; its observation is the next rollout's row 0."""
        self.envs.reset_into(seeds, self.host.obs[-1].numpy())
        self.host.is_first[-1] = True
        self.host.last_action[-1] = -1
        self.host.last_reward[-1] = 0.0

    def begin(self) -> None:
        """Open a rollout: the last one's row T was not acted on yet and is this one's row 0."""
        host = self.host
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
        self._memory = self._network.act(t, exponential_noise)
        if self.device is not self.host:
            # Waits for the device: the environments need the actions now.
            self.host.action[t] = self.device.action[t]
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
        host, device = self.host, self.device
        self._uploads.finish()
        if device is not host:
            for name in ("reward", "discount"):
                self._uploads.copy(getattr(device, name), getattr(host, name))
        self.core_state = self._network.finish()
        self._uploads.finish()

    def _upload(self, t: int, *names: str) -> None:
        """Start to copy parts of row t to the device, where it is another one than the host."""
        if self.device is not self.host:
            for name in names:
                self._uploads.copy(getattr(self.device, name)[t], getattr(self.host, name)[t])

    def _write(self, t: int, result: StepResult) -> None:
        """Fill in what followed action[t]."""
        rows = self._arrays
        ended = episode_ended(result)
        write_outcome(
            result.reward,
            ended,
            self.clip_rewards,
            self.discount,
            rows["action"][t],
            rows["reward"][t],
            rows["discount"][t],
            rows["is_first"][t + 1],
            rows["last_action"][t + 1],
            rows["last_reward"][t + 1],
        )
        rows["valid"][t] = True if result.lost is None else ~result.lost
        if self.bootstrap_on_timeout and result.truncated.any():
            # A time limit cut the episode: what would have followed is worth the value of the
            # last observation. The new episode's row t+1 must not stand in for it.
            clipped = torch.from_numpy(result.reward.clip(-1, 1))
            self.host.reward[t] += self._timeout_value(t, result, clipped)

    def _timeout_value(self, t: int, result: StepResult, last_reward: Tensor) -> Tensor:
        """Discounted value [B] of the final observation where a time limit ended it, else 0."""
        assert result.final_obs is not None
        to = self.device.obs.device
        output, _ = self.agent.unroll(
            torch.from_numpy(result.final_obs).to(to).unsqueeze(0),
            self.host.action[t].to(to).unsqueeze(0),
            last_reward.to(to).unsqueeze(0),
            torch.zeros(1, self.envs.num_envs, dtype=torch.bool),
            self._memory,
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
            "obs": self.host.obs[-1].clone(),
            "is_first": self.host.is_first[-1].clone(),
            "last_action": self.host.last_action[-1].clone(),
            "last_reward": self.host.last_reward[-1].clone(),
            "tracker": dict(vars(self.tracker)),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue as the actor that `state` was taken from would have."""
        self.envs.set_state({k: v.numpy() for k, v in state["envs"].items()})
        memory = {k: v.to(self.device.hidden.device) for k, v in state["core_state"].items()}
        self.core_state = CoreState(**memory)
        for name in ("obs", "is_first", "last_action", "last_reward"):
            getattr(self.host, name)[-1] = state[name]
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


@kernel
def write_outcome(
    paid: Any,
    ended: Any,
    clip: Any,
    gamma: Any,
    action: Any,
    reward: Any,
    discount: Any,
    is_first: Any,
    last_action: Any,
    last_reward: Any,
) -> None:
    """Write what followed the actions of a row.

    Args:
        paid: [B] float32, the environments' rewards.
        ended: [B] bool, where the next observation opens an episode.
        clip: whether the loss sees rewards clipped.
        gamma: the discount within an episode.
        action: [B] int64, this row of the rollout's.
        reward, discount: receive this row's, [B] float32.
        is_first, last_action, last_reward: receive the next row's, [B] bool, int64, float32.
    """
    for b in range(len(paid)):
        clipped = min(max(paid[b], np.float32(-1)), np.float32(1))
        reward[b] = clipped if clip else paid[b]
        discount[b] = 0 if ended[b] else gamma
        is_first[b] = ended[b]
        last_action[b] = -1 if ended[b] else action[b]
        last_reward[b] = 0 if ended[b] else clipped
