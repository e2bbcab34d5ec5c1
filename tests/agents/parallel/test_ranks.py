"""What a rank knows without the others; two of them at work are in tests/test_torchrun.py."""

import os

import pytest

from agents.parallel.ranks import ALONE, Ranks, show_one_gpu
from agents.parallel.torchrun import code_after_signal


def test_ranks_part_the_environments():
    parts = [Ranks(number, 2).part(33) for number in range(2)]
    assert parts == [slice(0, 16), slice(16, 33)]
    assert ALONE.part(7) == slice(0, 7)
    with pytest.raises(ValueError, match=r"env\.num_envs is 2, but there are 3 ranks"):
        Ranks(0, 3).part(2)


@pytest.mark.parametrize(
    ("visible", "seen"), [(None, "2"), ("4,5,7", "7"), ("4,5", ""), ("GPU-a,GPU-b,GPU-c", "GPU-c")]
)
def test_a_rank_sees_the_gpu_of_its_number_on_the_machine(visible, seen, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    show_one_gpu(2)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


def test_torchrun_does_not_restart_what_a_signal_ended(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_MAX_RESTARTS", raising=False)
    assert code_after_signal(143) == 143
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert code_after_signal(143) == 0
