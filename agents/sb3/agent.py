"""A network that Stable-Baselines3's A2C has trained, with the methods that acting needs."""

import gymnasium
from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy
from torch import Tensor, nn

from agents.networks import AgentOutput, CoreState


class SB3Agent(nn.Module):
    """SB3's policy: NatureCNN for images, an MLP for vectors, no memory.

    Args:
        observation_space: of one environment; images are [H, W, C] uint8.
        action_space: of one environment.
    """

    def __init__(
        self, observation_space: gymnasium.spaces.Box, action_space: gymnasium.spaces.Discrete
    ) -> None:
        super().__init__()
        shape = observation_space.shape
        self.images = len(shape) == 3
        policy_class = ActorCriticPolicy
        if self.images:  # SB3 has channels first
            policy_class = ActorCriticCnnPolicy
            observation_space = gymnasium.spaces.Box(
                observation_space.low.transpose(2, 0, 1),
                observation_space.high.transpose(2, 0, 1),
                dtype=observation_space.dtype.type,
            )
        self.policy = policy_class(observation_space, action_space, lambda _: 0.0)
        self.num_actions = int(action_space.n)

    def initial_state(self, batch_size: int) -> CoreState:
        """No memory: [B, 0]."""
        empty = self.policy.value_net.weight.new_zeros(batch_size, 0)
        return CoreState(empty, empty)

    def encode(self, obs: Tensor) -> Tensor:
        """Features [T, B, F] of observations [T, B, ...]."""
        rows = obs.flatten(0, 1)
        if self.images:
            rows = rows.permute(0, 3, 1, 2)
        features = self.policy.extract_features(rows)
        assert isinstance(features, Tensor)
        return features.unflatten(0, obs.shape[:2])

    def unroll_core(
        self,
        embedding: Tensor,
        last_action: Tensor,
        last_reward: Tensor,
        is_first: Tensor,
        core_state: CoreState,
    ) -> tuple[AgentOutput, CoreState]:
        """Policy and value of features [T, B, F]; the other inputs have no part in it."""
        policy, value = self.policy.mlp_extractor(embedding)
        logits, value = self.policy.action_net(policy), self.policy.value_net(value).squeeze(-1)
        return AgentOutput(logits, value, embedding, embedding), core_state
