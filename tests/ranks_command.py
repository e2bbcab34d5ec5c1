"""What tests/test_torchrun.py starts as ranks: train_agent.py in a tiny world.

TROUBLE=SIGKILL:4 (or SIGTERM, nan) befalls rank 1 in update 4, the first time that it is started.
The run of start_from lies on rank 0's machine alone.
"""

import os
import signal
import sys
from pathlib import Path
from unittest.mock import patch

import torch

import train_agent
from agents.learner import Learner
from configs import learners, take_weights
from tests.known_answer_envs import RandomEnds

kind, _, update = os.environ.get("TROUBLE", "none:0").partition(":")
collect = Learner.collect


def troubled_collect(learner: Learner):
    episodes = collect(learner)
    first_time = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
    if learner.updates + 1 == int(update) and os.environ["RANK"] == "1" and first_time:
        if kind == "nan":
            learner._batch.reward[2, 0] = torch.nan
        else:
            os.kill(os.getpid(), getattr(signal, kind))
    return episodes


def take_weights_there(learner: Learner, run: Path):
    assert os.environ["RANK"] == "0"
    take_weights(learner, run)


def make_random_ends(config, num_envs: int, **settings) -> RandomEnds:
    return RandomEnds(num_envs)


if __name__ == "__main__":
    with (
        patch.object(Learner, "collect", troubled_collect),
        patch.object(learners, "make_vec_env", make_random_ends),
        patch.object(train_agent, "take_weights", take_weights_there),
    ):
        sys.exit(train_agent.main())
