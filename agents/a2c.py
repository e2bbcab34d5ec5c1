"""A2C's learning rule: its losses, pure functions of tensors, and its optimiser.

Mnih et al. 2016; IMPALA, section 4.1.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor


class A2CLoss(NamedTuple):
    """Scalars, float32. `total` is what is minimised; the others are for the log."""

    num_valid: Tensor  # rows of [T, B] that count; the others are left out below
    total: Tensor  # sum over [T, B]
    policy_loss: Tensor  # mean over [T, B], of -log pi(a) * advantage
    value_loss: Tensor  # mean over [T, B], of 1/2 (return - value)^2
    entropy: Tensor  # mean over [T, B], in nats, never negative
    return_mean: Tensor
    return_variance: Tensor
    error_mean: Tensor  # of return - value
    error_variance: Tensor

    @property
    def explained_variance(self) -> Tensor:
        """1 - Var(return - value) / Var(return); 1 is perfect."""
        # A rollout without any return has nothing to explain: call it 0, not nan.
        explained = 1 - self.error_variance / self.return_variance.clamp(min=1e-8)
        return torch.where(self.return_variance > 1e-8, explained, 0.0)


def whole_loss(parts: A2CLoss) -> A2CLoss:
    """The loss of a batch, given those of its parts, [R] each, with at least one valid row."""
    share = parts.num_valid / parts.num_valid.sum()
    means = A2CLoss(*((share * x).sum() for x in parts))
    among_returns = (share * (parts.return_mean - means.return_mean).square()).sum()
    among_errors = (share * (parts.error_mean - means.error_mean).square()).sum()
    return means._replace(
        num_valid=parts.num_valid.sum(),
        total=parts.total.sum(),
        return_variance=means.return_variance + among_returns,
        error_variance=means.error_variance + among_errors,
    )


def lambda_returns(
    reward: Tensor,
    discount: Tensor,
    value: Tensor,
    gae_lambda: float,
    valid: Tensor | None = None,
) -> Tensor:
    """Lambda-returns (Sutton & Barto 2018, eq. 12.18, with a discount per step).

    G_t = r_t + d_t ((1 - lambda) v_{t+1} + lambda G_{t+1}) for t = T-1, ..., 0, with G_T = v_T.
    lambda = 1 gives n-step returns that bootstrap from the last value, as in A3C; G_t - v_t is
    the generalised advantage estimate of Schulman et al. 2016.

    Args:
        reward: [T, B] float32, r_t earned by the action at row t.
        discount: [T, B] float32, d_t = 0 where the episode ended with that action, else gamma.
        value: [T+1, B] float32, v_t; row T is the bootstrap value.
        gae_lambda: between 0 and 1.
        valid: [T, B] bool, False where it is not known what the action led to. There G_t = v_t:
            the row before bootstraps from the last observation seen. None: known everywhere.

    Returns [T, B] float32, without gradient.
    """
    # To index a tensor takes longer than what is done with a row.
    rewards, discounts, values = reward.unbind(), discount.unbind(), value.detach().unbind()
    returns = [values[-1]]  # G_T, G_{T-1}, ...
    for t in reversed(range(len(rewards))):
        expected = torch.lerp(values[t + 1], returns[-1], gae_lambda)
        return_t = torch.addcmul(rewards[t], discounts[t], expected)
        if valid is not None:
            return_t = torch.where(valid[t], return_t, values[t])
        returns.append(return_t)
    return torch.stack(returns[:0:-1])


def a2c_loss(
    logits: Tensor,
    value: Tensor,
    action: Tensor,
    reward: Tensor,
    discount: Tensor,
    *,
    gae_lambda: float,
    value_cost: float,
    entropy_cost: float,
    normalize_advantages: bool,
    valid: Tensor | None = None,
    mean_and_deviation: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
) -> A2CLoss:
    """Policy gradient, value regression and entropy bonus, summed over time and environments.

    L = sum_{t,b} [ -log pi(a_t) A_t + value_cost 1/2 (G_t - v_t)^2 - entropy_cost H(pi_t) ] with
    A_t = G_t - v_t held constant (IMPALA's code: value_cost 0.5 on top of the 1/2).

    Args:
        logits: [T+1, B, A]; row T has no action and no loss.
        value: [T+1, B]; row T only bootstraps.
        action: [T, B] int64.
        reward, discount: [T, B] float32, as in `lambda_returns`.
        gae_lambda, value_cost, entropy_cost: weights, as above.
        normalize_advantages: divide A_t by its standard deviation over the rollout after
            subtracting its mean (in the policy loss only).
        valid: [T, B] bool, as in `lambda_returns`; the other rows are left out of every term. At
            least one row must be valid.
        mean_and_deviation: those of all advantages, where these are a part of a batch.
    """

    def known(x: Tensor) -> Tensor:
        return x if valid is None else x[valid]  # [T, B] or, without the rows left out, [N]

    returns = lambda_returns(reward, discount, value, gae_lambda, valid)  # [T, B]
    error = known(returns - value[:-1])
    returns = known(returns)
    advantage = error.detach()
    if normalize_advantages:
        mean, deviation = (
            (advantage.mean(), advantage.std(correction=0))
            if mean_and_deviation is None
            else mean_and_deviation(advantage)
        )
        advantage = (advantage - mean) / (deviation + 1e-8)
    log_pi = torch.log_softmax(logits[:-1], dim=-1)  # [T, B, A]
    log_pi_a = known(log_pi.gather(-1, action.unsqueeze(-1)).squeeze(-1))
    policy_loss = -log_pi_a * advantage
    value_loss = 0.5 * error.square()
    entropy = known(-(log_pi.exp() * log_pi).sum(-1))
    total = (policy_loss + value_cost * value_loss - entropy_cost * entropy).sum()
    return A2CLoss(
        num_valid=total.new_full((), error.numel()),
        total=total,
        policy_loss=policy_loss.detach().mean(),
        value_loss=value_loss.detach().mean(),
        entropy=entropy.detach().mean(),
        return_mean=returns.mean(),
        return_variance=returns.var(correction=0),
        error_mean=error.detach().mean(),
        error_variance=error.detach().var(correction=0),
    )


class RMSprop(torch.optim.Optimizer):
    """RMSProp with epsilon inside the root, as TensorFlow has it.

    Steps by lr g / sqrt(s + eps), where s is a running mean of g^2.

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
    def step(self) -> None:  # type: ignore[override]
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
