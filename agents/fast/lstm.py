"""The LSTM on a CPU: acting keeps what learning needs of it.

Parameters stay as they are while a rollout is collected. So the contexts that acting computed are
those that the losses need, and the gates behind them are what the backward pass needs: learning has
no forward pass. `Agent.unroll_core` and PyTorch's gradients of it are the truth.
"""

from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.fast.lstm_rows import gate_gradients, run_gates, write_inputs
from agents.networks import CoreState
from compiled.products import Layer


class _Row(NamedTuple):
    """Views of one row of a KeptLSTM: making them anew would take half as long as the step."""

    inputs: Tensor  # [B, I+H] x_t and h_{t-1}
    gates: Tensor  # [B, 4H]
    context: Tensor  # [B, H] h_t
    before: tuple[NDArray[np.float32], ...]  # x_t and h_{t-1}, c_{t-1}
    arrays: tuple[NDArray[np.float32], ...]  # gates, c_{t-1}, c_t, tanh(c_t), h_t, h_t once more
    core_state: CoreState  # h_t and c_t, the memory after this row


class KeptLSTM:
    """An LSTM over the T+1 rows of a rollout of B environments: row by row, then backward.

    With x_t the embedding, the last action (one-hot) and the last reward, and in PyTorch's terms:

        i, f, o = sigmoid(..), g = tanh(..) of W_ih x_t + b_ih + W_hh h_{t-1} + b_hh
        c_t = f c_{t-1} + i g,    h_t = o tanh(c_t)

    Args:
        lstm: one layer, from E + A + 1 inputs to H outputs, on the CPU.
        num_actions: A.
        T, B: a rollout's steps and environments.
        dtype: what products are made in; all that is kept is float32.
    """

    def __init__(
        self,
        lstm: nn.LSTM,
        num_actions: int,
        T: int,
        B: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        H = lstm.hidden_size
        self._lstm = lstm
        self._embedding_size = lstm.input_size - num_actions - 1
        self._dtype = dtype
        self._keep(
            torch.zeros(T + 2, B, lstm.input_size + H),
            torch.zeros(T + 1, B, 4 * H),
            torch.zeros(T + 2, B, H),
            torch.zeros(T + 1, B, H),
            torch.zeros(T + 1, B, H),
        )

    def _keep(
        self, inputs: Tensor, gates: Tensor, cell: Tensor, tanh_cell: Tensor, context: Tensor
    ) -> None:
        self.inputs = inputs  # [T+2, B, I+H] x_t and h_{t-1}; of the last row only the latter
        self.gates = gates  # [T+1, B, 4H] i, f, g, o
        self.cell = cell  # [T+2, B, H] c_{t-1}
        self.tanh_cell = tanh_cell  # [T+1, B, H] tanh(c_t)
        self.context = context  # [T+1, B, H] h_t
        self._rows = [self._row(t) for t in range(len(context))]

    def _row(self, t: int) -> _Row:
        inputs, gates, context = self.inputs[t], self.gates[t], self.context[t]
        core_state = self.core_state(t + 1)
        kept = gates, self.cell[t], core_state.cell, self.tanh_cell[t], context, core_state.hidden
        return _Row(
            inputs=inputs,
            gates=gates,
            context=context,
            before=(inputs.numpy(), self.cell[t].numpy()),
            arrays=tuple(x.numpy() for x in kept),
            core_state=core_state,
        )

    def select_envs(self, start: int, stop: int) -> Self:
        """View of environments start..stop-1."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        kept = self.inputs, self.gates, self.cell, self.tanh_cell, self.context
        part._keep(*(x[:, start:stop] for x in kept))
        return part

    def core_state(self, t: int) -> CoreState:
        """Views of the memory before row t, which is 0..T+1."""
        return CoreState(self.inputs[t, :, self._lstm.input_size :], self.cell[t])

    def begin(self, core_state: CoreState) -> None:
        """Open a rollout, with the memory before row 0 and the parameters as they are now."""
        for row, given in zip(self.core_state(0), core_state, strict=True):
            row.copy_(given)
        weight_ih, weight_hh, bias_ih, bias_hh = (p.detach() for p in self._lstm.parameters())
        weight = torch.cat([weight_ih, weight_hh], dim=1)  # [4H, I+H]
        self._layer = Layer(weight, bias_ih + bias_hh, self._dtype)

    def step(
        self,
        t: int,
        embedding: Tensor,
        is_first: NDArray[np.bool_],
        last_action: NDArray[np.int64],
        last_reward: NDArray[np.float32],
    ) -> tuple[Tensor, CoreState]:
        """Run row t; returns views of its context [B, H] and of the memory after it.

        embedding [B, E]; is_first, last_action, last_reward [B]: as for `Agent.unroll_core`.
        """
        row = self._rows[t]
        write_inputs(*row.before, embedding.numpy(), is_first, last_action, last_reward)
        self._layer(row.inputs, row.gates)
        run_gates(*row.arrays)
        return row.context, row.core_state

    def gradients(self, grad_context: Tensor, is_first: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Gradients of the embeddings [T+1, B, E] and of the LSTM's parameters, in their order.

        grad_context: [T+1, B, H]; is_first: [T+1, B] bool, as given to `step`, which must have run
        all rows with the parameters of now.
        """
        weight_ih, weight_hh, *_ = (p.detach() for p in self._lstm.parameters())
        H = weight_hh.shape[1]
        to_hidden_before = Layer(weight_hh.T, torch.zeros(H), self._dtype)
        grad_gates = torch.empty_like(self.gates)  # before sigmoid and tanh
        grad_hidden, grad_cell = torch.zeros(2, *self.cell.shape[1:])
        firsts = is_first.any(1).tolist()
        for t in reversed(range(len(grad_context))):
            grad_hidden += grad_context[t]
            gate_gradients(
                self.gates[t].numpy(),
                self.tanh_cell[t].numpy(),
                self.cell[t].numpy(),
                grad_hidden.numpy(),
                grad_cell.numpy(),
                grad_gates[t].numpy(),
            )
            to_hidden_before(grad_gates[t], grad_hidden)
            if firsts[t]:
                grad_hidden[is_first[t]] = 0.0
                grad_cell[is_first[t]] = 0.0
        flat = grad_gates.flatten(0, 1)
        grad_bias = flat.sum(0)
        flat = flat.to(self._dtype)
        grad_weight = (flat.T @ self.inputs[:-1].flatten(0, 1).to(self._dtype)).float()
        weight_of_embedding = weight_ih[:, : self._embedding_size].to(self._dtype)
        grad_embedding = (flat @ weight_of_embedding).float()
        of_ih, of_hh = grad_weight.tensor_split([self._lstm.input_size], dim=1)
        grad_embedding = grad_embedding.unflatten(0, grad_context.shape[:2])
        return grad_embedding, [of_ih, of_hh, grad_bias, grad_bias]
