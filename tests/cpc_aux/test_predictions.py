"""Predictions in blocks: which pairs they hold, and gradients laid out for what comes next."""

import pytest
import torch
from torch import Tensor

from cpc_aux import CPC, AuxConfig, predictions
from cpc_aux.config import NEGATIVES
from cpc_aux.predictions import linear_predictions, make_blocks

T, B, E, H, K, A = 11, 3, 5, 7, 4, 5


def test_blocks_leave_out_pairs_beyond_the_rollout(monkeypatch: pytest.MonkeyPatch) -> None:
    anchors = torch.tensor([0, 2, 7, 9, 10])
    monkeypatch.setattr(predictions, "PAIRS_PER_BLOCK", 1)
    blocks = make_blocks(anchors, T, K, B)
    assert [block.horizons for block in blocks] == [slice(k, k + 1) for k in range(K)]
    assert [block.anchors.stop for block in blocks] == [5, 4, 3, 3]
    monkeypatch.setattr(predictions, "PAIRS_PER_BLOCK", 3 * A * B)
    assert make_blocks(anchors, T, K, B) == [
        (slice(0, 3), slice(0, 5)),
        (slice(3, 4), slice(0, 3)),
    ]
    monkeypatch.setattr(predictions, "PAIRS_PER_BLOCK", 1)
    late = make_blocks(torch.tensor([T - 1]), T, K, B)
    assert [block.anchors.stop for block in late] == [1] * K, "no block is empty"
    (only,) = make_blocks(anchors.to("meta"), T, K, B)
    assert only == (slice(0, K), slice(0, A))


def test_predictions_and_gradients_of_blocks_equal_the_plain_product(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    anchors = torch.tensor([0, 2, 7, 9, 10])
    start = torch.randn(A, B, H, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(H, K, E, dtype=torch.float64)
    maps = memory.transpose(0, 1).requires_grad_()  # [K, H, E]
    monkeypatch.setattr(predictions, "PAIRS_PER_BLOCK", 3 * A * B)
    truth = torch.einsum("abh,khe->kabe", start, maps)
    ours, theirs = [], []
    for block, part in linear_predictions(start, maps, make_blocks(anchors, T, K, B)):
        torch.testing.assert_close(part, truth[block])
        ours.append(part.square().sum())
        theirs.append(truth[block].square().sum())
    assert len(ours) == 2
    expected = torch.autograd.grad(torch.stack(theirs).sum(), (start, maps))
    for _ in range(2):  # the gradient of the maps is put together anew each time
        gradients = torch.autograd.grad(torch.stack(ours).sum(), (start, maps), retain_graph=True)
        for gradient, true_gradient in zip(gradients, expected, strict=True):
            torch.testing.assert_close(gradient, true_gradient)
    assert gradients[1].stride() == maps.stride()


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_gradient_of_the_embedding_keeps_a_row_together_in_memory(negatives: str) -> None:
    def embedding_gradient() -> Tensor:
        head = CPC(AuxConfig("cpc", K, negatives=negatives), E, H, 2)
        z, c = torch.randn(T + 1, B, E, requires_grad=True), torch.randn(T + 1, B, H)
        is_first = torch.zeros(T + 1, B, dtype=torch.bool)
        action = torch.zeros(T, B, dtype=torch.long)
        loss, _ = head(z, c, action, is_first, torch.Generator())
        (gradient,) = torch.autograd.grad(loss, z)
        return gradient

    assert embedding_gradient().stride(2) == 1
