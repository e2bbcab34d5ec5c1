"""Means over updates: what was not measured does not count, what is infinite shows."""

import math

import torch

from agents.running_means import RunningMeans


def test_nan_is_not_measured_and_infinity_is():
    means = RunningMeans()
    means.add(a=torch.tensor(3.0), b=torch.tensor([1.0, math.nan, -math.inf]))
    means.add(a=torch.tensor(math.nan), b=torch.tensor([2.0, 5.0, 7.0]))
    assert means.pop() == {"a": 3.0, "b": [1.5, 5.0, -math.inf]}
    means.add(a=torch.tensor(math.inf))
    assert means.pop() == {"a": math.inf}
    assert means.pop() == {}
