"""What all agents of the comparison share: level, batch, unroll, and the network's sizes."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from envs.labsim.vector_env import LabsimVectorEnv

LEVEL = "room_watermaze"
HIDDEN_SIZE = 256
LEARNING_RATE = 4.8e-4
DISCOUNT = 0.99
ENTROPY_COST = 2.5e-4
VALUE_COST = 0.5


class Size(NamedTuple):
    """Sizes of a rollout, and the cores to use; those of the comparison by default."""

    threads: int
    num_envs: int = 32
    unroll_length: int = 100
    device: str = "cpu"  # of the networks; "cuda": ours, Stable-Baselines3's, Sample Factory's

    @property
    def steps(self) -> int:
        """Agent steps in a rollout."""
        return self.num_envs * self.unroll_length


class Trainer(NamedTuple):
    """One agent in training: `rollout` collects `Size.steps` agent steps and learns from them."""

    rollout: Callable[[], None]
    close: Callable[[], None]


class Peer(NamedTuple):
    """An agent that can be compared."""

    label: str
    memory: str  # what remembers, if anything
    needs: str | None  # what to install, beside this project
    gradient_passes: int  # how often the gradient sees each sample
    build: Callable[[Size], Trainer]


def make_envs(size: Size) -> LabsimVectorEnv:
    """The level, its batch shared by `size.threads` threads; it keeps final observations."""
    return LabsimVectorEnv(
        LEVEL,
        size.num_envs,
        stagger=True,
        num_threads=size.threads,
        keep_final_obs=True,
    )


class ImpalaShallow(nn.Module):
    """IMPALA's shallow encoder as one writes it in plain PyTorch.

    [..., C, H, W] in 0..1 -> [..., 256] float32; layers as in `agents.encoders.ShallowEncoder`.
    """

    def __init__(self, channels: int = 3, height: int = 72, width: int = 96) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 16, 8, stride=4),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, stride=2),
            nn.ReLU(),
            nn.Flatten(),
        )
        with torch.no_grad():
            size = self.convolutions(torch.zeros(1, channels, height, width)).shape[1]
        self.fc = nn.Sequential(nn.Linear(size, HIDDEN_SIZE), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        """Encode."""
        batch = images.shape[:-3]
        return self.fc(self.convolutions(images.reshape(-1, *images.shape[-3:]))).view(*batch, -1)
