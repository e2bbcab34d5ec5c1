"""One row of an LSTM beside its products, forward and backward: the loops of `agents.fast.lstm`.

Apart from it, so that they are compiled anew only where they change, and not with the networks.
"""

from typing import Any

import numpy as np

from compiled.cache import kernel, vectorised
from compiled.products import exp


@kernel
def write_inputs(
    inputs: Any, cell: Any, embedding: Any, is_first: Any, last_action: Any, last_reward: Any
) -> None:
    """Write a row's inputs before h_{t-1}; empty the memory at starts.

    inputs: [B, E+A+1+H], embedding, one-hot action, reward, h_{t-1}; cell: [B, H], c_{t-1}.
    """
    E = embedding.shape[1]
    reward_column = inputs.shape[1] - cell.shape[1] - 1
    for b in range(len(inputs)):
        inputs[b, :E] = embedding[b]
        inputs[b, E:reward_column] = 0
        if last_action[b] >= 0:
            inputs[b, E + last_action[b]] = 1
        inputs[b, reward_column] = last_reward[b]
        if is_first[b]:  # not by a product: a dead episode's inf or nan must not survive as nan
            inputs[b, reward_column + 1 :] = 0
            cell[b] = 0


@vectorised
def _sigmoid(x: Any) -> Any:
    return np.float32(1) / (np.float32(1) + exp(-x))


# In place: with two arrays that may be one, there are no vectors.
@vectorised
def _apply_sigmoid(x: Any) -> None:
    for k in range(len(x)):
        x[k] = _sigmoid(x[k])


@vectorised
def _apply_tanh(x: Any) -> None:
    for k in range(len(x)):
        x[k] = np.float32(2) * _sigmoid(np.float32(2) * x[k]) - np.float32(1)


@vectorised
def run_gates(
    gates: Any, before: Any, cell: Any, tanh_cell: Any, context: Any, following: Any
) -> None:
    """One row of the forward pass after its products.

    Args:
        gates: [B, 4H] before sigmoid and tanh; becomes i, f, g, o.
        before: [B, H] c_{t-1}.
        cell, tanh_cell, context: receive [B, H] c_t, tanh(c_t), h_t.
        following: receives h_t as well, for the next row.
    """
    H = before.shape[1]
    for b in range(len(before)):
        i_and_f, g, o = gates[b, : 2 * H], gates[b, 2 * H : 3 * H], gates[b, 3 * H :]
        _apply_sigmoid(i_and_f)
        _apply_tanh(g)
        _apply_sigmoid(o)
        for k in range(H):
            cell[b, k] = i_and_f[H + k] * before[b, k] + i_and_f[k] * g[k]
        tanh_cell[b] = cell[b]
        _apply_tanh(tanh_cell[b])
        for k in range(H):
            context[b, k] = o[k] * tanh_cell[b, k]
        following[b] = context[b]


@vectorised
def gate_gradients(
    gates: Any, tanh_cell: Any, before: Any, grad_hidden: Any, grad_cell: Any, out: Any
) -> None:
    """One row of the backward pass.

    Args:
        gates, tanh_cell, before: [B, 4H], [B, H], [B, H] as kept.
        grad_hidden: [B, H], of h_t.
        grad_cell: [B, H], of c_t by way of later rows; becomes that of c_{t-1}.
        out: receives [B, 4H], of the gates before sigmoid and tanh.
    """
    H = before.shape[1]
    one = np.float32(1)
    for b in range(len(before)):
        row, to, s, h, c = gates[b], out[b], tanh_cell[b], grad_hidden[b], grad_cell[b]
        i, f, g, o = row[:H], row[H : 2 * H], row[2 * H : 3 * H], row[3 * H :]
        to_i, to_f, to_g, to_o = to[:H], to[H : 2 * H], to[2 * H : 3 * H], to[3 * H :]
        for k in range(H):
            c[k] += h[k] * o[k] * (one - s[k] * s[k])
        for k in range(H):
            to_o[k] = h[k] * s[k] * o[k] * (one - o[k])
        for k in range(H):
            to_i[k] = c[k] * g[k] * i[k] * (one - i[k])
        for k in range(H):
            to_f[k] = c[k] * before[b, k] * f[k] * (one - f[k])
        for k in range(H):
            to_g[k] = c[k] * i[k] * (one - g[k] * g[k])
        for k in range(H):
            c[k] *= f[k]
