"""RMSProp with epsilon inside the root, as TensorFlow has it."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernels import kernel


class RMSprop(torch.optim.Optimizer):
    """Steps by lr g / sqrt(s + eps), where s is a running mean of g^2.

    Without bias correction s begins at 1, as TensorFlow's does and IMPALA's did: until it has
    fallen to the size of the gradients, some hundred updates, steps are too short. With it s
    begins at 0 and is divided by 1 - alpha^n after n updates, as in Adam (Kingma & Ba 2015,
    section 3): an average over the updates there were, full steps from the first one on.

    Args:
        params: float32 parameters, or groups of them.
        lr: step size.
        alpha: decay of the running mean.
        eps: inside the root.
        bias_correction: see above.
        fast: on a CPU the same in one pass over memory.
    """

    _fast = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        alpha: float,
        eps: float,
        bias_correction: bool = False,
        fast: bool = True,
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "bias_correction": bias_correction}
        super().__init__(params, defaults)
        self._fast = fast

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            lr, alpha, eps = group["lr"], group["alpha"], group["eps"]
            corrected = group["bias_correction"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    start = torch.zeros_like(p) if corrected else torch.ones_like(p)
                    state.update(step=0, square_avg=start)
                state["step"] += 1
                weight = 1 - alpha ** state["step"] if corrected else 1.0
                if self._fast and p.is_cpu:
                    self._update_in_one_pass(p, state, alpha, weight, eps, lr)
                    continue
                s = state["square_avg"].mul_(alpha).addcmul_(p.grad, p.grad, value=1 - alpha)
                p.addcdiv_(p.grad, (s / weight).add_(eps).sqrt_(), value=-lr)

    @staticmethod
    def _update_in_one_pass(
        p: Tensor, state: dict[str, Any], alpha: float, weight: float, eps: float, lr: float
    ) -> None:
        assert p.grad is not None
        state["square_avg"] = square_avg = _laid_out_as(p, state["square_avg"])
        grad = _laid_out_as(p, p.grad)
        numbers = (np.float32(x) for x in (alpha, 1 / weight, eps, lr))
        _update(_memory(p), _memory(grad), _memory(square_avg), *numbers)


def _laid_out_as(p: Tensor, x: Tensor) -> Tensor:
    """x, with its elements in memory in the order of p's."""
    return x if x.stride() == p.stride() else torch.empty_like(p).copy_(x)


def _memory(x: Tensor) -> NDArray[np.float32]:
    """All elements as they lie in memory, which must be without gaps."""
    return x.as_strided((x.numel(),), (1,)).numpy()


# NumPy's error model: a check for a division by zero would keep the loop from being vectorised.
@kernel(error_model="numpy")
def _update(
    p: Any, grad: Any, square_avg: Any, alpha: Any, correction: Any, eps: Any, lr: Any
) -> None:
    rest = np.float32(1) - alpha
    for k in range(len(p)):
        g = grad[k]
        s = square_avg[k] * alpha + rest * g * g
        square_avg[k] = s
        p[k] -= lr * g / np.sqrt(s * correction + eps)
