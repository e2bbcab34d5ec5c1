"""What torchrun starts in tests/test_torchrun.py: train_agent.py in a tiny world.

    torchrun -m tests.ranks_command SETTING ...

TROUBLE=SIGKILL:1:11 (or SIGTERM, SIGSTOP, nan) lets that befall rank 1 in the course of update 11,
the first time that the ranks are started.
"""

import os
import signal
import sys

import torch

import train_agent
from agents.learner import Learner
from agents.parallel import ranks
from configs import learners
from tests.known_answer_envs import RandomEnds

kind, number, update = os.environ.get("TROUBLE", "none:0:0").split(":")
collect = Learner.collect


def troubled_collect(learner: Learner):
    episodes = collect(learner)
    if learner.updates + 1 == int(update) and os.environ["RANK"] == number:
        if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            if kind == "nan":
                learner._batch.reward[2, 0] = torch.nan
            else:
                os.kill(os.getpid(), getattr(signal, kind))
    return episodes


if __name__ == "__main__":
    Learner.collect = troubled_collect
    learners.make_vec_env = lambda config, num_envs, **settings: RandomEnds(num_envs)
    ranks.PATIENCE_S = float(os.environ.get("PATIENCE_S", ranks.PATIENCE_S))
    sys.exit(train_agent.main())
