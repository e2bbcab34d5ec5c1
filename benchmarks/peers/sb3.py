"""Stable-Baselines3's A2C without memory, and RecurrentPPO of sb3-contrib with an LSTM."""

from typing import Any

import gymnasium
from stable_baselines3 import A2C
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from benchmarks.peers import setting
from benchmarks.peers.setting import Size, Trainer
from envs.sb3_vec_env import SB3VecEnv


class Features(BaseFeaturesExtractor):
    """IMPALA's shallow encoder as SB3 wants it; images arrive as [N, C, H, W] in 0..1."""

    def __init__(self, observation_space: gymnasium.spaces.Box) -> None:
        super().__init__(observation_space, setting.HIDDEN_SIZE)
        self.encoder = setting.ImpalaShallow(*observation_space.shape)

    def forward(self, observations: Tensor) -> Tensor:
        """Encode."""
        return self.encoder(observations)


COMMON: dict[str, Any] = {
    "learning_rate": setting.LEARNING_RATE,
    "gamma": setting.DISCOUNT,
    "ent_coef": setting.ENTROPY_COST,
    "vf_coef": setting.VALUE_COST,
    "seed": 1,
}
# No layers between the encoder, or the LSTM, and the heads.
POLICY: dict[str, Any] = {"features_extractor_class": Features, "net_arch": []}


def build_a2c(size: Size) -> Trainer:
    """SB3's A2C."""
    envs = SB3VecEnv(setting.make_envs(size))
    model = A2C(
        "CnnPolicy",
        envs,
        n_steps=size.unroll_length,
        policy_kwargs=POLICY,
        **COMMON,
        device=size.device,
    )
    return _trainer(model, envs, size)


def build_recurrent_ppo(size: Size) -> Trainer:
    """RecurrentPPO with one LSTM for policy and value, one epoch, all samples in one minibatch.

    Its default, minibatches of 128 samples, leaves its LSTM two or three sequences at a time.
    """
    from sb3_contrib import RecurrentPPO

    envs = SB3VecEnv(setting.make_envs(size))
    policy = POLICY | {
        "lstm_hidden_size": setting.HIDDEN_SIZE,
        "shared_lstm": True,
        "enable_critic_lstm": False,
    }
    model = RecurrentPPO(
        "CnnLstmPolicy",
        envs,
        n_steps=size.unroll_length,
        n_epochs=1,
        batch_size=size.steps,
        policy_kwargs=policy,
        **COMMON,
        device=size.device,
    )
    return _trainer(model, envs, size)


def _trainer(model: OnPolicyAlgorithm, envs: SB3VecEnv, size: Size) -> Trainer:
    def rollout() -> None:
        model.learn(size.steps, reset_num_timesteps=False)

    return Trainer(rollout, envs.close)
