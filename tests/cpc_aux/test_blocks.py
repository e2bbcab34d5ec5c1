"""Blocks of horizons: which pairs they hold, and that they equal the plain way."""

import pytest
import torch

from cpc_aux import CPC, AuxConfig, blocks
from cpc_aux.blocks import _divide, make_blocks
from cpc_aux.config import NEGATIVES
from cpc_aux.infonce import (
    draw_anchors,
    infonce,
    mean_by_horizon,
    mean_over_horizons,
    pair_weights,
    valid_pairs,
)

T, B, E, H, K, A = 11, 3, 5, 7, 4, 5


def test_blocks_leave_out_pairs_beyond_the_rollout(monkeypatch: pytest.MonkeyPatch) -> None:
    anchors = torch.tensor([0, 2, 7, 9, 10])
    monkeypatch.setattr(blocks, "PAIRS_PER_BLOCK", 1)
    ones = make_blocks(anchors, T, K, B, 1)
    assert [block.horizons for block in ones] == [slice(k, k + 1) for k in range(K)]
    assert [block.anchors.stop for block in ones] == [5, 4, 3, 3]
    late = make_blocks(torch.tensor([T - 1]), T, K, B, 1)
    assert [block.anchors.stop for block in late] == [1] * K, "no block is empty"
    monkeypatch.setattr(blocks, "PAIRS_PER_BLOCK", 3 * A * B)
    threes = [(slice(0, 3), slice(0, 5)), (slice(3, 4), slice(0, 3))]
    assert make_blocks(anchors, T, K, B, 1) == threes
    monkeypatch.setattr(blocks, "PAIRS_PER_BLOCK", 1_000_000)
    assert make_blocks(anchors, T, K, B, 1) == [(slice(0, K), slice(0, A))]
    assert [block.horizons.stop for block in make_blocks(anchors, T, K, B, 3)] == [2, 4]


def test_threads_share_the_pairs_equally_and_lose_no_block() -> None:
    anchors = torch.arange(0, 40, 8)
    work = make_blocks(anchors, 40, 30, 4, 6)
    assert len(work) == 6
    for num_threads in (1, 2, 3, 6):
        parts = _divide(work, num_threads)
        assert sorted(block.horizons.start for part in parts for block in part) == [
            block.horizons.start for block in work
        ]
        assert all(parts)
    loads = [sum(5 * block.anchors.stop for block in part) for part in _divide(work, 2)]
    assert max(loads) < 1.3 * min(loads)


def test_weights_of_pairs_make_the_mean_of_means() -> None:
    torch.manual_seed(0)
    for rate in (0.0, 0.1, 0.5, 1.0):
        valid = torch.rand(K, A, B) < rate
        valid[2] = False
        values = torch.randn(K, A, B)
        expected = mean_over_horizons(mean_by_horizon(values, valid), valid)
        torch.testing.assert_close((pair_weights(valid) * values).sum(), expected)


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize(
    ("T", "size", "num_anchors"),
    # Sizes that the kernel of sequence negatives cannot do, and that it can: with a few rows, with
    # candidates that fill vectors, and with scores so far apart that most probabilities are 0.
    [(11, 5, None), (11, 32, 2), (11, 32, 1), (31, 48, None), (40, 256, 5)],
)
def test_blocks_equal_the_plain_way_at_every_scale(
    negatives: str,
    T: int,
    size: int,
    num_anchors: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A learner multiplies the loss; gradients follow any factor, also a second time."""
    monkeypatch.setattr(blocks, "PAIRS_PER_BLOCK", 1)  # several for each thread
    torch.manual_seed(0)
    config = AuxConfig("cpc", K, negatives=negatives, anchors=num_anchors)
    head = CPC(config, size, H, 2, num_threads=2)
    z, c = torch.randn(T + 1, B, size, requires_grad=True), torch.randn(T + 1, B, H)
    c.requires_grad_()
    is_first = torch.rand(T + 1, B) < 0.1
    action = torch.zeros(T, B, dtype=torch.long)
    anchors = draw_anchors(T, num_anchors, torch.Generator().manual_seed(0)).sort().values
    loss, metrics = head(z, c, action, is_first, torch.Generator().manual_seed(0))

    rows, valid = valid_pairs(is_first, anchors, K)
    logits, positive, _ = head.score(head._predict(c, action, anchors), z, rows, valid)
    pair_loss, correct = infonce(logits, positive)
    accuracy = metrics["accuracy_by_horizon"].nan_to_num()
    torch.testing.assert_close(accuracy, mean_by_horizon(correct, valid))
    plain = mean_over_horizons(mean_by_horizon(pair_loss, valid), valid)
    torch.testing.assert_close(loss, plain)
    leaves = (z, c, head.maps)
    for factor in (1.0, float(T * B), -0.3):
        ours, theirs = (
            torch.autograd.grad(factor * x, leaves, retain_graph=True) for x in (loss, plain)
        )
        for gradient, true_gradient in zip(ours, theirs, strict=True):
            assert (gradient - true_gradient).norm() <= 1e-5 * true_gradient.norm()
        assert ours[2].stride() == head.maps.stride()
        assert ours[0].stride(2) == 1, "a row of the embedding's gradient lies together"
