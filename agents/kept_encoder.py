"""The shallow network on a CPU: acting keeps what learning needs of it.

Parameters stay as they are while a rollout is collected. So the embeddings that acting computed are
those that learning needs, and what the convolutions returned then is what their backward pass
needs: learning has no forward pass.

The two convolutions are the larger half of a training step. Here an image stays in the nearest
cache from its bytes to the second one's output, where general libraries convert, pad or write anew
each layer's input. `ShallowEncoder.forward` and PyTorch's gradients of it are the truth in the
tests.
"""

from typing import Self

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from agents.encoders import ShallowEncoder
from agents.networks import IMAGES_PER_CHUNK
from agents.simd import LANES, SUPPORTED, WIDE, Layer, block_product

# Results per block: so many that all registers are in use, as a product waits four cycles for the
# one before it.
_ROW1 = 12 if WIDE else 6  # neighbours in a row of the first layer, 16 channels each
_ROW2 = 5 if WIDE else 2  # .. of the second layer, 32 channels each
_TAPS2 = 8 if WIDE else 2  # inputs of the second layer's kernel, 32 channels each


class KeptShallowEncoder:
    """The shallow encoder over the T+1 rows of a rollout of B environments: by row, then backward.

    Args:
        encoder: on the CPU.
        T, B: a rollout's steps and environments.
        dtype: what the fully connected layer's products are made in; the rest is float32.
    """

    def __init__(
        self, encoder: ShallowEncoder, T: int, B: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self._encoder, self._dtype = encoder, dtype
        (h1, w1, c1), (h2, w2, c2) = encoder.output_shapes
        self._out1 = torch.zeros(T + 1, B, h1, w1 * c1)  # of the first convolution, rectified
        self._out2 = torch.zeros(T + 1, B, h2, w2 * c2)  # of the second one

    @staticmethod
    def fits(encoder: torch.nn.Module) -> bool:
        """Whether it is a shallow encoder of images, and this processor one, that this can run."""
        if not SUPPORTED or not isinstance(encoder, ShallowEncoder):
            return False
        (_, width1, _), (_, width2, _) = encoder.output_shapes
        return encoder.conv1.in_channels == 3 and width1 >= _ROW1 and width2 >= _ROW2

    def columns(self, start: int, stop: int) -> Self:
        """View of environments start..stop-1."""
        part = object.__new__(type(self))
        part._encoder, part._dtype = self._encoder, self._dtype
        part._out1, part._out2 = self._out1[:, start:stop], self._out2[:, start:stop]
        return part

    def begin(self) -> None:
        """Open a rollout, with the parameters as they are now."""
        conv1, conv2, fc = self._encoder.conv1, self._encoder.conv2, self._encoder.fc
        assert conv1.bias is not None
        assert conv2.bias is not None
        # Kernels as [height, width, inputs, outputs]: the outputs lie side by side.
        self._kernel1, self._kernel2 = (
            _flat(conv.weight.detach().permute(2, 3, 1, 0)) for conv in (conv1, conv2)
        )
        self._bias1, self._bias2 = conv1.bias.detach().numpy(), conv2.bias.detach().numpy()
        self._fc = Layer(fc.weight.detach(), fc.bias.detach(), self._dtype)

    def step(self, t: int, images: NDArray[np.uint8], embedding: Tensor) -> None:
        """Embed row t, images [B, H, W, 3], and write the embedding [B, E]."""
        out1, out2 = self._out1[t], self._out2[t]
        _forward(
            _lines(images), self._kernel1, self._bias1, self._kernel2, self._bias2,
            out1.numpy(), out2.numpy(),
        )  # fmt: skip
        self._fc(out2.flatten(1), embedding)
        embedding.clamp_min_(0)

    def gradients(self, images: Tensor, embedding: Tensor, grad: Tensor) -> list[Tensor]:
        """Gradients of the encoder's parameters, in their order.

        Args:
            images: [T+1, B, H, W, 3] uint8, embedded row by row with the parameters of now.
            embedding: [T+1, B, E], what came of it.
            grad: [T+1, B, E], the gradient of the embedding.
        """
        encoder = self._encoder
        of_kernel1, of_bias1 = torch.zeros(8, 8, 3, 16), torch.zeros(16)
        of_kernel2, of_bias2 = torch.zeros(4, 4, 16, 32), torch.zeros(32)
        of_convolutions = of_kernel1, of_bias1, of_kernel2, of_bias2
        of_fc = torch.zeros_like(encoder.fc.weight)
        fc_weight = encoder.fc.weight.detach().to(self._dtype)
        # Input (2a+y, 2b+x) contributes to output (a-i, b-j) through kernel[2i+y, 2j+x].
        kernel = encoder.conv2.weight.detach().unflatten(3, (2, 2)).unflatten(2, (2, 2))
        to_inputs = _flat(kernel.flip(2, 4).permute(3, 5, 2, 4, 0, 1))  # [y, x, i, j, 32, 16]
        grad = grad.flatten(0, 1).masked_fill(embedding.flatten(0, 1) <= 0, 0.0)  # [N, E]
        of_fc_bias = grad.sum(0)
        rows = [x.flatten(0, 1) for x in (images, self._out1, self._out2)]
        chunks = zip(*(x.split(IMAGES_PER_CHUNK) for x in (grad, *rows)), strict=True)
        for g, x, out1, out2 in chunks:
            flat, g = out2.flatten(1), g.to(self._dtype)
            if self._dtype == torch.float32:
                of_fc.addmm_(g.T, flat)
            else:
                of_fc += g.T @ flat.to(self._dtype)
            grad2 = torch.ops.aten.threshold_backward((g @ fc_weight).float(), flat, 0)
            # Sums of a chunk's own, added to the others': smaller numbers, smaller errors.
            parts = [torch.zeros_like(total) for total in of_convolutions]
            kernel1, bias1, kernel2, bias2 = (_flat(part) for part in parts)
            _backward(
                _lines(x.numpy()), out1.numpy(), grad2.view_as(out2).numpy(), to_inputs,
                kernel1, bias1, kernel2, bias2,
            )  # fmt: skip
            for total, part in zip(of_convolutions, parts, strict=True):
                total += part
        return [
            of_kernel1.permute(3, 2, 0, 1),
            of_bias1,
            of_kernel2.permute(3, 2, 0, 1),
            of_bias2,
            of_fc,
            of_fc_bias,
        ]


def _flat(x: Tensor) -> NDArray[np.float32]:
    return x.reshape(-1).numpy()


def _lines(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[N, H, W, 3] as [N, H, W*3]."""
    return images.reshape(*images.shape[:2], -1)


_row1 = block_product(_ROW1, 1)
_row2 = block_product(_ROW2, 2)
_taps2 = block_product(_TAPS2, 2)
_sum1 = block_product(1, 1)
_sum2 = block_product(1, 2)


@njit(nogil=True, cache=True)
def _scale(image, pixels):  # type: ignore[no-untyped-def]
    """Write the bytes of an image [H, W*3] as floats in 0..1."""
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            pixels[y, x] = np.float32(image[y, x]) * np.float32(1 / 255)


@njit(nogil=True, cache=True)
def _rectify(row):  # type: ignore[no-untyped-def]
    for k in range(len(row)):
        row[k] = max(row[k], np.float32(0))


@njit(nogil=True, cache=True)
def _forward(images, weight1, bias1, weight2, bias2, out1, out2):  # type: ignore[no-untyped-def]
    """Both convolutions; images [N, H, W*3], outputs [N, h, w*c], weights and biases flat."""
    count, height, line = images.shape
    height1, line1 = out1.shape[1:]
    height2, line2 = out2.shape[1:]
    pixels = np.empty((height, line), np.float32)
    x, x1, x2 = pixels.reshape(-1), out1.reshape(-1), out2.reshape(-1)
    for n in range(count):
        _scale(images[n], pixels)
        for i in range(height1):
            row = (n * height1 + i) * line1
            for group in range(0, line1 // 16, _ROW1):
                j = min(group, line1 // 16 - _ROW1)  # the last group may overlap the one before
                _row1(x1, row + j * 16, 16, bias1, 0, 0,
                      x, 4 * (i * line + j * 3), 12, line, 1,
                      weight1, 0, 24 * 16, 8, 24)  # fmt: skip
            _rectify(out1[n, i])
        for i in range(height2):
            row = (n * height2 + i) * line2
            for group in range(0, line2 // 32, _ROW2):
                j = min(group, line2 // 32 - _ROW2)
                _row2(x2, row + j * 32, 32, bias2, 0, 0,
                      x1, (n * height1 + 2 * i) * line1 + 2 * j * 16, 32, line1, 1,
                      weight2, 0, 64 * 32, 4, 64)  # fmt: skip
            _rectify(out2[n, i])


@njit(nogil=True, cache=True)
def _backward(images, out1, grad2, to_inputs, of_weight1, of_bias1, of_weight2, of_bias2):  # type: ignore[no-untyped-def]
    """Their gradients; shapes as for `_forward`, grad2 as out2. Adds to the last four."""
    count, height, line = images.shape
    height1, line1 = out1.shape[1:]
    height2, line2 = grad2.shape[1:]
    width1 = line1 // 16
    # A gradient row of the first layer has room for two full groups, of even and of odd columns.
    half = max((width1 + 1) // 2, _ROW1)
    pixels = np.empty((height, line), np.float32)
    grad1 = np.empty((height1, 2 * half * 16), np.float32)
    framed = np.zeros(((height1 + 1) // 2 + 1, (half + 1) * 32), np.float32)  # grad2 in zeros
    x, x1, g1 = pixels.reshape(-1), out1.reshape(-1), grad1.reshape(-1)
    g2, frame, frame_line = grad2.reshape(-1), framed.reshape(-1), framed.shape[1]
    zeros, one = np.zeros(LANES, np.float32), np.ones(1, np.float32)
    for n in range(count):
        first1, first2 = n * height1 * line1, n * height2 * line2
        # The second layer's kernel and bias: sums over its outputs.
        for ky in range(4):
            for tap in range(0, 64, _TAPS2):
                to = (ky * 64 + tap) * 32
                _taps2(of_weight2, to, 32, of_weight2, to, 32,
                       x1, first1 + ky * line1 + tap, 1, 2 * line1, 32,
                       g2, first2, line2, height2, line2 // 32)  # fmt: skip
        _sum2(of_bias2, 0, 0, of_bias2, 0, 0, one, 0, 0, 0, 0,
              g2, first2, line2, height2, line2 // 32)  # fmt: skip
        # Its input: 2x2 outputs see it, through a part of the kernel that depends on whether its
        # row and column are even.
        for i in range(height2):
            for k in range(line2):
                framed[i + 1, 32 + k] = grad2[n, i, k]
        for y in range(height1):
            for odd in range(2):
                for group in range(0, half, _ROW1):
                    j = min(group, half - _ROW1)
                    _row1(g1, ((y * half + j) * 2 + odd) * 16, 32, zeros, 0, 0,
                          frame, (y // 2) * frame_line + j * 32, 32, frame_line, 1,
                          to_inputs, ((y % 2) * 2 + odd) * 128 * 16, 64 * 16, 2, 64)  # fmt: skip
            for k in range(line1):
                if out1[n, y, k] <= 0:
                    grad1[y, k] = 0
        # The first layer's kernel and bias.
        _scale(images[n], pixels)
        for ky in range(8):
            for tap in range(0, 24, _ROW1):
                to = (ky * 24 + tap) * 16
                _row1(of_weight1, to, 16, of_weight1, to, 16,
                      x, ky * line + tap, 1, 4 * line, 12,
                      g1, 0, 2 * half * 16, height1, width1)  # fmt: skip
        _sum1(of_bias1, 0, 0, of_bias1, 0, 0, one, 0, 0, 0, 0,
              g1, 0, 2 * half * 16, height1, width1)  # fmt: skip
