"""The rollout that the learner turns into one gradient step, and how actions are chosen."""

from typing import NamedTuple, Self

import gymnasium
import numpy as np
import torch
from torch import Tensor

from agents.networks import Agent, CoreState
from agents.sb3_agent import SB3Agent


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
    reward: Tensor  # [T, B] float32, as the loss sees it (clipped if so configured)
    discount: Tensor  # [T, B] float32
    valid: Tensor  # [T, B] bool, always on the host
    hidden: Tensor  # [B, H] float32, the LSTM's memory before row 0
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
    ) -> Self:
        """Empty buffers on `device`, two of them on the host; pinned if a GPU is to read them."""
        pinned = device.type == "cpu" and torch.cuda.is_available()

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

    def columns(self, start: int, stop: int) -> Self:
        """View of environments start..stop-1."""

        def part(rows: Tensor) -> Tensor:
            return rows[:, start:stop]

        return type(self)(
            obs=part(self.obs),
            is_first=part(self.is_first),
            last_action=part(self.last_action),
            last_reward=part(self.last_reward),
            action=part(self.action),
            reward=part(self.reward),
            discount=part(self.discount),
            valid=part(self.valid),
            hidden=self.hidden[start:stop],
            cell=self.cell[start:stop],
            embedding=part(self.embedding),
        )


@torch.no_grad()
def act(
    agent: Agent | SB3Agent,
    embedding: Tensor,
    is_first: Tensor,
    last_action: Tensor,
    last_reward: Tensor,
    core_state: CoreState,
    race: Tensor | None,
) -> tuple[Tensor, CoreState]:
    """Choose an action for each of B environments: one row of `Agent.unroll_core`.

    Args as there, without the leading T. `race` [B, A] holds exponential random numbers with which
    actions are drawn; None takes the likeliest ones. Returns actions [B] int64 on the agent's
    device, and the memory after this observation.
    """
    output, core_state = agent.unroll_core(
        embedding.unsqueeze(0),
        last_action.unsqueeze(0),
        last_reward.unsqueeze(0),
        is_first.unsqueeze(0),
        core_state,
    )
    logits = output.logits[0]  # [B, A]
    if race is None:
        return logits.argmax(-1), core_state
    # The exponential race draws from the softmax without multinomial's check of its input, which
    # would stall a GPU (Gumbel-max in another form).
    return (logits.softmax(-1) / race).argmax(-1), core_state
