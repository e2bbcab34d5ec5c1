"""The shallow encoder by rows and backward equals the module and PyTorch's gradients of it."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from agents.encoders import DeepEncoder, MLPEncoder, ShallowEncoder
from agents.fast.shallow_encoder import KeptShallowEncoder, fits
from compiled.blocks import HAS_BFLOAT16, SUPPORTED

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this processor has no fast convolutions")

T, B = 3, 5
# The project's images; a side of Atari's; sizes that leave rows and columns no kernel reaches.
SIZES = [(72, 96), (84, 84), (52, 61), (20, 55), (75, 103)]


def make(size: tuple[int, int], hidden: int = 32) -> tuple[ShallowEncoder, torch.Tensor]:
    torch.manual_seed(7)
    encoder = ShallowEncoder((*size, 3), hidden)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return encoder, torch.randint(256, (T + 1, B, *size, 3), dtype=torch.uint8)


def run(kept: KeptShallowEncoder, images: torch.Tensor, hidden: int = 32) -> torch.Tensor:
    embedding = torch.full((*images.shape[:2], hidden), torch.nan)
    kept.begin()
    for t, row in enumerate(images.numpy()):
        kept.step(t, row, embedding[t])
    return embedding


def rounded_encoder(encoder: ShallowEncoder, images: torch.Tensor) -> torch.Tensor:
    """The encoder with factors rounded to bfloat16, and the gradients that meet them likewise."""

    def rounded(x: torch.Tensor) -> torch.Tensor:
        return x.bfloat16().float()

    conv1, conv2, fc = encoder.conv1, encoder.conv2, encoder.fc
    x = images.permute(0, 3, 1, 2).float()
    x = F.relu(F.conv2d(x, rounded(conv1.weight / 255), conv1.bias, stride=4))
    x = F.relu(F.conv2d(rounded(x), rounded(conv2.weight), conv2.bias, stride=2))
    x = rounded(x).permute(0, 2, 3, 1).flatten(1)
    return F.relu(F.linear(x, rounded(fc.weight), fc.bias))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.01)], ids=str
)
def test_rows_and_gradients_equal_pytorchs(size, dtype, tolerance, monkeypatch):
    monkeypatch.setattr("agents.fast.shallow_encoder.IMAGES_PER_CHUNK", 7)
    encoder, images = make(size)
    assert fits(encoder, (*size, 3), 32)
    kept = KeptShallowEncoder(encoder, T, B, dtype)
    rounds = dtype == torch.bfloat16 and HAS_BFLOAT16
    module = partial(rounded_encoder, encoder) if rounds else encoder
    expected = module(images.flatten(0, 1)).unflatten(0, (T + 1, B))
    grad = torch.randn(T + 1, B, 32)
    for _ in range(2):  # the second pass must not see the first one's
        embedding = run(kept, images)
        # Rounded differently, a number near 0 may pass the rectifier or not.
        grad = grad.masked_fill((embedding > 0) != (expected > 0), 0.0)
        gradients = kept.gradients(images, embedding, grad)
    truth = torch.autograd.grad(expected, list(encoder.parameters()), grad)
    for ours, theirs in zip((embedding, *gradients), (expected.detach(), *truth), strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).norm() <= tolerance * theirs.norm()


def test_a_part_of_the_environments_fills_its_columns():
    encoder, images = make((72, 96))
    whole, parts = (KeptShallowEncoder(encoder, T, B) for _ in range(2))
    embedding = run(whole, images)
    for columns in (slice(0, 2), slice(2, B)):
        part = run(parts.select_envs(columns.start, columns.stop), images[:, columns].contiguous())
        torch.testing.assert_close(part, embedding[:, columns])
    grad = torch.randn(T + 1, B, 32)
    pairs = (k.gradients(images, embedding, grad) for k in (whole, parts))
    for a, b in zip(*pairs, strict=True):
        torch.testing.assert_close(a, b)


def test_other_encoders_and_images_are_left_to_pytorch():
    shape = (72, 96, 3)
    encoder = ShallowEncoder(shape, 32)
    assert fits(encoder, shape, 32)
    assert not fits(encoder, shape, 64), "embeddings of another width"
    assert not fits(encoder, (76, 96, 3), 32), "images of another size"
    assert not fits(DeepEncoder(shape, 32), shape, 32)
    assert not fits(MLPEncoder((5,), 32), (5,), 32)
    assert not fits(ShallowEncoder((72, 96, 4), 32), (72, 96, 4), 32)
    assert not fits(ShallowEncoder((72, 24, 3), 32), (72, 24, 3), 32), "too narrow for a block"
