"""TorchRL's A2C loss, collector and LSTM module.

One LSTM under both heads, run once for both, and values kept from acting: of the ways that TorchRL
offers the one with the fewest passes through the network.
"""

from typing import Any

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import Tensor, nn
from torchrl.collectors import Collector
from torchrl.data import Binary, Categorical, Composite, Unbounded
from torchrl.envs import Compose, EnvBase, InitTracker, TransformedEnv
from torchrl.modules import LSTMModule, ProbabilisticActor, ValueOperator, set_recurrent_mode
from torchrl.objectives import A2CLoss
from torchrl.objectives.value.functional import generalized_advantage_estimate

from benchmarks.peers import setting
from benchmarks.peers.setting import Size, Trainer
from envs.labsim.vector_env import LabsimVectorEnv

GAE_LAMBDA = 0.95
MAX_GRAD_NORM = 40.0


class TorchRLEnv(EnvBase):
    """labsim as a batched environment of TorchRL; a time limit ends an episode as any end does.

    labsim begins the next episode in the step that ends one: its first observation waits for the
    reset that TorchRL calls next.
    """

    def __init__(self, batch: LabsimVectorEnv) -> None:
        B = batch.num_envs
        super().__init__(batch_size=torch.Size([B]), device=torch.device("cpu"))
        self.batch = batch
        shape = (B, *batch.single_observation_space.shape)
        num_actions = int(batch.single_action_space.n)
        self.observation_spec = Composite(
            pixels=Unbounded(shape=shape, dtype=torch.uint8), shape=(B,)
        )
        self.action_spec = Categorical(num_actions, shape=(B,), dtype=torch.int64)
        self.reward_spec = Unbounded(shape=(B, 1))
        flag = Binary(1, shape=(B, 1), dtype=torch.bool)
        self.full_done_spec = Composite(done=flag, terminated=flag.clone(), shape=(B,))
        self._obs = np.zeros(shape, np.uint8)
        self._begun = False

    def _reset(self, tensordict: TensorDictBase | None = None, **kwargs: Any) -> TensorDict:
        if not self._begun:
            self.batch.reset_into(range(self.batch.num_envs), self._obs)
            self._begun = True
        return self._observation(self._obs, np.zeros(self.batch.num_envs, bool))

    def _step(self, tensordict: TensorDictBase) -> TensorDict:
        self._obs = np.empty_like(self._obs)
        result = self.batch.step_into(tensordict["action"].numpy(), self._obs)
        assert result.final_obs is not None
        ended = result.terminated | result.truncated
        seen = np.where(ended[:, None, None, None], result.final_obs, self._obs)
        after = self._observation(seen if ended.any() else self._obs, ended)
        after["reward"] = torch.from_numpy(result.reward.clip(-1, 1)).unsqueeze(-1)
        return after

    def _observation(self, obs: np.ndarray, ended: np.ndarray) -> TensorDict:
        flag = torch.from_numpy(ended).unsqueeze(-1)
        fields = {"pixels": torch.from_numpy(obs), "done": flag, "terminated": flag.clone()}
        return TensorDict(fields, batch_size=self.batch_size)

    def _set_seed(self, seed: int | None) -> None:
        """Episodes are seeded with 0, 1, ..."""

    def close(self, **kwargs: Any) -> None:
        """Close the batch."""
        self.batch.close()
        super().close(**kwargs)


class Encoder(nn.Module):
    """[..., H, W, C] uint8 -> [..., 256]."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = setting.ImpalaShallow()

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode."""
        return self.encoder(pixels.movedim(-1, -3) / 255.0)


def build_a2c(size: Size) -> Trainer:
    """Environments, collector, loss."""
    torch.manual_seed(1)
    hidden = setting.HIDDEN_SIZE
    envs = TorchRLEnv(setting.make_envs(size))
    lstm = LSTMModule(hidden, hidden, in_key="embedding", out_key="hidden")
    trunk = TensorDictSequential(
        TensorDictModule(Encoder(), in_keys=["pixels"], out_keys=["embedding"]), lstm
    )
    policy = ProbabilisticActor(
        TensorDictModule(nn.Linear(hidden, envs.action_spec.n), ["hidden"], ["logits"]),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=False,
    )
    value = ValueOperator(nn.Linear(hidden, 1), in_keys=["hidden"])
    everything = TensorDictSequential(trunk, value, policy)
    collector = Collector(
        TransformedEnv(envs, Compose(InitTracker(), lstm.make_tensordict_primer())),
        everything,
        frames_per_batch=size.steps,
    )
    loss_module = A2CLoss(
        policy,
        value,
        entropy_coeff=setting.ENTROPY_COST,
        critic_coeff=setting.VALUE_COST,
        functional=False,
    )
    optimiser = torch.optim.RMSprop(
        everything.parameters(), setting.LEARNING_RATE, alpha=0.99, eps=0.1
    )
    batches = iter(collector)

    def rollout() -> None:
        data = next(batches)  # [B, T]
        assert data.shape == (size.num_envs, size.unroll_length)
        with torch.no_grad():
            last = value(trunk(data[:, -1]["next"].clone()))["state_value"]  # [B, 1]
            values = data["state_value"]  # [B, T, 1]
            following = torch.cat([values[:, 1:], last.unsqueeze(1)], dim=1)
            advantage, returns = generalized_advantage_estimate(
                setting.DISCOUNT, GAE_LAMBDA, values, following,
                data["next", "reward"], data["next", "done"], data["next", "terminated"],
            )  # fmt: skip
        batch = data.exclude("next", "embedding", "hidden", "state_value", "logits")
        with set_recurrent_mode(True):
            trunk(batch)
        batch["next"] = data["next"].select("reward", "done", "terminated")
        batch["advantage"], batch["value_target"] = advantage, returns
        losses = loss_module(batch)
        loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(everything.parameters(), MAX_GRAD_NORM)
        optimiser.step()

    return Trainer(rollout, collector.shutdown)
