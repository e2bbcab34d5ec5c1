"""The A2C losses against slow, obvious ones, limit laws, and SB3."""

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.buffers import RolloutBuffer

from agents.a2c import A2CLoss, a2c_loss, lambda_returns, whole_loss

T, B, A = 5, 3, 7


def random_rollout(seed: int, T: int = T, B: int = B, A: int = A):
    g = torch.Generator().manual_seed(seed)
    ended = torch.rand(T, B, generator=g) < 0.3
    return {
        "logits": torch.randn(T + 1, B, A, generator=g),
        "value": torch.randn(T + 1, B, generator=g),
        "action": torch.randint(A, (T, B), generator=g),
        "reward": torch.randn(T, B, generator=g),
        "discount": torch.where(ended, 0.0, 0.97),
    }


def slow_lambda_return(reward, discount, value, lam, t, b):
    """The definition: a mixture of all n-step returns from (t, b), longest one last."""
    steps = len(reward) - t
    n_step, total, factor = [], 0.0, 1.0
    for i in range(steps):
        total += factor * float(reward[t + i, b])
        factor *= float(discount[t + i, b])
        n_step.append(total + factor * float(value[t + i + 1, b]))
    mixture = sum((1 - lam) * lam**i * n_step[i] for i in range(steps - 1))
    return mixture + lam ** (steps - 1) * n_step[-1]


@given(seed=st.integers(0, 10_000), lam=st.sampled_from([0.0, 0.3, 0.95, 1.0]))
def test_lambda_returns_equal_the_mixture_of_n_step_returns(seed, lam):
    r = random_rollout(seed)
    returns = lambda_returns(r["reward"], r["discount"], r["value"], lam)
    expected = [
        [slow_lambda_return(r["reward"], r["discount"], r["value"], lam, t, b) for b in range(B)]
        for t in range(T)
    ]
    np.testing.assert_allclose(returns, expected, rtol=1e-5, atol=1e-5)


def test_limits_of_the_returns():
    r = random_rollout(1)
    one_step = lambda_returns(r["reward"], r["discount"], r["value"], 0.0)
    torch.testing.assert_close(one_step, r["reward"] + r["discount"] * r["value"][1:])
    no_future = lambda_returns(r["reward"], torch.zeros(T, B), r["value"], 1.0)
    torch.testing.assert_close(no_future, r["reward"])
    endless = lambda_returns(
        torch.ones(T, B), torch.full((T, B), 0.9), torch.full((T + 1, B), 10.0), 1.0
    )
    torch.testing.assert_close(endless, torch.full((T, B), 10.0))  # 1 / (1 - 0.9) is a fixed point


def test_nothing_leaks_across_an_episode_end():
    r = random_rollout(2)
    r["discount"][2, 1] = 0.0
    before = lambda_returns(r["reward"], r["discount"], r["value"], 0.9)
    for name in ("reward", "value"):
        r[name][3:, 1] = 1e6  # the next episode
    after = lambda_returns(r["reward"], r["discount"], r["value"], 0.9)
    assert torch.equal(before[:3, 1], after[:3, 1])
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])


@pytest.mark.parametrize("normalize", [False, True])
def test_loss_and_gradient_equal_a_loop(normalize):
    r = random_rollout(3)
    logits, value = r["logits"].requires_grad_(), r["value"].requires_grad_()
    loss = a2c_loss(
        logits, value, r["action"], r["reward"], r["discount"],
        gae_lambda=0.9, value_cost=0.3, entropy_cost=0.07, normalize_advantages=normalize,
    )  # fmt: skip
    loss.total.backward()

    slow_logits, slow_value = logits.detach().clone(), value.detach().clone()
    slow_logits.requires_grad_(), slow_value.requires_grad_()
    args = (r["reward"], r["discount"], slow_value.detach(), 0.9)
    returns = torch.tensor([[slow_lambda_return(*args, t, b) for b in range(B)] for t in range(T)])
    advantages = returns - slow_value[:T].detach()
    if normalize:
        centred = advantages - advantages.mean()
        advantages = centred / centred.square().mean().sqrt()
    total = torch.zeros(())
    for t in range(T):
        for b in range(B):
            p = torch.softmax(slow_logits[t, b], 0)
            total = total - p[r["action"][t, b]].log() * advantages[t, b]
            total = total + 0.3 * 0.5 * (returns[t, b] - slow_value[t, b]) ** 2
            total = total + 0.07 * (p * p.log()).sum()
    total.backward()
    torch.testing.assert_close(loss.total, total, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logits.grad, slow_logits.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(value.grad, slow_value.grad, rtol=1e-4, atol=1e-5)
    assert not logits.grad[T].any(), "the bootstrap row has no action"
    assert not value.grad[T].any(), "the bootstrap value is a constant"


def test_entropy_of_a_uniform_policy_is_log_a():
    r = random_rollout(4)
    loss = a2c_loss(
        torch.zeros(T + 1, B, A), r["value"], r["action"], r["reward"], r["discount"],
        gae_lambda=1.0, value_cost=0.5, entropy_cost=0.0, normalize_advantages=False,
    )  # fmt: skip
    torch.testing.assert_close(loss.entropy, torch.tensor(float(np.log(A))))


@pytest.mark.parametrize(("perfect", "expected"), [(True, 1.0), (False, 0.0)])
def test_explained_variance(perfect, expected):
    reward = torch.arange(15.0).reshape(T, B)
    returns = lambda_returns(reward, torch.zeros(T, B), torch.zeros(T + 1, B), 1.0)
    value = torch.cat([returns if perfect else torch.full((T, B), 4.0), torch.zeros(1, B)])
    loss = a2c_loss(
        torch.zeros(T + 1, B, A), value, torch.zeros(T, B, dtype=torch.int64), reward,
        torch.zeros(T, B), gae_lambda=1.0, value_cost=0.5, entropy_cost=0.0,
        normalize_advantages=False,
    )  # fmt: skip
    assert loss.explained_variance.item() == pytest.approx(expected, abs=1e-6)


def test_losses_of_parts_make_that_of_the_whole():
    r = random_rollout(4)

    def loss_of(envs):
        return a2c_loss(
            *(r[name][:, envs] for name in ("logits", "value", "action", "reward", "discount")),
            gae_lambda=0.9, value_cost=0.5, entropy_cost=0.1, normalize_advantages=False,
        )  # fmt: skip

    first, rest, whole = loss_of(slice(0, 1)), loss_of(slice(1, B)), loss_of(slice(0, B))
    parts = A2CLoss(*(torch.stack(pair) for pair in zip(first, rest, strict=True)))
    joined = whole_loss(parts)
    for name, value in whole._asdict().items():
        torch.testing.assert_close(getattr(joined, name), value, msg=name)
    torch.testing.assert_close(joined.explained_variance, whole.explained_variance)


def test_returns_equal_those_of_stable_baselines3():
    gamma, lam = 0.97, 0.9
    r = random_rollout(5)
    ended = r["discount"] == 0
    spaces = gymnasium.spaces.Box(-1, 1, (2,)), gymnasium.spaces.Discrete(A)
    buffer = RolloutBuffer(T, *spaces, gae_lambda=lam, gamma=gamma, n_envs=B)
    starts = torch.cat([torch.zeros(1, B, dtype=torch.bool), ended])
    for t in range(T):
        buffer.add(
            np.zeros((B, 2)), np.zeros(B), r["reward"][t].numpy(), starts[t].numpy(),
            r["value"][t], torch.zeros(B),
        )  # fmt: skip
    buffer.compute_returns_and_advantage(r["value"][T], ended[-1].numpy())
    ours = lambda_returns(r["reward"], torch.where(ended, 0.0, gamma), r["value"], lam)
    np.testing.assert_allclose(ours, buffer.returns, rtol=1e-5, atol=1e-5)


WEIGHTS = {"gae_lambda": 0.9, "value_cost": 0.5, "entropy_cost": 0.01}


@pytest.mark.parametrize("normalize", [False, True])
def test_lost_rows_are_left_out_and_bootstrapped_before(normalize):
    """The truth: the two pieces as rollouts of their own, the first ending where it was lost."""
    r = random_rollout(7, T=11, B=1)
    lost = 4
    valid = torch.ones(11, 1, dtype=torch.bool)
    valid[lost] = False

    def piece(rows: slice, last: int):
        part = {name: x[rows] for name, x in r.items()}
        for name in ("logits", "value"):
            part[name] = r[name][rows.start : last + 1]
        return part

    before, after = piece(slice(0, lost), lost), piece(slice(lost + 1, 11), 11)
    for extreme in (0.0, 1e9):  # whatever stands in the lost row
        r["reward"][lost], r["discount"][lost] = extreme, extreme
        returns = lambda_returns(r["reward"], r["discount"], r["value"], 0.9, valid)
        for rows, part in ((slice(0, lost), before), (slice(lost + 1, 11), after)):
            expected = lambda_returns(part["reward"], part["discount"], part["value"], 0.9)
            torch.testing.assert_close(returns[rows], expected)
        logits, value = (r[name].clone().requires_grad_() for name in ("logits", "value"))
        rest = (r["action"], r["reward"], r["discount"])
        loss = a2c_loss(
            logits, value, *rest, **WEIGHTS, normalize_advantages=normalize, valid=valid
        )
        gradients = torch.autograd.grad(loss.total, (logits, value))
        assert all(not g[lost].any() for g in gradients)
        assert all(g[:lost].any() for g in gradients)
        assert all(x.isfinite() for x in loss)
        if not normalize:
            parts = [a2c_loss(**p, **WEIGHTS, normalize_advantages=False) for p in (before, after)]
            torch.testing.assert_close(loss.total, sum(p.total for p in parts))
            mean = (4 * parts[0].entropy + 6 * parts[1].entropy) / 10
            torch.testing.assert_close(loss.entropy, mean)


@pytest.mark.parametrize("normalize", [False, True])
def test_rows_that_are_all_valid_change_nothing(normalize):
    r = random_rollout(3)
    settings = {**WEIGHTS, "normalize_advantages": normalize}
    plain = a2c_loss(**r, **settings)
    for x, y in zip(plain, a2c_loss(**r, **settings, valid=torch.ones(T, B) > 0), strict=True):
        torch.testing.assert_close(x, y)
