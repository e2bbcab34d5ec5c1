"""The choice of actions on a CPU; apart from the pass, whose networks are not compiled with it."""

from typing import Any

import numpy as np

from compiled.cache import kernel


# Sums may be reordered, for vectors.
@kernel(fastmath={"reassoc", "contract"})
def apply_policy_head(
    context: Any, weight: Any, bias: Any, exponential_noise: Any, action: Any
) -> None:
    """Apply the policy head and choose actions, as `passes.sample_actions` does.

    Args:
        context: [B, H] float32; weight [A, H] and bias [A] of the policy head.
        exponential_noise: [B, A].
        action: receives [B] int64.
    """
    for b in range(len(context)):
        best = -np.inf
        action[b] = 0
        for a in range(len(bias)):
            logit = bias[a]
            for k in range(context.shape[1]):
                logit += context[b, k] * weight[a, k]
            # The largest of softmax(logits) / noise, without the exponential.
            score = logit - np.log(exponential_noise[b, a])
            if score > best:
                best = score
                action[b] = a
