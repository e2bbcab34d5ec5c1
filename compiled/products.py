"""Matrix products of a few rows, as fast as PyTorch makes those of many."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compiled.blocks import HAS_BFLOAT16, LANES, SUPPORTED, WIDE, block_product
from compiled.cache import kernel, vectorised


@vectorised
def exp(x: Any) -> Any:
    """e^x of a float32 between -87 and 87, else that of the nearer end; to 2e-7 of itself.

    Made of instructions that vectors have: e^x = 2^n e^r, x = n log(2) + r with |r| <= log(2)/2,
    and e^r as the polynomial of the Cephes library's expf (Moshier 1992).
    """
    y = min(max(x, np.float32(-87)), np.float32(87))  # 2^n of others is no float32
    # Adding and subtracting 1.5 * 2^23 rounds to whole numbers.
    n = (y * np.float32(1.44269504) + np.float32(12582912.0)) - np.float32(12582912.0)
    r = y - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    bits = (np.int32(n) + np.int32(127)) << np.int32(23)  # of 2^n
    return p * np.int32(bits).view(np.float32)


def lay_out(weight: Tensor, dtype: torch.dtype) -> NDArray[Any]:
    """[..., outputs, inputs] as `block_product` reads its y: the outputs side by side, flat.

    In bfloat16 each output has pairs of inputs.
    """
    if dtype == torch.bfloat16:
        weight = weight.to(dtype).contiguous().view(torch.uint32)
    return weight.transpose(-2, -1).reshape(-1).numpy()


def as_array(x: Tensor) -> NDArray[Any]:
    """A contiguous tensor's memory as `block_product` reads it: float32, or pairs of bfloat16."""
    return x.view(torch.uint32).numpy() if x.dtype == torch.bfloat16 else x.numpy()


# Rows of a product at once: as many as there are registers for, or fewer where there are fewer.
_MANY, _SOME, _FEW = (16, 8, 4) if WIDE else (6, 4, 2)
_many_rows = block_product(_MANY, 1)
_some_rows = block_product(_SOME, 1)
_few_rows = block_product(_FEW, 1)
_one_row = block_product(1, 1)


@kernel
def multiply(  # type: ignore[no-untyped-def]
    out, o, o_step, count, start, s, s_step, x, x_step, x_row, y, y_at, y_row, inner
):
    """Write `count` rows of 16 numbers, each `start` and a sum over `inner` products.

    Arguments as of `block_product`, with x from its beginning. Rows may be written twice, unless
    16 divides their number: only then may `start` be `out`.
    """
    # Rows 4096 bytes apart share few places in the nearest cache: fewer of them at once.
    many = count >= _MANY and x_step % 1024
    first = 0
    while first < count:
        rest = count - first
        # The last group may overlap the one before.
        if many and rest > _SOME:
            r = min(first, count - _MANY)
            _many_rows(out, o + r * o_step, o_step, start, s + r * s_step, s_step,
                       x, r * x_step, x_step, x_row, 0, y, y_at, y_row, inner, 1)  # fmt: skip
            first += _MANY
        elif count >= _SOME and rest > _FEW:
            r = min(first, count - _SOME)
            _some_rows(out, o + r * o_step, o_step, start, s + r * s_step, s_step,
                       x, r * x_step, x_step, x_row, 0, y, y_at, y_row, inner, 1)  # fmt: skip
            first += _SOME
        elif count >= _FEW:
            r = min(first, count - _FEW)
            _few_rows(out, o + r * o_step, o_step, start, s + r * s_step, s_step,
                      x, r * x_step, x_step, x_row, 0, y, y_at, y_row, inner, 1)  # fmt: skip
            first += _FEW
        else:
            r = first
            _one_row(out, o + r * o_step, o_step, start, s + r * s_step, s_step,
                     x, r * x_step, x_step, x_row, 0, y, y_at, y_row, inner, 1)  # fmt: skip
            first += 1


class Layer:
    """x @ weight.T + bias for a few rows, with weights that do not change for a while.

    Args:
        weight: [O, I] float32, on the CPU.
        bias: [O] float32.
        dtype: what the product is made in.
    """

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype = torch.float32) -> None:
        self._dtype = dtype
        fits = SUPPORTED if dtype == torch.float32 else HAS_BFLOAT16 and weight.shape[1] % 2 == 0
        self._by_blocks = fits and len(weight) % LANES == 0
        if self._by_blocks:
            # Laid out as [O/16, I, 16]: read once, from beginning to end, for all rows
            panels = weight.unflatten(0, (-1, LANES))
            self._panels, self._flat_bias = lay_out(panels, dtype), bias.numpy()
        else:
            self._weight = weight.t().to(dtype).contiguous()  # few rows read it faster like this
            self._bias = bias.to(dtype)

    def __call__(self, x: Tensor, out: Tensor) -> None:
        """Write the product of x [N, I], float32 or of dtype, to out [N, O], float32.

        Both must be contiguous.
        """
        if self._by_blocks:
            rows = as_array(x.to(self._dtype))
            _multiply(rows, self._panels, self._flat_bias, out.numpy())
        else:
            out.copy_(torch.addmm(self._bias, x.to(self._dtype), self._weight))


@kernel
def _multiply(x: Any, panels: Any, bias: Any, out: Any) -> None:
    N, size = x.shape
    line = out.shape[1]
    flat, result = x.reshape(-1), out.reshape(-1)
    for to in range(0, line, LANES):
        multiply(result, to, line, N, bias, to, 0, flat, size, 1, panels, to * size, LANES, size)
