"""The network: observation encoder, LSTM core, policy and value heads (IMPALA, figure 3)."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import gymnasium
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from agents.config import NetworkConfig

# One forward and backward pass over about this many images stays in the processor's cache.
IMAGES_PER_CHUNK = 400


class CoreState(NamedTuple):
    """Memory of the LSTM: `hidden` and `cell`, each [B, H] float32."""

    hidden: Tensor
    cell: Tensor


class AgentOutput(NamedTuple):
    """What the network computes for T rows of B environments; all float32."""

    logits: Tensor  # [T, B, A] of the policy
    value: Tensor  # [T, B]
    embedding: Tensor  # [T, B, E] z_t, the encoder's output
    context: Tensor  # [T, B, H] c_t, the core's output


def _image_to_float(images: Tensor) -> Tensor:
    """[N, H, W, C] uint8 -> [N, C, H, W] float32 in 0..255, channels last in memory."""
    return images.permute(0, 3, 1, 2).float()


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
            size = self.conv2(self.conv1(torch.zeros(1, channels, height, width))).numel()
        self.fc = nn.Linear(size, embedding_size)

    def forward(self, images: Tensor) -> Tensor:
        """Encode [N, H, W, C] uint8 images to [N, E]."""
        # Pixels are scaled to 0..1 through the small kernel, not through the large image.
        x = F.conv2d(_image_to_float(images), self.conv1.weight / 255, self.conv1.bias, stride=4)
        x = F.relu(self.conv2(F.relu(x)))  # [N, 32, H', W']
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


ENCODER_CLASSES = {"shallow": ShallowEncoder, "deep": DeepEncoder, "mlp": MLPEncoder}


class Agent(nn.Module):
    """Encoder, LSTM core and heads. Acting and learning both call `unroll`; acting is T = 1.

    Raises ValueError if the encoder does not fit the observations (images [H, W, C] of uint8 for
    "shallow" and "deep", vectors [D] for "mlp").
    """

    def __init__(
        self, observation_space: gymnasium.spaces.Box, num_actions: int, config: NetworkConfig
    ) -> None:
        super().__init__()
        shape = observation_space.shape
        if len(shape) != (1 if config.encoder == "mlp" else 3):
            raise ValueError(
                f"agent.network.encoder={config.encoder} cannot read observations of shape {shape};"
                " vectors need mlp, images [height, width, channels] shallow or deep."
            )
        self.num_actions = num_actions
        self.hidden_size = config.hidden_size
        self.encoder = ENCODER_CLASSES[config.encoder](shape, config.hidden_size)
        self.core = nn.LSTM(config.hidden_size + num_actions + 1, config.hidden_size)
        self.policy = nn.Linear(config.hidden_size, num_actions)
        self.value = nn.Linear(config.hidden_size, 1)
        self._initialise()
        for layer in self.modules():  # images arrive with their channels last
            if isinstance(layer, nn.Conv2d):
                layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)

    def _initialise(self) -> None:
        """Truncated normal weights of variance 1/fan_in, as in IMPALA's Sonnet layers."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                fan_in = layer.weight[0].numel()
                std = fan_in**-0.5
                nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        weight_ih, weight_hh, bias_ih, bias_hh = self.core.parameters()
        nn.init.xavier_uniform_(weight_ih)
        nn.init.xavier_uniform_(weight_hh)
        nn.init.zeros_(bias_hh)
        nn.init.zeros_(bias_ih)
        with torch.no_grad():  # gates i, f, g, o: remember at first (TensorFlow's forget bias)
            bias_ih[self.hidden_size : 2 * self.hidden_size] = 1.0

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Parameters of policy and value head, the last ones of `parameters()`."""
        yield from self.policy.parameters()
        yield from self.value.parameters()

    def initial_state(self, batch_size: int) -> CoreState:
        """Empty memory for `batch_size` environments, on the parameters' device."""
        zeros = self.value.weight.new_zeros(batch_size, self.hidden_size)
        return CoreState(zeros, zeros.clone())

    def encode(self, obs: Tensor) -> Tensor:
        """Embed observations [T, B, ...] to [T, B, E]."""
        flat = obs.flatten(0, 1)  # [T*B, ...]
        chunks = flat.split(IMAGES_PER_CHUNK if obs.device.type == "cpu" else len(flat))
        embedding = torch.cat([self.encoder(chunk) for chunk in chunks])  # [T*B, E]
        return embedding.unflatten(0, obs.shape[:2])  # [T, B, E]

    def unroll(
        self,
        obs: Tensor,
        last_action: Tensor,
        last_reward: Tensor,
        is_first: Tensor,
        core_state: CoreState,
    ) -> tuple[AgentOutput, CoreState]:
        """Run the network over T rows of B environments.

        Args:
            obs: [T, B, ...] in the environment's dtype.
            last_action: [T, B] int64, the action that led to obs; -1 for none.
            last_reward: [T, B] float32, the clipped reward that came with obs; 0 for none.
            is_first: [T, B] bool **on the host**: where an episode begins and memory is emptied.
                It decides where the sequence is cut, so reading it on a GPU would stall it.
            core_state: memory before row 0.

        Returns the outputs for all rows and the memory after row T-1.
        """
        action_index = torch.arange(self.num_actions, device=obs.device)
        one_hot = (last_action.unsqueeze(-1) == action_index).float()  # [T, B, A], -1: all zero
        # bfloat16 on a GPU, for acting and learning alike; results leave as float32.
        with torch.autocast(obs.device.type, torch.bfloat16, enabled=obs.is_cuda):
            embedding = self.encode(obs).float()  # [T, B, E]
            core_input = torch.cat([embedding, one_hot, last_reward.unsqueeze(-1)], dim=-1)
            context, core_state = self._run_core(core_input, is_first, core_state)
            context = context.float()  # [T, B, H]
            logits, value = self.policy(context).float(), self.value(context).float().squeeze(-1)
        return AgentOutput(logits, value, embedding, context), core_state

    def _run_core(
        self, inputs: Tensor, is_first: Tensor, state: CoreState
    ) -> tuple[Tensor, CoreState]:
        """LSTM over [T, B, I], cut into segments at rows where any environment's episode begins."""
        cuts = [0, *(is_first[1:].any(1).nonzero().flatten() + 1).tolist(), len(inputs)]
        contexts = []
        for start, stop in itertools.pairwise(cuts):
            if is_first[start].any():
                # where() and not a product: a dead episode's inf or nan must not survive as nan
                reset = is_first[start].to(inputs.device, non_blocking=True).unsqueeze(-1)
                state = CoreState(*(torch.where(reset, 0.0, s) for s in state))
            context, (hidden, cell) = self.core(
                inputs[start:stop], (state.hidden.unsqueeze(0), state.cell.unsqueeze(0))
            )
            state = CoreState(hidden.squeeze(0).float(), cell.squeeze(0).float())
            contexts.append(context)
        return torch.cat(contexts), state
