"""One step of an agent, as it is shown."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.watch.past_predictions import Hits

Picture = NDArray[np.uint8]  # [H, W, 3]


class Moment(NamedTuple):
    """What there is to see of one agent step, before the agent has acted."""

    step: int  # of the episode, from 0
    view: Picture  # [72, 96, 3] what the agent sees
    top_down: Picture  # [144, 144, 3]
    earned: float  # return so far
    reward: float  # that came with this observation
    value: float  # the discounted return that the agent expects
    policy: NDArray[np.float32]  # [A] chance of each action
    action: int  # the one taken
    hits: Hits | None  # None: no CPC
    picked: list[Picture]  # [S] the views that CPC's predictions picked for this one
