"""RMSProp with epsilon inside the root, as TensorFlow has it."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


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
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        alpha: float,
        eps: float,
        bias_correction: bool = False,
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "bias_correction": bias_correction}
        super().__init__(params, defaults)

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
                state["square_avg"] = self._update(
                    p, p.grad, state["square_avg"], lr, alpha, eps, weight
                )

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
        """Update a parameter and its running mean, which counts as divided by `weight`, in place.

        Returns the running mean.
        """
        square_avg.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        p.addcdiv_(grad, (square_avg / weight).add_(eps).sqrt_(), value=-lr)
        return square_avg
