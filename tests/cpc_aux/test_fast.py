"""The compiled loss of linear predictions: who computes what, and that it equals the plain way."""

from typing import Any

import pytest
import torch

from cpc_aux import CPC, AuxConfig, make_aux
from cpc_aux.config import NEGATIVES
from cpc_aux.fast import FastCPC, infonce
from cpc_aux.fast.infonce import divide, pair_weights
from cpc_aux.infonce import mean_by_horizon, mean_over_horizons


def test_threads_share_the_pairs_equally_and_lose_no_horizon() -> None:
    num_anchors = [5] * 10 + [4] * 8 + [2] * 7 + [1] * 5
    for num_threads in (1, 2, 3, 7, 30, 40):
        parts = divide(num_anchors, num_threads)
        assert len(parts) == min(num_threads, 30)
        assert sorted(horizon for part in parts for horizon in part) == list(range(30))
        loads = [sum(num_anchors[horizon] for horizon in part) for part in parts]
        assert max(loads) <= sum(num_anchors) / num_threads + max(num_anchors)
        assert max(loads) - min(loads) <= (5 if num_threads > 7 else 2)


def test_weights_of_pairs_make_the_mean_of_means() -> None:
    torch.manual_seed(0)
    for rate in (0.0, 0.1, 0.5, 1.0):
        valid = torch.rand(4, 5, 3) < rate
        valid[2] = False
        values = torch.randn(4, 5, 3)
        num_pairs = valid.sum((1, 2))
        expected = mean_over_horizons(mean_by_horizon(values, valid, num_pairs), num_pairs)
        torch.testing.assert_close((pair_weights(valid, num_pairs) * values).sum(), expected)


def test_only_sizes_and_types_that_it_can_do_take_this_way() -> None:
    def fits(E: int, H: int, embedding: torch.Tensor, predictor: str = "linear") -> bool:
        return FastCPC(AuxConfig("cpc", 4, predictor=predictor), E, H, 2).fits(embedding)

    embedding = torch.zeros(3, 2, 16)
    assert fits(16, 32, embedding)
    assert not fits(16, 32, embedding, "gru")
    assert not fits(16, 32, embedding.double())
    assert not fits(16, 32, embedding.to("meta"))
    assert not fits(20, 20, torch.zeros(3, 2, 20))
    assert not fits(16, 20, embedding)


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_the_fast_form_is_taken_where_it_is_exact(negatives: str) -> None:
    config = AuxConfig("cpc", 5, negatives=negatives)
    torch.manual_seed(1)
    head = make_aux(config, 32, 16, 2)
    after = torch.get_rng_state()
    assert isinstance(head, FastCPC)
    assert head.pass_name == "fast"
    torch.manual_seed(1)
    plain = make_aux(config, 32, 16, 2, fast=False)
    assert type(plain) is CPC
    assert torch.equal(after, torch.get_rng_state()), "the comparison draws from its own numbers"
    assert torch.equal(plain.maps, head.maps)


@pytest.mark.parametrize(
    ("place", "named"),
    [
        (9, "loss"),
        (10, "the gradient of the maps"),
        (11, "the gradient of the contexts"),
        (12, "the gradient of the embeddings"),
    ],
)
def test_a_broken_kernel_is_caught_at_the_start(
    place: int, named: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    score_horizons = infonce.score_horizons

    def spoil(*arguments: Any) -> None:
        score_horizons(*arguments)
        arguments[place][:] *= 1.01

    monkeypatch.setattr(infonce, "score_horizons", spoil)
    head = make_aux(AuxConfig("cpc", 5), 32, 16, 2)
    assert type(head) is CPC
    assert f"CPC runs in plain PyTorch: its fast form differs in {named}." in caplog.text


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize(
    ("T", "B", "E", "H", "K", "num_anchors", "num_threads"),
    [
        (11, 3, 16, 16, 4, None, 2),
        (11, 3, 32, 16, 4, 1, 5),  # a row at a time; more threads than horizons
        (31, 17, 16, 48, 5, 7, 1),  # candidates that fill vectors
        (70, 8, 16, 32, 20, None, 2),  # more groups and horizons than fit at once
        (40, 3, 256, 16, 12, 5, 2),  # scores so far apart that most probabilities are 0
    ],
)
def test_it_equals_the_plain_way_at_every_scale(
    negatives: str,
    T: int,
    B: int,
    E: int,
    H: int,
    K: int,
    num_anchors: int | None,
    num_threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A learner multiplies the loss; gradients follow any factor, also a second time."""
    torch.manual_seed(0)
    config = AuxConfig("cpc", K, negatives=negatives, anchors=num_anchors)
    head = FastCPC(config, E, H, 2, num_threads)
    assert head.pass_name == "fast"
    z, c = torch.randn(T + 1, B, E, requires_grad=True), torch.randn(T + 1, B, H)
    c.requires_grad_()
    arguments = (z, c, torch.zeros(T, B, dtype=torch.long), torch.rand(T + 1, B) < 0.1)
    loss, metrics = head(*arguments, torch.Generator().manual_seed(0))
    monkeypatch.setattr(FastCPC, "fits", lambda *_: False)
    plain, truth = head(*arguments, torch.Generator().manual_seed(0))

    torch.testing.assert_close(loss, plain)
    for name, value in metrics.items():
        torch.testing.assert_close(value, truth[name], equal_nan=True)
    leaves = (z, c, head.maps)
    for factor in (1.0, float(T * B), -0.3):
        ours, theirs = (
            torch.autograd.grad(factor * x, leaves, retain_graph=True) for x in (loss, plain)
        )
        for gradient, true_gradient in zip(ours, theirs, strict=True):
            assert (gradient - true_gradient).norm() <= 1e-5 * true_gradient.norm()
        assert ours[0].stride(2) == 1, "a row of the embedding's gradient lies together"


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_embeddings_and_contexts_may_lie_in_memory_by_environment(negatives: str) -> None:
    torch.manual_seed(0)
    T, B = 11, 3
    head = FastCPC(AuxConfig("cpc", 4, negatives=negatives, anchors=3), 16, 32, 2)
    z, c = torch.randn(T + 1, B, 16), torch.randn(T + 1, B, 32)
    rest = torch.zeros(T, B, dtype=torch.long), torch.zeros(T + 1, B, dtype=torch.bool)
    results = []
    for by_environment in (False, True):
        inputs = [x.transpose(0, 1).contiguous().transpose(0, 1) if by_environment else x.clone()
                  for x in (z, c)]  # fmt: skip
        assert all(x.is_contiguous() != by_environment for x in inputs)
        leaves = [x.requires_grad_() for x in inputs]
        loss, _ = head(*leaves, *rest, torch.Generator().manual_seed(0))
        results.append([loss, *torch.autograd.grad(loss, [*leaves, head.maps])])
    torch.testing.assert_close(*results)
