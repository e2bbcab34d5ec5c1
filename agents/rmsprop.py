"""RMSProp as TensorFlow writes it, in one pass over memory on a CPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from torch import Tensor

from kernels import kernel


class OnePassRMSprop(RMSpropTFLike):
    """Stable-Baselines3's optimiser, which goes through a CPU's memory six times per step.

    For float32 parameters without momentum, centering or weight decay. On a GPU the original does
    the step; states are the original's.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        if any(p.is_cuda for p in parameters):
            return super().step(closure)
        for group in self.param_groups:
            assert not group["centered"]
            assert group["momentum"] == group["weight_decay"] == 0
            alpha, eps, lr = (np.float32(group[name]) for name in ("alpha", "eps", "lr"))
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(step=0, square_avg=torch.ones_like(p))
                state["step"] += 1
                state["square_avg"] = square_avg = _laid_out_as(p, state["square_avg"])
                grad = _laid_out_as(p, p.grad)
                _update(_memory(p), _memory(grad), _memory(square_avg), alpha, eps, lr)
        return None


def _laid_out_as(p: Tensor, x: Tensor) -> Tensor:
    """x, with its elements in memory in the order of p's."""
    return x if x.stride() == p.stride() else torch.empty_like(p).copy_(x)


def _memory(x: Tensor) -> NDArray[np.float32]:
    """All elements as they lie in memory, which must be without gaps."""
    return x.as_strided((x.numel(),), (1,)).numpy()


# NumPy's error model: a check for a division by zero would keep the loop from being vectorised.
@kernel(error_model="numpy")
def _update(p: Any, grad: Any, square_avg: Any, alpha: Any, eps: Any, lr: Any) -> None:
    rest = np.float32(1) - alpha
    for k in range(len(p)):
        g = grad[k]
        s = square_avg[k] * alpha + rest * g * g
        square_avg[k] = s
        p[k] -= lr * g / np.sqrt(s + eps)
