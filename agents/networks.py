"""The network: observation encoder, LSTM core, policy and value heads (IMPALA, figure 3)."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

from agents.config import NetworkConfig

# One pass over about this many images stays in the processor's cache.
IMAGES_PER_CHUNK = 100


# (gradient, result, 0) -> the gradient where the rectifier's result is above 0, else 0: one pass
# over memory, where a mask and a product take three.
_rectifier_gradient = torch.ops.aten.threshold_backward


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


class Agent(nn.Module):
    """Encoder, LSTM core and heads. Acting and learning both call `unroll`; acting is T = 1.

    Without a core the context is the embedding, and the memory stays as it is.

    Learning has the embeddings from acting: it unrolls the core alone, and carries their gradient
    on with `encoder_gradients`.

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
        self._precision = config.precision
        self.encoder = ENCODER_CLASSES[config.encoder](shape, config.hidden_size)
        self.core: nn.LSTM | nn.Identity = nn.Identity()
        if config.core == "lstm":
            self.core = nn.LSTM(config.hidden_size + num_actions + 1, config.hidden_size)
        # Row -1, for no last action, is all zero.
        one_hot = torch.cat([torch.eye(num_actions), torch.zeros(1, num_actions)])
        self.register_buffer("_one_hot", one_hot, persistent=False)
        self._one_hot: Tensor
        self.policy = nn.Linear(config.hidden_size, num_actions)
        self.value = nn.Linear(config.hidden_size, 1)
        self._initialise()
        for layer in self.encoder.modules():
            if isinstance(layer, nn.Conv2d):  # images arrive with their channels last
                layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
            if isinstance(layer, nn.Linear):  # transposed in memory: faster for a few rows at once
                layer.weight.data = layer.weight.data.t().contiguous().t()

    def _initialise(self) -> None:
        """Truncated normal weights of variance 1/fan_in, as in IMPALA's Sonnet layers."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                fan_in = layer.weight[0].numel()
                std = fan_in**-0.5
                nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        if isinstance(self.core, nn.Identity):
            return
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

    def encode(self, obs: Tensor, kept: Sequence[Tensor] = ()) -> Tensor:
        """Embed observations [T, B, ...] to [T, B, E]; `kept` [T, B, ...] as Encoder says."""
        rows = [x.flatten(0, 1) for x in (obs, *kept)]  # [T*B, ...]
        with self.autocast():
            chunks = zip(*(self._chunks(x) for x in rows), strict=True)
            parts = [self.encoder.encode_and_keep(x, k) for x, *k in chunks]
        embedding = parts[0] if len(parts) == 1 else torch.cat(parts)
        return embedding.float().unflatten(0, obs.shape[:2])  # [T, B, E]

    @torch.no_grad()
    def encoder_gradients(
        self, obs: Tensor, kept: Sequence[Tensor], embedding: Tensor, grad: Tensor
    ) -> list[Tensor]:
        """Gradients of the encoder's parameters, given that of the embeddings: `grad` [T, B, E].

        obs and kept [T, B, ...] as `encode` got them, and the embedding [T, B, E] that it returned.
        """
        rows = [x.flatten(0, 1) for x in (obs, embedding, grad, *kept)]
        with self.autocast(keep_converted=False):
            totals = [torch.zeros_like(p) for p in self.encoder.parameters()]
            for x, z, g, *kept in zip(*(self._chunks(x) for x in rows), strict=True):
                self.encoder.add_gradients(totals, x, kept, z, g)
        return totals

    @staticmethod
    def _chunks(rows: Tensor) -> tuple[Tensor, ...]:
        return rows.split(IMAGES_PER_CHUNK if rows.device.type == "cpu" else len(rows))

    @property
    def product_dtype(self) -> torch.dtype:
        """What layers multiply in, acting and learning alike; `auto`: bfloat16 on a GPU."""
        lower = self._precision == "bfloat16" or (
            self._precision == "auto" and self.value.weight.is_cuda
        )
        return torch.bfloat16 if lower else torch.float32

    def autocast(self, keep_converted: bool = True) -> AbstractContextManager[object]:
        """Where products are made in `product_dtype`; results leave as float32.

        Around many passes without gradients it converts each weight only once. Where there are
        several backward passes it must not: the first one frees the conversion's graph.
        """
        if self.product_dtype == torch.float32:
            return nullcontext()
        kind = self.value.weight.device.type
        return torch.autocast(kind, self.product_dtype, cache_enabled=keep_converted)

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
        return self.unroll_core(self.encode(obs), last_action, last_reward, is_first, core_state)

    def unroll_core(
        self,
        embedding: Tensor,
        last_action: Tensor,
        last_reward: Tensor,
        is_first: Tensor,
        core_state: CoreState,
    ) -> tuple[AgentOutput, CoreState]:
        """As `unroll`, from embeddings [T, B, E] instead of observations."""
        one_hot = self._one_hot[last_action]  # [T, B, A]
        with self.autocast():
            if isinstance(self.core, nn.Identity):
                context = embedding
            else:
                core_input = torch.cat([embedding, one_hot, last_reward.unsqueeze(-1)], dim=-1)
                context, core_state = self._run_core(core_input, is_first, core_state)
            context = context.float()  # [T, B, H]
            logits, value = self.policy(context).float(), self.value(context).float().squeeze(-1)
        return AgentOutput(logits, value, embedding, context), core_state

    def _run_core(
        self, inputs: Tensor, is_first: Tensor, state: CoreState
    ) -> tuple[Tensor, CoreState]:
        """LSTM over [T, B, I], cut into segments at rows where any environment's episode begins."""
        first_rows = is_first.any(1).numpy()
        cuts = [0, *(np.flatnonzero(first_rows[1:]) + 1).tolist(), len(inputs)]
        contexts = []
        for start, stop in itertools.pairwise(cuts):
            if first_rows[start]:
                # where() and not a product: a dead episode's inf or nan must not survive as nan
                reset = is_first[start].to(inputs.device, non_blocking=True).unsqueeze(-1)
                state = CoreState(*(torch.where(reset, 0.0, s) for s in state))
            if stop - start == 1:
                # For one row, nn.LSTM would rearrange its weights first, which takes as long again.
                row = torch.lstm_cell(inputs[start], state, *self.core.parameters())
                state = CoreState(*(x.float() for x in row))
                contexts.append(state.hidden.unsqueeze(0))
                continue
            context, (hidden, cell) = self.core(
                inputs[start:stop], (state.hidden.unsqueeze(0), state.cell.unsqueeze(0))
            )
            state = CoreState(hidden.squeeze(0).float(), cell.squeeze(0).float())
            contexts.append(context)
        return contexts[0] if len(contexts) == 1 else torch.cat(contexts), state
