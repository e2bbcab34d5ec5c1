"""Layers for a few rows equal PyTorch's, whatever the sizes."""

import numpy as np
import pytest
import torch

from compiled.blocks import transpose
from compiled.cache import kernel
from compiled.products import Layer, exp, multiply


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 37])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 16), (53, 48), (20, 13)])
def test_layer_equals_pytorchs(rows, inputs, outputs):
    generator = torch.Generator().manual_seed(rows)
    weight, bias = torch.randn(outputs, inputs, generator=generator), torch.randn(outputs)
    x = torch.randn(rows, inputs, generator=generator)
    around = torch.full((rows + 2, outputs), torch.nan)  # nothing beside it is touched
    Layer(weight, bias)(x, around[1:-1])
    expected = (x.double() @ weight.double().T + bias).float()
    torch.testing.assert_close(around[1:-1], expected, rtol=1e-5, atol=1e-5)
    assert around[[0, -1]].isnan().all()


@pytest.mark.parametrize("count", [16, 32, 48, 64])
@pytest.mark.parametrize("step", [5, 1024])
def test_products_add_to_what_is_there(count, step):
    """Row by row, also where rows share few places in a cache."""
    out, x, y = torch.randn(count, 32), torch.randn(count, step), torch.randn(5, 16)
    expected = out.clone()
    expected[:, 16:] += x[:, :5] @ y
    flat = out.numpy().reshape(-1)
    rows, columns = x.numpy().reshape(-1), y.numpy().reshape(-1)
    multiply(flat, 16, 32, count, flat, 16, 32, rows, step, 1, columns, 0, 16, 5)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


def test_transpose_writes_its_square_alone():
    @kernel
    def run(x, at, step, out, o, out_step):
        transpose(x, at, step, out, o, out_step)

    x, out = np.arange(16 * 20 + 3, dtype=np.float32), np.full(16 * 18 + 5, np.nan, np.float32)
    run(x, 3, 20, out, 5, 18)
    square = x[3:].reshape(16, 20)[:, :16]
    np.testing.assert_array_equal(out[5:].reshape(16, 18)[:, :16], square.T)
    assert np.isnan(out[5:].reshape(16, 18)[:, 16:]).all()
    assert np.isnan(out[:5]).all()


@pytest.mark.parametrize("inputs", [53, 54])  # an odd number makes no pairs
def test_layer_in_bfloat16_rounds_its_factors(inputs):
    weight, bias, x = torch.randn(32, inputs), torch.randn(32), torch.randn(9, inputs)
    out = torch.empty(9, 32)
    Layer(weight, bias, torch.bfloat16)(x, out)
    exact = x @ weight.T + bias
    assert 0 < (out - exact).norm() < 0.02 * exact.norm()


def test_exp_equals_numpys_and_keeps_nan():
    x = np.concatenate([np.linspace(-87, 87, 100_001), [np.nan]]).astype(np.float32)
    ours = np.array([exp(value) for value in x])
    np.testing.assert_allclose(ours, np.exp(x.astype(np.float64)), rtol=2e-7)
    assert exp(np.float32(-1000)) == exp(np.float32(-87))


def test_layer_does_not_follow_its_weights():
    weight, bias, x = torch.randn(16, 5), torch.zeros(16), torch.randn(8, 5)
    layer, before, after = Layer(weight, bias), torch.empty(8, 16), torch.empty(8, 16)
    layer(x, before)
    weight += 1.0
    layer(x, after)
    assert torch.equal(before, after)
