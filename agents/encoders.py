"""Observation encoders: IMPALA's two convolutional networks (its figure 3), and one for vectors."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

# (gradient, result, 0) -> the gradient where the rectifier's result is above 0, else 0: one pass
# over memory, where a mask and a product take three.
_rectifier_gradient = torch.ops.aten.threshold_backward


def _image_to_float(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """[N, H, W, C] uint8 -> [N, C, H, W] in 0..255, channels last in memory.

    bfloat16 holds whole numbers up to 256 exactly.
    """
    return images.permute(0, 3, 1, 2).to(dtype)


class Encoder(nn.Module):
    """Embeds observations [N, ...] as [N, E] float32.

    Parameters stay as they are while a rollout is collected. So the embeddings that acting
    computed are those that learning needs, and an encoder may keep more of that pass than its
    result: `kept_shapes` are the shapes, per observation, of what its `add_gradients` needs.
    """

    kept_shapes: tuple[tuple[int, ...], ...] = ()

    def encode_and_keep(self, obs: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """Encode [N, ...] to [N, E]; `kept`, each [N, *shape], receives the rest."""
        return self(obs)

    def add_gradients(
        self,
        totals: Sequence[Tensor],
        obs: Tensor,
        kept: Sequence[Tensor],
        embedding: Tensor,
        grad: Tensor,
    ) -> None:
        """Add the gradients of the parameters to `totals`, given that of the embedding.

        obs [N, ...] and embedding [N, E] are input and result of `encode_and_keep`, which filled
        `kept`; grad is [N, E]. This general version needs no result: it encodes once more.
        """
        with torch.enable_grad():
            again = self(obs)
        parts = torch.autograd.grad(again, list(self.parameters()), grad)
        for total, part in zip(totals, parts, strict=True):
            total += part


class ShallowEncoder(Encoder):
    """IMPALA's shallow network: convolutions 8x8/4 (16) and 4x4/2 (32), fully connected.

    Takes [N, H, W, C] uint8 images, returns [N, E] float32. No padding (VALID).
    """

    def __init__(self, shape: tuple[int, ...], embedding_size: int) -> None:
        super().__init__()
        height, width, channels = shape
        self.conv1 = nn.Conv2d(channels, 16, 8, stride=4)
        self.conv2 = nn.Conv2d(16, 32, 4, stride=2)
        with torch.no_grad():
            x1 = self.conv1(torch.zeros(1, channels, height, width))
            x2 = self.conv2(x1)
        self.fc = nn.Linear(x2.numel(), embedding_size)
        # What both convolutions return, after the rectifier and with the channels last.
        self.kept_shapes = tuple((*x.shape[2:], x.shape[1]) for x in (x1, x2))

    def forward(self, images: Tensor) -> Tensor:
        """Encode [N, H, W, C] uint8 images to [N, E]."""
        x = F.relu(self._first(images))  # [N, 16, H/4, W/4]
        x = F.relu(self.conv2(x))  # [N, 32, H/8, W/8]
        return F.relu(self.fc(x.permute(0, 2, 3, 1).flatten(1)))  # [N, E]

    def _first(self, images: Tensor) -> Tensor:
        # Pixels are scaled to 0..1 through the small kernel, not through the large image.
        kind = images.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        x = _image_to_float(images, dtype)
        return F.conv2d(x, self.conv1.weight / 255, self.conv1.bias, stride=4)

    def encode_and_keep(self, obs: Tensor, kept: Sequence[Tensor]) -> Tensor:
        """As `forward`, without a graph; what it would save is written to `kept`."""
        if not kept:
            return self(obs)
        x1, x2 = (x.permute(0, 3, 1, 2) for x in kept)
        torch.clamp_min(self._first(obs), 0, out=x1)
        torch.clamp_min(self.conv2(x1), 0, out=x2)
        return F.relu(self.fc(kept[1].flatten(1)))

    def add_gradients(
        self,
        totals: Sequence[Tensor],
        obs: Tensor,
        kept: Sequence[Tensor],
        embedding: Tensor,
        grad: Tensor,
    ) -> None:
        """As the general version, but without a second forward pass."""
        if not kept:
            return super().add_gradients(totals, obs, kept, embedding, grad)
        conv1_weight, conv1_bias, conv2_weight, conv2_bias, fc_weight, fc_bias = totals
        x1 = kept[0].permute(0, 3, 1, 2)  # [N, 16, H/4, W/4], channels last
        flat = kept[1].flatten(1)
        g = _rectifier_gradient(grad, embedding, 0)  # [N, E]
        fc_bias += g.sum(0)
        if flat.dtype == fc_weight.dtype:
            fc_weight.addmm_(g.T, flat)
        else:
            g = g.to(flat.dtype)
            fc_weight += g.T @ flat
        g = _rectifier_gradient(g @ self.fc.weight.to(g.dtype), flat, 0)
        g = g.view_as(kept[1]).permute(0, 3, 1, 2)  # [N, 32, H/8, W/8]
        conv2_bias += g.sum((0, 2, 3), dtype=conv2_bias.dtype)
        weight = self.conv2.weight.to(g.dtype)
        # Both gradients of conv2 at once; conv2d_weight and conv2d_input call this, too.
        g, of_weight, _ = torch.ops.aten.convolution_backward(
            g, x1, weight, None, [2, 2], [0, 0], [1, 1], False, [0, 0], 1, [True, True, False]
        )
        conv2_weight += of_weight
        g = _rectifier_gradient(g, x1, 0).float()  # [N, 16, H/4, W/4]
        conv1_bias += g.sum((0, 2, 3))
        # In float32 in any case: a kernel of three channels gains nothing from bfloat16.
        conv1_weight += conv2d_weight(_image_to_float(obs), conv1_weight.shape, g, stride=4) / 255


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(relu(x)))), 3x3 convolutions that keep the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W]."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class DeepEncoder(Encoder):
    """IMPALA's deep residual network: 15 convolutions in three sections of 16, 32, 32 channels.

    Takes [N, H, W, C] uint8 images, returns [N, E] float32.
    """

    def __init__(self, shape: tuple[int, ...], embedding_size: int) -> None:
        super().__init__()
        height, width, channels = shape
        sections: list[nn.Module] = []
        for out_channels in (16, 32, 32):
            sections += [
                nn.Conv2d(channels, out_channels, 3, padding=1),
                nn.MaxPool2d(3, stride=2, padding=1),
                ResidualBlock(out_channels),
                ResidualBlock(out_channels),
            ]
            channels = out_channels
            height, width = (height + 1) // 2, (width + 1) // 2
        self.sections = nn.Sequential(*sections)
        self.fc = nn.Linear(channels * height * width, embedding_size)

    def forward(self, images: Tensor) -> Tensor:
        """Encode [N, H, W, C] uint8 images to [N, E]."""
        x = F.relu(self.sections(_image_to_float(images) / 255))  # [N, 32, H/8, W/8]
        return F.relu(self.fc(x.permute(0, 2, 3, 1).flatten(1)))  # [N, E]


class MLPEncoder(Encoder):
    """Two tanh layers for vector observations: [N, D] of any dtype -> [N, E] float32."""

    def __init__(self, shape: tuple[int, ...], embedding_size: int) -> None:
        super().__init__()
        (size,) = shape
        self.fc1 = nn.Linear(size, embedding_size)
        self.fc2 = nn.Linear(embedding_size, embedding_size)

    def forward(self, vectors: Tensor) -> Tensor:
        """Encode [N, D] vectors to [N, E]."""
        return torch.tanh(self.fc2(torch.tanh(self.fc1(vectors.float()))))


ENCODER_CLASSES = {"shallow": ShallowEncoder, "deep": DeepEncoder, "mlp": MLPEncoder}
