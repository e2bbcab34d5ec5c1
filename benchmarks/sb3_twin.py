"""Stable-Baselines3's A2C made equal to ours without memory: same network, same step.

Our losses are sums over the N = T * B agent steps of a rollout, SB3's are means. With
g = N times SB3's gradient:

- value_cost * 1/2 sum (G - v)^2 is N times vf_coef * mean (G - v)^2 with vf_coef = value_cost / 2;
- the entropy's weight is the same: entropy_cost = ent_coef;
- a clip of g at the norm c is a clip of SB3's gradient at c / N;
- RMSProp divides g by the root of its running mean square s, which TensorFlow starts at 1, plus
  epsilon. From the gradient of a mean the same step comes with the same learning rate, with
  epsilon / N^2 and an s that starts at 1 / N^2. SB3's optimiser starts at 1 as well, so the twin's
  multiplies by N instead: same learning rate, same epsilon, same start.

tests/benchmarks/test_sb3_comparison.py proves it: after the same rollouts the parameters agree.
"""

import math
from typing import Any

import gymnasium
import torch
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from agents.config import AgentConfig, NetworkConfig, SB3A2CConfig
from agents.encoders import ENCODER_CLASSES
from agents.learner import RMSPROP_DECAY
from agents.networks import Agent
from agents.sb3.learner import SB3A2CLearner


class SummedRMSprop(RMSpropTFLike):
    """TensorFlow's RMSProp on the gradient of a sum of `count` terms, given that of their mean."""

    def __init__(self, params: Any, lr: float, count: int, eps: float) -> None:
        super().__init__(params, lr=lr, alpha=RMSPROP_DECAY, eps=eps)
        self.count = count

    def step(self, closure: Any = None) -> Any:
        """Multiply all gradients by `count`, then step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad.mul_(self.count)
        return super().step(closure)


class OurEncoder(BaseFeaturesExtractor):
    """Our encoder as a features extractor of SB3, which turns images to [N, C, H, W] float32."""

    def __init__(self, observation_space: gymnasium.spaces.Box, network: NetworkConfig) -> None:
        super().__init__(observation_space, network.hidden_size)
        shape = observation_space.shape
        self.images = len(shape) == 3
        if self.images:
            shape = (*shape[1:], shape[0])
        self.encoder = ENCODER_CLASSES[network.encoder](shape, network.hidden_size)

    def forward(self, obs: Tensor) -> Tensor:
        """Encode [N, C, H, W] pixels in 0..255, or vectors [N, D], to [N, E]."""
        return self.encoder(obs.permute(0, 2, 3, 1) if self.images else obs)


def twin_settings(config: AgentConfig, num_envs: int) -> tuple[SB3A2CConfig, dict[str, Any]]:
    """SB3's hyper-parameters and policy_kwargs that make its A2C equal to ours of `config`.

    Raises ValueError for what SB3's A2C does not do.
    """
    if (
        config.network.core != "none"
        or config.clip_rewards
        or config.normalize_advantages
        or not config.bootstrap_on_timeout
    ):
        raise ValueError(
            "Stable-Baselines3's A2C has no memory, does not clip rewards, normalises advantages "
            "by another standard deviation and always bootstraps on time limits"
        )
    count = config.unroll_length * num_envs
    clip = math.inf if config.max_grad_norm is None else config.max_grad_norm
    sb3 = SB3A2CConfig(
        n_steps=config.unroll_length,
        learning_rate=config.learning_rate,
        gamma=config.discount,
        gae_lambda=config.gae_lambda,
        ent_coef=config.entropy_cost,
        vf_coef=config.value_cost / 2,
        max_grad_norm=clip / count,
    )
    policy_kwargs = {
        "features_extractor_class": OurEncoder,
        "features_extractor_kwargs": {"network": config.network},
        "normalize_images": False,  # our encoder does it
        "net_arch": [],  # the heads read the embedding
        "ortho_init": False,
        "optimizer_class": SummedRMSprop,
        "optimizer_kwargs": {"count": count, "eps": config.rmsprop_epsilon},
    }
    return sb3, policy_kwargs


@torch.no_grad()
def copy_parameters(agent: Agent, learner: SB3A2CLearner) -> None:
    """Give the twin the agent's parameters."""
    for target, source in parameter_pairs(agent, learner):
        target.copy_(source)


def parameter_pairs(agent: Agent, learner: SB3A2CLearner) -> list[tuple[Tensor, Tensor]]:
    """(twin's, ours) for every parameter."""
    policy: Any = learner.model.policy
    modules = (
        (policy.features_extractor.encoder, agent.encoder),
        (policy.action_net, agent.policy),
        (policy.value_net, agent.value),
    )
    return [
        pair
        for twin, ours in modules
        for pair in zip(twin.parameters(), ours.parameters(), strict=True)
    ]
