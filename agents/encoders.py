"""Observation encoders: IMPALA's two convolutional networks (its figure 3), and one for vectors."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHALLOW_SIZE = 20  # pixels: smaller images leave nothing for the shallow net's second convolution


def _image_to_float(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """[N, H, W, C] uint8 -> [N, C, H, W] in 0..255, channels last in memory.

    bfloat16 holds whole numbers up to 256 exactly.
    """
    return images.permute(0, 3, 1, 2).to(dtype)


class ShallowEncoder(nn.Module):
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
        # [height, width, channels] of what each convolution returns
        self.output_shapes = tuple((*x.shape[2:], x.shape[1]) for x in (x1, x2))

    def forward(self, images: Tensor) -> Tensor:
        """Encode [N, H, W, C] uint8 images to [N, E]."""
        # Pixels are scaled to 0..1 through the small kernel, not through the large image.
        kind = images.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        x = _image_to_float(images, dtype)
        x = F.relu(F.conv2d(x, self.conv1.weight / 255, self.conv1.bias, stride=4))
        # [N, 16, (H-4)/4, (W-4)/4]: kernels stay inside the image
        x = F.relu(self.conv2(x))  # [N, 32, h, w], of 72 x 96 pixels 7 x 10
        return F.relu(self.fc(x.permute(0, 2, 3, 1).flatten(1)))  # [N, E]


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(relu(x)))), 3x3 convolutions that keep the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W]."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class DeepEncoder(nn.Module):
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


class MLPEncoder(nn.Module):
    """Two tanh layers for vector observations: [N, D] of any dtype -> [N, E] float32."""

    def __init__(self, shape: tuple[int, ...], embedding_size: int) -> None:
        super().__init__()
        (size,) = shape
        self.fc1 = nn.Linear(size, embedding_size)
        self.fc2 = nn.Linear(embedding_size, embedding_size)

    def forward(self, vectors: Tensor) -> Tensor:
        """Encode [N, D] vectors to [N, E]."""
        return torch.tanh(self.fc2(torch.tanh(self.fc1(vectors.float()))))


# By name, each made from (shape of an observation, embedding size): docs/change_the_agent.md.
ENCODER_CLASSES: dict[str, type[nn.Module]] = {
    "shallow": ShallowEncoder,
    "deep": DeepEncoder,
    "mlp": MLPEncoder,
}
