"""Frames, agent steps and nominal seconds of the levels, the same in every backend."""

FRAMES_PER_SECOND = 60  # environment frames in one nominal second, as DeepMind Lab counts them
FRAMES_PER_STEP = 4  # an agent step repeats its action for this many frames, as IMPALA does
STEPS_PER_SECOND = FRAMES_PER_SECOND // FRAMES_PER_STEP
