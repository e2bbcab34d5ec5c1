import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from cpc_aux.infonce import (
    draw_anchors,
    infonce,
    mean_by_horizon,
    mean_over_horizons,
    valid_pairs,
)

SMALLEST_NORMAL = torch.finfo(torch.float32).tiny


def random_rows(scale: float = 3.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = scale * torch.randn(5, 3, 11, generator=generator)
    return logits.requires_grad_(), torch.randint(11, (5, 3), generator=generator)


@pytest.mark.parametrize("scale", [1.0, 100.0])  # 100: most candidates are negligible
def test_infonce_is_the_cross_entropy_of_the_positive(scale: float) -> None:
    logits, positive = random_rows(scale)
    weights = torch.rand(5, 3, generator=torch.Generator().manual_seed(2))
    loss, correct = infonce(logits, positive)
    truth = F.cross_entropy(logits.flatten(0, 1), positive.flatten(), reduction="none").view(5, 3)
    torch.testing.assert_close(loss, truth)
    assert torch.equal(correct, (logits.argmax(-1) == positive).float())
    (gradient,) = torch.autograd.grad((weights * loss).sum(), logits)
    (true_gradient,) = torch.autograd.grad((weights * truth).sum(), logits)
    torch.testing.assert_close(gradient, true_gradient)


@pytest.mark.parametrize("num_candidates", [1, 2, 101])
@pytest.mark.parametrize("value", [0.0, 3.7, -1e4])
def test_equal_logits_give_exactly_log_n_and_chance(num_candidates: int, value: float) -> None:
    logits = torch.full((3, num_candidates), value)
    loss, correct = infonce(logits, torch.tensor([0, num_candidates // 2, num_candidates - 1]))
    assert torch.equal(loss, torch.tensor(float(num_candidates)).log().expand(3))
    assert torch.equal(correct, torch.tensor(1 / num_candidates).expand(3))


def test_separated_logits_give_zero_loss_and_full_accuracy() -> None:
    loss, correct = infonce(40 * torch.eye(7), torch.arange(7))
    assert loss.max() < 1e-6
    assert torch.equal(correct, torch.ones(7))


def test_candidates_that_tie_share_the_credit() -> None:
    logits = torch.tensor([[2.0, 2.0, 1.0, 2.0], [5.0, 5.0, 6.0, 0.0]])
    _, correct = infonce(logits, torch.tensor([1, 0]))
    torch.testing.assert_close(correct, torch.tensor([1 / 3, 0.0]))


@pytest.mark.parametrize("masked", [torch.finfo(torch.float32).min, -math.inf])
def test_a_masked_column_is_no_candidate_and_gets_no_gradient(masked: float) -> None:
    logits, positive = random_rows()
    positive = positive % 7
    mask = torch.arange(11) >= 7
    loss, correct = infonce(logits.masked_fill(mask, masked), positive)
    short_loss, short_correct = infonce(logits[..., :7], positive)
    torch.testing.assert_close(loss, short_loss)
    assert torch.equal(correct, short_correct)
    hidden = logits.detach().masked_fill(mask, masked).requires_grad_()
    (gradient,) = torch.autograd.grad(infonce(hidden, positive)[0].sum(), hidden)
    assert torch.equal(gradient[..., 7:], torch.zeros(5, 3, 4))


def test_a_positive_far_below_the_best_keeps_its_loss_and_gradient() -> None:
    logits = torch.tensor([[1000.0, 0.0, -5.0]], requires_grad=True)
    loss, _ = infonce(logits, torch.tensor([1]))
    assert loss.item() == 1000.0
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert torch.equal(gradient, torch.tensor([[1.0, -1.0, 0.0]]))


def test_no_gradient_is_a_denormal_number() -> None:
    logits = torch.linspace(0, -200, 2003).unsqueeze(0).requires_grad_()
    loss, _ = infonce(logits, torch.tensor([0]))
    (gradient,) = torch.autograd.grad(1e-6 * loss.sum(), logits)
    (naive,) = torch.autograd.grad(1e-6 * F.cross_entropy(logits, torch.tensor([0])), logits)
    denormal = lambda x: ((x != 0) & (x.abs() < SMALLEST_NORMAL)).any()  # noqa: E731
    assert denormal(naive)
    assert not denormal(gradient)
    torch.testing.assert_close(gradient, naive)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3)])
def test_rows_may_have_any_leading_shape_and_memory_order(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(7, *shape, generator=generator).movedim(0, -1)  # not contiguous
    positive = torch.randint(7, shape, generator=generator)
    loss, correct = infonce(logits, positive)
    flat_loss, flat_correct = infonce(logits.reshape(-1, 7), positive.reshape(-1))
    torch.testing.assert_close(loss, flat_loss.view(shape))
    assert torch.equal(correct, flat_correct.view(shape))


def test_anchors_are_distinct_steps_and_reproducible() -> None:
    first = draw_anchors(11, 5, torch.Generator().manual_seed(7))
    assert first.shape == (5,)
    assert len(set(first.tolist())) == 5
    assert set(first.tolist()) <= set(range(11))
    assert torch.equal(first, draw_anchors(11, 5, torch.Generator().manual_seed(7)))
    assert not torch.equal(first, draw_anchors(11, 5, torch.Generator().manual_seed(8)))


def test_anchors_advance_their_generator_and_leave_the_global_one_alone() -> None:
    generator = torch.Generator().manual_seed(7)
    before = torch.get_rng_state()
    assert not torch.equal(draw_anchors(101, 50, generator), draw_anchors(101, 50, generator))
    assert torch.equal(torch.get_rng_state(), before)


def test_every_step_is_drawn_equally_often() -> None:
    generator = torch.Generator().manual_seed(0)
    draws = torch.cat([draw_anchors(7, 3, generator) for _ in range(2000)])
    share = draws.bincount(minlength=7) / 2000  # each: mean 3/7, standard error 0.011
    assert (share - 3 / 7).abs().max() < 0.045


@pytest.mark.parametrize("num_anchors", [11, 1000, None])
def test_as_many_anchors_as_steps_are_all_of_them(num_anchors: int | None) -> None:
    anchors = draw_anchors(11, num_anchors, torch.Generator().manual_seed(7))
    assert sorted(anchors.tolist()) == list(range(11))


def test_all_anchors_draw_nothing_from_the_generator() -> None:
    generator = torch.Generator().manual_seed(7)
    before = generator.get_state()
    draw_anchors(11, None, generator)
    assert torch.equal(generator.get_state(), before)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), num_steps=st.integers(1, 13), horizon=st.integers(1, 15))
def test_a_pair_is_valid_if_no_episode_starts_on_its_way(
    data: st.DataObject, num_steps: int, horizon: int
) -> None:
    num_rows, num_envs = num_steps + 1, 3
    flags = data.draw(
        st.lists(st.booleans(), min_size=num_rows * num_envs, max_size=num_rows * num_envs)
    )
    is_first = torch.tensor(flags).view(num_rows, num_envs)
    anchors = torch.tensor(data.draw(st.permutations(range(num_steps))))[: (num_steps + 1) // 2]
    target_rows, valid = valid_pairs(is_first, anchors, horizon)
    assert target_rows.shape == (horizon, len(anchors))
    for k in range(1, horizon + 1):
        for i, t in enumerate(anchors.tolist()):
            assert target_rows[k - 1, i] == min(t + k, num_steps)
            for b in range(num_envs):
                crosses = any(is_first[row, b] for row in range(t + 1, min(t + k, num_steps) + 1))
                assert valid[k - 1, i, b] == (t + k <= num_steps and not crosses)


def test_means_count_valid_pairs_only() -> None:
    def means(values: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, float]:
        num_pairs = valid.sum((1, 2))
        by_horizon = mean_by_horizon(values, valid, num_pairs)
        return by_horizon, mean_over_horizons(by_horizon, num_pairs).item()

    values = torch.tensor([[[1.0, 2.0]], [[3.0, 5.0]], [[7.0, 9.0]]])  # [K=3, A=1, B=2]
    half = torch.tensor([[[True, False]], [[True, True]], [[False, False]]])
    by_horizon, mean = means(values, half)
    assert torch.equal(by_horizon, torch.tensor([1.0, 4.0, 0.0]))
    assert mean == 2.5  # the third k has no pair
    one = torch.zeros(3, 1, 2, dtype=torch.bool)
    one[1, 0, 1] = True
    assert means(values, one)[1] == 5.0
    every = torch.ones(3, 1, 2, dtype=torch.bool)
    assert torch.equal(means(values, every)[0], torch.tensor([1.5, 4.0, 8.0]))
    none = torch.zeros(3, 1, 2, dtype=torch.bool)
    assert means(values, none)[1] == 0.0
    garbage = values.masked_fill(~half, math.inf)
    assert torch.equal(means(garbage, half)[0], by_horizon)
