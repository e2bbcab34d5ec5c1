"""What one agent step of a batch of environments gives, whichever backend runs them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class StepResult(NamedTuple):
    """One entry per environment."""

    reward: NDArray[np.float32]  # [B] as the environment pays it, not clipped
    terminated: NDArray[np.bool_]  # [B]
    truncated: NDArray[np.bool_]  # [B] the episode was cut, on levels by their clocks
    # [B] nominal seconds from (re)spawn to success if a trial succeeded in this step, else NaN
    success_seconds: NDArray[np.float32]
    # [B, ...] the last observation where an episode ended, in memory that the next step uses again;
    # None: not kept
    final_obs: NDArray | None
    # [B] nothing is known of this step: an episode begins without an end; None: nothing can be lost
    lost: NDArray[np.bool_] | None = None
