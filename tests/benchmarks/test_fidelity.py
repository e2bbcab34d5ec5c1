import json

import numpy as np
import pytest

from benchmarks import fidelity


@pytest.mark.parametrize("name", fidelity.TRACES)
def test_recorded_actions_lead_where_they_led(name):
    one, ten = fidelity.replay(name, 1), fidelity.replay(name, 10)
    assert len(one.distance) > 350
    assert len(ten.distance) > 200
    assert (one.distance <= 0.8).mean() >= 0.95
    assert (ten.distance <= 3.0).mean() >= 0.95
    assert max(one.yaw.max(), ten.yaw.max()) < 0.01


def test_the_recorded_visit_pays_when_it_paid():
    recorded, ours = fidelity.recorded_visit()
    assert recorded == [415, 431, 446, 462, 478]
    assert len(ours) == 5
    assert np.abs(np.subtract(recorded, ours)).max() <= 2


@pytest.mark.parametrize(
    ("name", "policy"),
    [("random_policy", fidelity.uniform_policy), ("blind_walker", fidelity.blind_walker)],
)
def test_policies_without_eyes_earn_what_they_earned(name, policy):
    """A short version of the benchmark, which plays 3,000 episodes."""
    theirs = json.loads((fidelity.DATA / "watermaze_policies.json").read_text())[name]
    returns, steps = fidelity.play(policy, 600, seed=1)
    assert (returns >= steps).all()
    assert (returns[steps == 0] == 0).all()
    assert abs(fidelity.gap_in_errors(returns, np.array(theirs["returns"]))) < 2.8
    assert abs(fidelity.gap_in_errors(steps, np.array(theirs["rewarded_steps"]))) < 2.8


def test_the_blind_walker_does_what_its_description_says():
    act = fidelity.blind_walker(2, seed=0)
    covered = np.array([20.0, 20.0])
    for _ in range(5):
        assert act(covered).tolist() == [fidelity.FORWARD] * 2
    actions = [act(np.array([18.9, 19.1]))]
    assert actions[0][0] in (fidelity.LOOK_LEFT, fidelity.LOOK_RIGHT)
    assert actions[0][1] == fidelity.FORWARD
    turns = 1
    while (action := act(np.array([0.0, 20.0]))[0]) != fidelity.FORWARD:
        assert action == actions[0][0]
        turns += 1
    assert 6 <= turns <= 17
    # Short steps right after a turn start no new one.
    assert [act(np.array([0.0, 20.0]))[0] for _ in range(4)] == [fidelity.FORWARD] * 4
    assert act(np.array([0.0, 20.0]))[0] != fidelity.FORWARD


def test_gap_is_in_joint_standard_errors():
    ours, theirs = np.array([1.0, 3.0]), np.array([0.0, 0.0, 6.0, 6.0])
    # Means 2 and 3; squared standard errors 2 / 2 and 12 / 4.
    assert fidelity.gap_in_errors(ours, theirs) == pytest.approx(-0.5)
