"""The shallow network on a CPU: acting keeps what learning needs of it.

Parameters stay as they are while a rollout is collected. So the embeddings that acting computed are
those that learning needs, and what the convolutions returned then is what their backward pass
needs: learning has no forward pass.

The two convolutions are the larger half of a training step: `convolutions` and `convolutions_bf16`
do them. `ShallowEncoder.forward` and PyTorch's gradients of it are the truth.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from agents.encoders import ShallowEncoder
from agents.fast import convolutions, convolutions_bf16
from agents.fast.stock import is_stock
from agents.passes import IMAGES_PER_CHUNK
from compiled.blocks import HAS_BFLOAT16, SUPPORTED
from compiled.products import Layer, as_array, lay_out


def fits(encoder: nn.Module, image_shape: Sequence[int], embedding_size: int) -> bool:
    """Whether processor, encoder, images [H, W, C] and embeddings are what the kernels expect."""
    if not SUPPORTED or not is_stock(encoder, ShallowEncoder) or len(image_shape) != 3:
        return False
    assert isinstance(encoder, ShallowEncoder)
    conv1, conv2 = encoder.conv1, encoder.conv2
    shapes = []
    height, width, channels = image_shape
    for layer, (inputs, outputs, size, stride) in ((conv1, (3, 16, 8, 4)), (conv2, (16, 32, 4, 2))):
        height, width = ((x - size) // stride + 1 for x in (height, width))
        shapes.append((height, width, outputs))
        same = (
            is_stock(layer, nn.Conv2d)
            and layer.bias is not None
            and layer.weight.shape == (outputs, inputs, size, size)
            and layer.stride == (stride, stride)
            and layer.padding == (0, 0)
            and layer.dilation == (1, 1)
        )
        if not same:
            return False
    return (
        is_stock(encoder.fc, nn.Linear)
        and encoder.fc.bias is not None
        and channels == 3
        and encoder.output_shapes == tuple(shapes)
        and encoder.fc.weight.shape == (embedding_size, shapes[1][0] * shapes[1][1] * 32)
        and shapes[0][1] >= convolutions.ROW1
        and shapes[1][1] >= convolutions.ROW2
    )


class KeptShallowEncoder:
    """The shallow encoder over the T+1 rows of a rollout of B environments: by row, then backward.

    Args:
        encoder: on the CPU, one that `fits`.
        T, B: a rollout's steps and environments.
        dtype: what products are made in. Processors without bfloat16 round the fully connected
            layer's factors alone to it.
    """

    def __init__(
        self, encoder: ShallowEncoder, T: int, B: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self._encoder, self._dtype = encoder, dtype
        rounds = dtype == torch.bfloat16 and HAS_BFLOAT16
        self._kept_dtype = torch.bfloat16 if rounds else torch.float32
        self._convolutions: ModuleType = convolutions_bf16 if rounds else convolutions
        (h1, w1, c1), (h2, w2, c2) = encoder.output_shapes
        self._keep(
            torch.zeros(T + 1, B, h1, w1 * c1, dtype=self._kept_dtype),
            torch.zeros(T + 1, B, h2, w2 * c2, dtype=self._kept_dtype),
        )

    def _keep(self, out1: Tensor, out2: Tensor) -> None:
        self._out1, self._out2 = out1, out2  # what the two convolutions returned, rectified
        # Views of each row [B, h, w*c], and of the second output's [B, h*w*c]. Made once: between
        # two kernels Python's caches are cold, and each operation on a row takes microseconds.
        self._rows = [
            (as_array(row1), as_array(row2), row2.flatten(1))
            for row1, row2 in zip(out1, out2, strict=True)
        ]

    def select_envs(self, start: int, stop: int) -> Self:
        """View of environments start..stop-1."""
        part = object.__new__(type(self))
        part.__dict__.update(self.__dict__)
        part._keep(self._out1[:, start:stop], self._out2[:, start:stop])
        return part

    def begin(self) -> None:
        """Open a rollout, with the parameters as they are now."""
        conv1, conv2, fc = self._encoder.conv1, self._encoder.conv2, self._encoder.fc
        assert conv1.bias is not None
        assert conv2.bias is not None
        # [height, outputs, width * inputs]. The first kernel scales pixels to 0..1.
        self._kernels = [
            lay_out(weight.detach().permute(2, 0, 3, 1).flatten(2), self._kept_dtype)
            for weight in (conv1.weight / 255, conv2.weight)
        ]
        self._biases = [bias.detach().numpy() for bias in (conv1.bias, conv2.bias)]
        self._fc = Layer(fc.weight.detach(), fc.bias.detach(), self._dtype)

    def step(self, t: int, images: NDArray[np.uint8], embedding: Tensor) -> None:
        """Embed row t, images [B, H, W, 3], and write the embedding [B, E]."""
        out1, out2, features = self._rows[t]
        (kernel1, kernel2), (bias1, bias2) = self._kernels, self._biases
        self._convolutions.forward(_lines(images), kernel1, bias1, kernel2, bias2, out1, out2)
        self._fc(features, embedding)
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
        fc_weight = encoder.fc.weight.detach().to(self._dtype)
        # Input (2a+y, 2b+x) contributes to output (a-i, b-j) through kernel[2i+y, 2j+x].
        kernel = encoder.conv2.weight.detach().unflatten(3, (2, 2)).unflatten(2, (2, 2))
        kernel = kernel.flip(2, 4).permute(3, 5, 2, 4, 1, 0)  # [y, x, i, j, 16, 32]
        to_inputs = lay_out(kernel, self._kept_dtype)
        grad = grad.flatten(0, 1).masked_fill(embedding.flatten(0, 1) <= 0, 0.0)  # [N, E]
        of_fc_bias = grad.sum(0)
        grad = grad.to(self._dtype)
        inputs = self._out2.view(len(grad), -1).to(self._dtype)
        of_fc = (inputs.T @ grad).T.float()  # laid out in memory as the weights
        rows = [x.flatten(0, 1) for x in (images, self._out1, self._out2)]
        chunks = zip(*(x.split(IMAGES_PER_CHUNK) for x in (grad, *rows)), strict=True)
        for g, x, out1, out2 in chunks:
            flat = out2.flatten(1)
            grad2 = torch.ops.aten.threshold_backward((g @ fc_weight).to(flat.dtype), flat, 0)
            # Sums of a chunk's own, added to the others': smaller numbers, smaller errors.
            parts = [torch.zeros_like(total) for total in of_convolutions]
            self._convolutions.backward(
                _lines(x.numpy()), as_array(out1), as_array(grad2.view_as(out2)), to_inputs,
                *(part.view(-1).numpy() for part in parts),
            )  # fmt: skip
            for total, part in zip(of_convolutions, parts, strict=True):
                total += part
        return [
            of_kernel1.permute(3, 2, 0, 1) / 255,
            of_bias1,
            of_kernel2.permute(3, 2, 0, 1),
            of_bias2,
            of_fc,
            of_fc_bias,
        ]


def _lines(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[N, H, W, 3] as [N, H, W*3]."""
    return images.reshape(*images.shape[:2], -1)
