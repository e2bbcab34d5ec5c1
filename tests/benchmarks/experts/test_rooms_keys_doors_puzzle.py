import numpy as np

from benchmarks.experts.rooms_keys_doors_puzzle import Expert
from envs.actions import FIRE, IMPALA_ACTIONS, LOOK, MOVE, STRAFE
from envs.labsim.levels.rooms_keys_doors_puzzle import RoomsKeysDoorsPuzzle
from envs.labsim.world import StepOut


def test_the_expert_scores_at_least_43():
    num = 100
    level, out = RoomsKeysDoorsPuzzle(num), StepOut.allocate(num)
    for i in range(num):
        level.seed(i, 70_000 + i)
        level.begin(i)
    experts = [Expert(level, i) for i in range(num)]
    returns, running = np.zeros(num), np.ones(num, bool)
    while running.any():
        actions = np.array([expert.act() for expert in experts])
        level.step(IMPALA_ACTIONS[:, (LOOK, STRAFE, MOVE, FIRE)][actions], out, 0, num)
        returns += out.reward * running
        running &= ~(out.terminated | out.truncated)
    assert returns.mean() >= 43.0
    assert returns.max() <= 58.0
