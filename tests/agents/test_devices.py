"""What a CPU is prepared for."""

import torch

from agents.devices import prepare_cpu


def test_on_a_gpu_products_keep_their_precision():
    """PyTorch has one setting for both; "medium" would round a GPU's to TF32."""
    torch.set_float32_matmul_precision("highest")
    prepare_cpu(torch.get_num_threads(), torch.device("cuda"))
    assert torch.get_float32_matmul_precision() == "highest"


def test_faster_products_are_exact():
    """Whichever backend was chosen, it multiplies in float32, not in bfloat16."""
    assert prepare_cpu(torch.get_num_threads()) in ("oneDNN", "PyTorch's default")
    a, b = torch.randn(2, 300, 300).unbind()
    error = ((a @ b).double() - a.double() @ b.double()).abs().max()
    assert error < 1e-3
