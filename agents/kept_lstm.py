"""The LSTM on a CPU: acting keeps what learning needs of it.

Parameters stay as they are while a rollout is collected. So the contexts that acting computed are
those that the losses need, and the gates behind them are what the backward pass needs: learning has
no forward pass. `Agent.unroll_core` and PyTorch's gradients of it are the truth in the tests.
"""

from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.networks import CoreState
from agents.simd import Layer


class _Row(NamedTuple):
    """Views of one row of a KeptLSTM: making them anew would take half as long as the step."""

    inputs: Tensor  # [B, I+H] x_t and h_{t-1}
    after_embedding: NDArray[np.float32]  # [B, A+1+H] the last part of the inputs
    hidden_before: Tensor  # [B, H] the last part of the inputs
    cell_before: Tensor  # [B, H] c_{t-1}
    cell_before_array: NDArray[np.float32]  # the same
    gates: Tensor  # [B, 4H]
    i_and_f: Tensor  # [B, 2H], its first part, and its four parts:
    i: Tensor  # [B, H]
    f: Tensor  # [B, H]
    g: Tensor  # [B, H]
    o: Tensor  # [B, H]
    cell: Tensor  # [B, H] c_t
    squashed: Tensor  # [B, H] tanh(c_t)
    context: Tensor  # [B, H] h_t


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
            torch.zeros(T + 1, B, lstm.input_size + H),
            torch.zeros(T + 1, B, 4 * H),
            torch.zeros(T + 2, B, H),
            torch.zeros(T + 1, B, H),
            torch.zeros(T + 1, B, H),
        )

    def _keep(
        self, inputs: Tensor, gates: Tensor, cell: Tensor, squashed: Tensor, context: Tensor
    ) -> None:
        self.inputs = inputs  # [T+1, B, I+H] x_t and h_{t-1}
        self.gates = gates  # [T+1, B, 4H] i, f, g, o
        self.cell = cell  # [T+2, B, H] c_{t-1}
        self.squashed = squashed  # [T+1, B, H] tanh(c_t)
        self.context = context  # [T+1, B, H] h_t
        self._rows = [self._row(t) for t in range(len(inputs))]

    def _row(self, t: int) -> _Row:
        H = self._lstm.hidden_size
        inputs, gates, cell_before = self.inputs[t], self.gates[t], self.cell[t]
        i, f, g, o = gates.split(H, dim=1)
        return _Row(
            inputs=inputs,
            after_embedding=inputs[:, self._embedding_size :].numpy(),
            hidden_before=inputs[:, self._lstm.input_size :],
            cell_before=cell_before,
            cell_before_array=cell_before.numpy(),
            gates=gates,
            i_and_f=gates[:, : 2 * H],
            i=i,
            f=f,
            g=g,
            o=o,
            cell=self.cell[t + 1],
            squashed=self.squashed[t],
            context=self.context[t],
        )

    def columns(self, start: int, stop: int) -> Self:
        """View of environments start..stop-1."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        kept = self.inputs, self.gates, self.cell, self.squashed, self.context
        part._keep(*(x[:, start:stop] for x in kept))
        return part

    def memory(self, t: int) -> CoreState:
        """Views of the memory before row t, which is 0..T."""
        return CoreState(self.inputs[t, :, self._lstm.input_size :], self.cell[t])

    def begin(self, memory: CoreState) -> None:
        """Open a rollout, with the memory before row 0 and the parameters as they are now."""
        for row, given in zip(self.memory(0), memory, strict=True):
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
    ) -> Tensor:
        """Run row t; returns its context [B, H].

        embedding [B, E]; is_first, last_action, last_reward [B]: as for `Agent.unroll_core`.
        """
        row = self._rows[t]
        row.inputs[:, : self._embedding_size] = embedding
        _write_inputs(
            row.after_embedding, is_first, last_action, last_reward, row.cell_before_array
        )
        self._layer(row.inputs, row.gates)
        row.i_and_f.sigmoid_()
        row.g.tanh_()
        row.o.sigmoid_()
        torch.mul(row.f, row.cell_before, out=row.cell).addcmul_(row.i, row.g)
        torch.tanh(row.cell, out=row.squashed)
        torch.mul(row.o, row.squashed, out=row.context)
        if t + 1 < len(self._rows):
            self._rows[t + 1].hidden_before.copy_(row.context)
        return row.context

    def gradients(self, grad_context: Tensor, is_first: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Gradients of the embeddings [T+1, B, E] and of the LSTM's parameters, in their order.

        grad_context: [T+1, B, H]; is_first: [T+1, B] bool, as given to `step`, which must have run
        all rows with the parameters of now.
        """
        weight_ih, weight_hh, *_ = (p.detach().to(self._dtype) for p in self._lstm.parameters())
        grad_gates = torch.empty_like(self.gates)  # before sigmoid and tanh
        grad_hidden, grad_cell = torch.zeros(2, *self.cell.shape[1:])
        firsts = is_first.any(1).tolist()
        for t in reversed(range(len(grad_context))):
            grad_hidden += grad_context[t]
            _gate_gradients(
                self.gates[t].numpy(),
                self.squashed[t].numpy(),
                self.cell[t].numpy(),
                grad_hidden.numpy(),
                grad_cell.numpy(),
                grad_gates[t].numpy(),
            )
            grad_hidden = (grad_gates[t].to(self._dtype) @ weight_hh).float()
            if firsts[t]:
                grad_hidden[is_first[t]] = 0.0
                grad_cell[is_first[t]] = 0.0
        flat = grad_gates.flatten(0, 1)
        grad_bias = flat.sum(0)
        flat = flat.to(self._dtype)
        grad_weight = (flat.T @ self.inputs.flatten(0, 1).to(self._dtype)).float()
        grad_embedding = (flat @ weight_ih[:, : self._embedding_size]).float()
        of_ih, of_hh = grad_weight.tensor_split([self._lstm.input_size], dim=1)
        grad_embedding = grad_embedding.unflatten(0, grad_context.shape[:2])
        return grad_embedding, [of_ih, of_hh, grad_bias, grad_bias]


@njit(nogil=True, cache=True)
def _write_inputs(
    rest: Any, is_first: Any, last_action: Any, last_reward: Any, before: Any
) -> None:
    """Write action and reward into a row's inputs after the embedding; empty the memory at starts.

    rest: [B, A+1+H], one-hot action, reward, h_{t-1}; before: [B, H], c_{t-1}.
    """
    reward_column = rest.shape[1] - before.shape[1] - 1
    for b in range(len(rest)):
        rest[b, :reward_column] = 0
        if last_action[b] >= 0:
            rest[b, last_action[b]] = 1
        rest[b, reward_column] = last_reward[b]
        if is_first[b]:  # not by a product: a dead episode's inf or nan must not survive as nan
            rest[b, reward_column + 1 :] = 0
            before[b] = 0


@njit(nogil=True, cache=True)
def _gate_gradients(
    gates: Any, squashed: Any, before: Any, grad_hidden: Any, grad_cell: Any, out: Any
) -> None:
    """One row of the backward pass.

    Args:
        gates, squashed, before: [B, 4H], [B, H], [B, H] as kept.
        grad_hidden: [B, H], of h_t.
        grad_cell: [B, H], of c_t by way of later rows; becomes that of c_{t-1}.
        out: receives [B, 4H], of the gates before sigmoid and tanh.
    """
    B, H = before.shape
    one = np.float32(1)
    for b in range(B):
        for k in range(H):
            i, f, g, o = gates[b, k], gates[b, H + k], gates[b, 2 * H + k], gates[b, 3 * H + k]
            s, h = squashed[b, k], grad_hidden[b, k]
            c = grad_cell[b, k] + h * o * (one - s * s)
            out[b, k] = c * g * i * (one - i)
            out[b, H + k] = c * before[b, k] * f * (one - f)
            out[b, 2 * H + k] = c * i * (one - g * g)
            out[b, 3 * H + k] = h * s * o * (one - o)
            grad_cell[b, k] = c * f
