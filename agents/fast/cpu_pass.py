"""The pass of a CPU: acting keeps what learning needs, so that learning has no forward pass.

Its parts: `KeptShallowEncoder`, `KeptLSTM`, and a compiled choice of actions. An encoder or a core
that has no such part runs as in `PlainPass`.
"""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from agents.encoders import ShallowEncoder
from agents.fast import shallow_encoder
from agents.fast.lstm import KeptLSTM
from agents.fast.sampling import apply_policy_head
from agents.fast.shallow_encoder import KeptShallowEncoder
from agents.fast.stock import is_stock
from agents.networks import Agent, AgentOutput, CoreState, LSTMCore
from agents.passes import PlainPass, differentiate
from agents.rollout import Rollout


def fast_parts(agent: Agent, obs_shape: Sequence[int]) -> tuple[bool, bool]:
    """Whether the encoder, and core with heads, are exactly what there are fast parts for.

    obs_shape: of one observation.
    """
    if not is_stock(agent, Agent) or agent.value.weight.device.type != "cpu":
        return False, False
    core, size = agent.core, agent.hidden_size
    core_fits = (
        isinstance(core, LSTMCore)
        and is_stock(core, LSTMCore)
        and (core.num_layers, core.proj_size) == (1, 0)
        and (core.bias, core.bidirectional, core.batch_first) == (True, False, False)
        and (core.input_size, core.hidden_size) == (size + agent.num_actions + 1, size)
        and all(is_stock(head, nn.Linear) for head in (agent.policy, agent.value))
        and agent.policy.weight.shape == (agent.num_actions, size)
        and agent.policy.bias is not None
    )
    return shallow_encoder.fits(agent.encoder, obs_shape, size), core_fits


class CpuPass(PlainPass):
    """See `passes.Pass`; for agents of which `fast_parts` names a part."""

    def __init__(self, agent: Agent, rollout: Rollout) -> None:
        super().__init__(agent, rollout)
        T, B = rollout.action.shape
        encoder_fits, core_fits = fast_parts(agent, rollout.obs.shape[2:])
        self._encoder: KeptShallowEncoder | None = None
        if encoder_fits:
            assert isinstance(agent.encoder, ShallowEncoder)
            self._encoder = KeptShallowEncoder(agent.encoder, T, B, agent.product_dtype)
        self._lstm: KeptLSTM | None = None
        if core_fits:
            assert isinstance(agent.core, LSTMCore)
            self._lstm = KeptLSTM(agent.core, agent.num_actions, T, B, agent.product_dtype)
        self._look_at(rollout)

    def _look_at(self, rollout: Rollout) -> None:
        """Keep views of the rollout's rows: to make them anew takes microseconds each."""
        self._rollout = rollout
        self._embeddings = rollout.embedding.unbind()
        names = ("obs", "is_first", "last_action", "last_reward", "action")
        self._arrays = {name: getattr(rollout, name).numpy() for name in names}

    def select_envs(self, start: int, stop: int) -> Self:
        """See `Pass`."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        part._encoder = self._encoder and self._encoder.select_envs(start, stop)
        part._lstm = self._lstm and self._lstm.select_envs(start, stop)
        part._look_at(self._rollout.select_envs(start, stop))
        return part

    def begin(self, core_state: CoreState) -> None:
        """See `Pass`."""
        super().begin(core_state)
        if self._encoder is not None:
            self._encoder.begin()
        if self._lstm is not None:
            self._lstm.begin(core_state)
            policy = self._agent.policy
            self._policy_weight = policy.weight.detach().contiguous().numpy()
            self._policy_bias = policy.bias.detach().numpy()

    def act(self, t: int, exponential_noise: Tensor) -> CoreState:
        """See `Pass`."""
        if self._lstm is None:
            return super().act(t, exponential_noise)
        self._encode(t)
        context, core_state = self._run_lstm(self._lstm, t)
        apply_policy_head(
            context.numpy(),
            self._policy_weight,
            self._policy_bias,
            exponential_noise.numpy(),
            self._arrays["action"][t],
        )
        return core_state

    def finish(self) -> CoreState:
        """See `Pass`."""
        core_state = super().finish()
        if self._lstm is not None:
            T = len(self._rollout.action)
            # The last row's context is for the bootstrap value: the next rollout runs it again.
            core_state = CoreState(*(x.clone() for x in self._lstm.core_state(T)))
            self._run_lstm(self._lstm, T)
        return core_state

    def _encode(self, t: int) -> None:
        if self._encoder is None:
            super()._encode(t)
        else:
            self._encoder.step(t, self._arrays["obs"][t], self._embeddings[t])

    def _run_lstm(self, lstm: KeptLSTM, t: int) -> tuple[Tensor, CoreState]:
        """Context [B, H] of row t, and the memory after it."""
        rows = self._arrays
        return lstm.step(
            t,
            self._embeddings[t],
            rows["is_first"][t],
            rows["last_action"][t],
            rows["last_reward"][t],
        )

    def outputs(self) -> AgentOutput:
        """See `Pass`."""
        if self._lstm is None:
            return super().outputs()
        # Leaves: where PyTorch's part of the backward pass, the heads', ends.
        self._embedding = self._rollout.embedding.detach().requires_grad_()
        self._context = self._lstm.context.detach().requires_grad_()
        self._output = self._agent.heads(self._embedding, self._context)
        return self._output

    def gradients(self, grad: AgentOutput, retain_graph: bool = False) -> Sequence[Tensor]:
        """See `Pass`."""
        agent, rollout = self._agent, self._rollout
        if self._lstm is None:
            inputs = [self._embedding, *agent.core.parameters(), *agent.head_parameters()]
            grad_embedding, *others = differentiate(self._output, inputs, grad, retain_graph)
        else:
            inputs = [self._embedding, self._context, *agent.head_parameters()]
            of_heads, grad_context, *others = differentiate(
                self._output, inputs, grad, retain_graph
            )
            grad_embedding, of_core = self._lstm.gradients(grad_context, rollout.is_first)
            grad_embedding += of_heads
            others = [*of_core, *others]
        if self._encoder is not None:
            of_encoder = self._encoder.gradients(rollout.obs, rollout.embedding, grad_embedding)
        else:
            parameters = list(agent.encoder.parameters())
            of_encoder = [torch.zeros_like(p) for p in parameters]
            self._add_encoder_gradients(grad_embedding, parameters, of_encoder)
        return [*of_encoder, *others]
