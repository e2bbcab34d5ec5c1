"""The nine actions that IMPALA uses on DeepMind Lab, as DeepMind Lab's seven raw numbers."""

import numpy as np

ACTION_NAMES = (
    "forward",
    "backward",
    "strafe left",
    "strafe right",
    "look left",
    "look right",
    "forward + look left",
    "forward + look right",
    "fire",
)

# Columns: look right (pixels a frame), look down (pixels a frame), strafe right, move forward,
# fire, jump, crouch. Espeholt et al. 2018, appendix D; a pixel turns by 0.1056 degrees.
IMPALA_ACTIONS = np.array(
    [
        (0, 0, 0, 1, 0, 0, 0),
        (0, 0, 0, -1, 0, 0, 0),
        (0, 0, -1, 0, 0, 0, 0),
        (0, 0, 1, 0, 0, 0, 0),
        (-20, 0, 0, 0, 0, 0, 0),
        (20, 0, 0, 0, 0, 0, 0),
        (-20, 0, 0, 1, 0, 0, 0),
        (20, 0, 0, 1, 0, 0, 0),
        (0, 0, 0, 0, 1, 0, 0),
    ],
    dtype=np.int64,
)
LOOK, STRAFE, MOVE, FIRE = 0, 2, 3, 4  # the columns that matter where nobody looks up or jumps
