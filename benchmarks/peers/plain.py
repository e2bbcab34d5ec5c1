"""Recurrent A2C in one plain loop, the way a single-file implementation has it.

Batches of images go through the whole network in one pass, the LSTM runs row by row and is
multiplied by 0 where an episode begins, autograd does the rest. Nothing is tuned.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.peers import setting
from benchmarks.peers.setting import Size, Trainer

GAE_LAMBDA = 0.95
MAX_GRAD_NORM = 40.0


class RecurrentAgent(nn.Module):
    """Encoder, LSTM, policy and value head."""

    def __init__(self, num_actions: int) -> None:
        super().__init__()
        self.encoder = setting.ImpalaShallow()
        self.lstm = nn.LSTM(setting.HIDDEN_SIZE, setting.HIDDEN_SIZE)
        self.policy = nn.Linear(setting.HIDDEN_SIZE, num_actions)
        self.value = nn.Linear(setting.HIDDEN_SIZE, 1)

    def forward(
        self, obs: Tensor, first: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """obs [T, B, H, W, C] uint8, first [T, B] -> logits [T, B, A], value [T, B], the state."""
        features = self.encoder(obs.permute(0, 1, 4, 2, 3) / 255.0)  # [T, B, 256]
        outputs = []
        for row, begins in zip(features, first, strict=True):
            keep = (1.0 - begins).view(1, -1, 1)
            output, state = self.lstm(row.unsqueeze(0), (keep * state[0], keep * state[1]))
            outputs.append(output)
        hidden = torch.cat(outputs)
        return self.policy(hidden), self.value(hidden).squeeze(-1), state


def build_plain(size: Size) -> Trainer:
    """Environments, agent and the loop's state."""
    torch.manual_seed(1)
    envs = setting.make_envs(size)
    T, B = size.unroll_length, size.num_envs
    agent = RecurrentAgent(int(envs.single_action_space.n))
    optimiser = torch.optim.RMSprop(agent.parameters(), setting.LEARNING_RATE, alpha=0.99, eps=0.1)
    obs = torch.zeros(T + 1, B, *envs.single_observation_space.shape, dtype=torch.uint8)
    actions, rewards, values = torch.zeros(T, B).long(), torch.zeros(T, B), torch.zeros(T + 1, B)
    first = torch.zeros(T + 1, B)  # 1 where an episode begins
    state = (torch.zeros(1, B, setting.HIDDEN_SIZE), torch.zeros(1, B, setting.HIDDEN_SIZE))
    envs.reset_into(range(B), obs[-1].numpy())
    first[-1] = 1.0

    def rollout() -> None:
        nonlocal state
        obs[0], first[0] = obs[-1].clone(), first[-1].clone()
        initial_state = state
        with torch.no_grad():
            for t in range(T):
                logits, value, state = agent(obs[t : t + 1], first[t : t + 1], state)
                action = torch.distributions.Categorical(logits=logits[0]).sample()
                result = envs.step_into(action.numpy(), obs[t + 1].numpy())
                actions[t], values[t] = action, value[0]
                rewards[t] = torch.from_numpy(np.clip(result.reward, -1.0, 1.0))
                first[t + 1] = torch.from_numpy(result.terminated | result.truncated)
            values[T] = agent(obs[T:], first[T:], state)[1]
            advantages = torch.zeros(T, B)
            advantage = torch.zeros(B)
            for t in reversed(range(T)):
                goes_on = setting.DISCOUNT * (1.0 - first[t + 1])
                delta = rewards[t] + goes_on * values[t + 1] - values[t]
                advantages[t] = advantage = delta + GAE_LAMBDA * goes_on * advantage
            returns = advantages + values[:T]
        logits, value, _ = agent(obs[:T], first[:T], initial_state)
        policy = torch.distributions.Categorical(logits=logits)
        policy_loss = -(policy.log_prob(actions) * advantages).sum()
        value_loss = F.mse_loss(value, returns, reduction="sum")
        entropy = policy.entropy().sum()
        loss = policy_loss + setting.VALUE_COST * value_loss - setting.ENTROPY_COST * entropy
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(agent.parameters(), MAX_GRAD_NORM)
        optimiser.step()

    return Trainer(rollout, envs.close)
