"""What a CPU is prepared for."""

import torch

from agents.devices import prepare_cpu


def test_faster_products_are_exact():
    """Whichever backend was chosen, it multiplies in float32, not in bfloat16."""
    assert prepare_cpu(torch.get_num_threads()) in ("oneDNN", "PyTorch's default")
    a, b = torch.randn(2, 300, 300).unbind()
    error = ((a @ b).double() - a.double() @ b.double()).abs().max()
    assert error < 1e-3
