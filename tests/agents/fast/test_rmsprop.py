"""The optimiser equals Stable-Baselines3's, and with bias correction Adam without momentum."""

import copy

import pytest
import torch
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike

from agents.a2c import RMSprop
from agents.fast.rmsprop import OnePassRMSprop


def make(seed: int = 0) -> list[torch.nn.Parameter]:
    """Parameters of every layout that the learner has."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (16, 3, 8, 8), (33, 21), (7, 5, 6), (1,), (19,)
    conv, linear, maps, scalar, unused = (torch.randn(s, generator=generator) for s in shapes)
    layouts = (
        conv.contiguous(memory_format=torch.channels_last),
        linear.t().contiguous().t(),
        maps.transpose(0, 1).contiguous().transpose(0, 1),
        scalar,
        unused,
    )
    return [torch.nn.Parameter(x) for x in layouts]


def optimiser(cls, parameters, eps, **options):
    groups = [{"params": parameters[:2]}, {"params": parameters[2:]}]
    return cls(groups, lr=0.1, alpha=0.9, eps=eps, **options)


def step(optimizers, seed: int, contiguous: bool) -> None:
    for one in optimizers:
        generator = torch.Generator().manual_seed(seed)
        for i, group in enumerate(one.param_groups):
            group["lr"] = 0.01 * (seed + i + 1)
            for p in group["params"]:
                if p.shape == (19,):
                    continue  # has no gradient
                gradient = torch.randn(p.shape, generator=generator) * 10.0**-seed
                p.grad = gradient if contiguous else torch.empty_like(p).copy_(gradient)
        one.step()


@pytest.mark.parametrize("eps", [1e-5, 0.1])
@pytest.mark.parametrize("contiguous", [False, True])
@pytest.mark.parametrize("rmsprop", [RMSprop, OnePassRMSprop])
def test_steps_equal_the_originals(eps, contiguous, rmsprop):
    ours, theirs = make(), make()
    optimizers = optimiser(rmsprop, ours, eps), optimiser(RMSpropTFLike, theirs, eps)
    for seed in range(4):
        step(optimizers, seed, contiguous)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
            assert a.stride() == b.stride()
    assert torch.equal(ours[-1], make()[-1])
    states = (one.state_dict()["state"] for one in optimizers)
    for a, b in zip(*(state.values() for state in states), strict=True):
        assert a["step"] == b["step"] == 4
        torch.testing.assert_close(a["square_avg"], b["square_avg"], rtol=1e-6, atol=0)


@pytest.mark.parametrize("rmsprop", [RMSprop, OnePassRMSprop])
def test_bias_correction_is_adams(rmsprop):
    ours, theirs = make(), make()
    groups = [{"params": theirs[:2]}, {"params": theirs[2:]}]
    adam = torch.optim.Adam(groups, lr=0.1, betas=(0.0, 0.9), eps=0.0)
    one = optimiser(rmsprop, ours, 0.0, bias_correction=True)
    for seed in range(4):
        step([one, adam], seed, contiguous=False)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_parameters_with_gaps_in_memory_are_all_trained():
    """Some of the columns of a matrix, and every second number of a vector."""
    ours = [torch.nn.Parameter(torch.eye(6)[:, :3]), torch.nn.Parameter(torch.arange(14.0)[::2])]
    theirs = [torch.nn.Parameter(p.detach().clone().contiguous()) for p in ours]
    assert not any(p.is_contiguous() for p in ours)
    settings = {"lr": 0.1, "alpha": 0.9, "eps": 1e-5}
    optimizers = OnePassRMSprop(ours, **settings), RMSprop(theirs, **settings)
    for _ in range(2):
        for one, parameters in zip(optimizers, (ours, theirs), strict=True):
            for p in parameters:
                p.grad = torch.ones_like(p) * 0.3
            one.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q)


@pytest.mark.parametrize("bias_correction", [False, True])
def test_a_loaded_state_goes_on_bit_for_bit(bias_correction):
    first = make()
    one = optimiser(OnePassRMSprop, first, 1e-5, bias_correction=bias_correction)
    step([one], 1, contiguous=False)
    state = copy.deepcopy(one.state_dict())
    for entry in state["state"].values():
        entry["square_avg"] = entry["square_avg"].contiguous()  # a file need not keep layouts
    second = [torch.nn.Parameter(p.detach().clone()) for p in first]
    another = optimiser(OnePassRMSprop, second, 1e-5)
    another.load_state_dict(state)
    step([one, another], 2, contiguous=False)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
