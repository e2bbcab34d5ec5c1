"""A rollout, and the batch that the losses make of it."""

from typing import NamedTuple, Self

import gymnasium
import numpy as np
import torch
from torch import Tensor

from agents.networks import AgentOutput


class Rollout(NamedTuple):
    """T agent steps of B environments: T+1 observations, T actions.

    At row t the agent saw obs[t] and chose action[t]; that earned reward[t]. discount[t] is 0 if
    the episode ended there, else gamma. obs[t+1] follows, or opens the next episode: then
    is_first[t+1] is set and last_action[t+1], last_reward[t+1] are cleared. The same holds where
    the environment was lost in that step; then what action[t] led to is unknown, and valid[t] is
    False.
    """

    obs: Tensor  # [T+1, B, ...] in the environment's dtype
    is_first: Tensor  # [T+1, B] bool, always on the host
    last_action: Tensor  # [T+1, B] int64, -1: none
    last_reward: Tensor  # [T+1, B] float32, clipped to [-1, 1]: an input of the network
    action: Tensor  # [T, B] int64
    # [T, B] float32, as the loss sees it: clipped if so configured, and with the value of the last
    # observation where a time limit ended the episode and `bootstrap_on_timeout` is set
    reward: Tensor
    discount: Tensor  # [T, B] float32
    valid: Tensor  # [T, B] bool, always on the host
    hidden: Tensor  # [B, H] float32, the core's state before row 0, see `CoreState`
    cell: Tensor  # [B, H] float32
    embedding: Tensor  # [T+1, B, E] float32, what the encoder made of obs

    @classmethod
    def allocate(
        cls,
        T: int,
        B: int,
        obs_space: gymnasium.spaces.Box,
        hidden_size: int,
        device: torch.device,
        pinned: bool = False,
    ) -> Self:
        """Empty buffers on `device`, two of them on the host; pinned if a GPU is to read them."""

        def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device, pin_memory=pinned)

        obs_dtype = torch.from_numpy(np.empty(0, obs_space.dtype)).dtype
        return cls(
            obs=zeros(T + 1, B, *obs_space.shape, dtype=obs_dtype),
            is_first=torch.zeros(T + 1, B, dtype=torch.bool, pin_memory=pinned),
            last_action=zeros(T + 1, B, dtype=torch.int64),
            last_reward=zeros(T + 1, B, dtype=torch.float32),
            action=zeros(T, B, dtype=torch.int64),
            reward=zeros(T, B, dtype=torch.float32),
            discount=zeros(T, B, dtype=torch.float32),
            valid=torch.zeros(T, B, dtype=torch.bool),
            hidden=zeros(B, hidden_size, dtype=torch.float32),
            cell=zeros(B, hidden_size, dtype=torch.float32),
            embedding=zeros(T + 1, B, hidden_size, dtype=torch.float32),
        )

    def select_envs(self, start: int, stop: int) -> Self:
        """View of environments start..stop-1."""
        core_state = {"hidden": self.hidden[start:stop], "cell": self.cell[start:stop]}
        rows = {
            name: x[:, start:stop] for name, x in self._asdict().items() if name not in core_state
        }
        return type(self)(**rows, **core_state)


class Batch(NamedTuple):
    """What the losses need of a rollout of all B environments, and what they give back.

    On the network's device, except is_first and valid, which stay on the host.
    """

    exponential_noise: Tensor  # [T, B, A] float32, draws the actions
    is_first: Tensor  # [T+1, B] bool
    action: Tensor  # [T, B] int64
    reward: Tensor  # [T, B] float32
    discount: Tensor  # [T, B] float32
    valid: Tensor  # [T, B] bool
    logits: Tensor  # [T+1, B, A] float32, and so are all others
    value: Tensor  # [T+1, B]
    embedding: Tensor  # [T+1, B, E]
    context: Tensor  # [T+1, B, H]
    grad_logits: Tensor  # gradients of the losses, shaped as above
    grad_value: Tensor
    grad_embedding: Tensor
    grad_context: Tensor

    @classmethod
    def allocate(
        cls, T: int, B: int, num_actions: int, hidden_size: int, device: torch.device
    ) -> Self:
        """Buffers of zeros."""

        def zeros(rows: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(rows, B, *shape, dtype=dtype, device=device)

        outputs = [(num_actions,), (), (hidden_size,), (hidden_size,)]
        return cls(
            zeros(T, num_actions),
            # Pinned where a GPU reads it: another copy would wait for the work before it.
            torch.zeros(T + 1, B, dtype=torch.bool, pin_memory=device.type == "cuda"),
            zeros(T, dtype=torch.int64),
            zeros(T),
            zeros(T),
            torch.zeros(T, B, dtype=torch.bool),
            *(zeros(T + 1, *shape) for shape in outputs * 2),
        )

    def select_envs(self, start: int, stop: int) -> Self:
        """View of environments start..stop-1."""
        return type(self)(*(x[:, start:stop] for x in self))

    @property
    def outputs(self) -> AgentOutput:
        """What the network computed."""
        return AgentOutput(self.logits, self.value, self.embedding, self.context)

    @property
    def grad(self) -> AgentOutput:
        """The gradients of `outputs`."""
        return AgentOutput(
            self.grad_logits, self.grad_value, self.grad_embedding, self.grad_context
        )
