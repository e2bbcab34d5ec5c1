"""RMSProp on a CPU in one pass over memory."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.a2c import RMSprop
from compiled.cache import kernel


class OnePassRMSprop(RMSprop):
    """As `RMSprop`, but that each parameter on a CPU is read and written once."""

    def _update(
        self,
        p: Tensor,
        grad: Tensor,
        square_avg: Tensor,
        lr: float,
        alpha: float,
        eps: float,
        weight: float,
    ) -> Tensor:
        """See `RMSprop`."""
        if not (p.is_cpu and p.dtype == torch.float32 and _without_gaps(p)):
            return super()._update(p, grad, square_avg, lr, alpha, eps, weight)
        square_avg = _laid_out_as(p, square_avg)
        numbers = (np.float32(x) for x in (alpha, 1 / weight, eps, lr))
        _step(_memory(p), _memory(_laid_out_as(p, grad)), _memory(square_avg), *numbers)
        return square_avg


def _without_gaps(x: Tensor) -> bool:
    """Whether the elements fill their memory, each once: what `empty_like` lays out as x is."""
    return torch.empty_like(x, device="meta").stride() == x.stride()


def _laid_out_as(p: Tensor, x: Tensor) -> Tensor:
    """x, with its elements in memory in the order of p's."""
    return x if x.stride() == p.stride() else torch.empty_like(p).copy_(x)


def _memory(x: Tensor) -> NDArray[np.float32]:
    """All elements as they lie in memory, which must be without gaps."""
    return x.as_strided((x.numel(),), (1,)).numpy()


# NumPy's error model: a check for a division by zero would keep the loop from being vectorised.
@kernel(error_model="numpy")
def _step(
    p: Any, grad: Any, square_avg: Any, alpha: Any, correction: Any, eps: Any, lr: Any
) -> None:
    rest = np.float32(1) - alpha
    for k in range(len(p)):
        g = grad[k]
        s = square_avg[k] * alpha + rest * g * g
        square_avg[k] = s
        p[k] -= lr * g / np.sqrt(s * correction + eps)
