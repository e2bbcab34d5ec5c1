"""The network: an encoder, a recurrent core, policy and value heads (IMPALA, figure 3)."""

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from agents.encoders import ENCODER_CLASSES, SHALLOW_SIZE

PRECISIONS = ("auto", "float32", "bfloat16")
MAX_SIZE = 2**16  # of layers


class CoreState(NamedTuple):
    """Memory of the core: `hidden` and `cell`, each [B, H] float32; one of them may go unused."""

    hidden: Tensor
    cell: Tensor


class LSTMCore(nn.LSTM):
    """One LSTM layer. Any core has these two methods; `Agent` empties the memory at resets."""

    def initialise(self) -> None:
        """Draw the first weights."""
        weight_ih, weight_hh, bias_ih, bias_hh = self.parameters()
        nn.init.xavier_uniform_(weight_ih)
        nn.init.xavier_uniform_(weight_hh)
        nn.init.zeros_(bias_hh)
        nn.init.zeros_(bias_ih)
        with torch.no_grad():  # gates i, f, g, o: remember at first (TensorFlow's forget bias)
            bias_ih[self.hidden_size : 2 * self.hidden_size] = 1.0

    def unroll(self, inputs: Tensor, state: CoreState) -> tuple[Tensor, CoreState]:
        """Contexts [T, B, H] of inputs [T, B, I] within an episode, and the memory after them."""
        if len(inputs) == 1:
            # For one row, nn.LSTM would rearrange its weights first, which takes as long again.
            hidden, cell = torch.lstm_cell(inputs[0], state, *self.parameters())
            return hidden.unsqueeze(0), CoreState(hidden, cell)
        hidden, cell = (x.unsqueeze(0) for x in state)
        context, (hidden, cell) = self(inputs, (hidden, cell))
        return context, CoreState(hidden.squeeze(0), cell.squeeze(0))


# By name, each made from (input size, memory size): docs/change_the_agent.md.
CORE_CLASSES: dict[str, Any] = {"lstm": LSTMCore}


@dataclass
class NetworkConfig:
    """Shape of the network.

    `encoder`: one of ENCODER_CLASSES, "shallow" or "deep" (IMPALA, figure 3) for images, "mlp" for
    vectors; "auto" takes what fits the observations. `core`: one of CORE_CLASSES, "lstm", or "none"
    for no memory: then the heads read the embedding alone.
    """

    encoder: str = "shallow"
    hidden_size: int = 256  # of the embedding and of the core (IMPALA, figure 3)
    core: str = "lstm"
    precision: str = "auto"  # of the layers' products; auto: bfloat16 on a GPU, else float32

    def validate(self) -> None:
        """Raise ValueError, in one sentence, for a value that is not allowed."""
        choices = {
            "encoder": ("auto", *ENCODER_CLASSES),
            "core": (*CORE_CLASSES, "none"),
            "precision": PRECISIONS,
        }
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(
                    f"agent.network.{name} is {value!r}; allowed: {', '.join(allowed)}."
                )
        if not 1 <= self.hidden_size <= MAX_SIZE:
            raise ValueError(
                f"agent.network.hidden_size is {self.hidden_size}; "
                f"it must be at least 1 and at most {MAX_SIZE:,}."
            )


class AgentOutput(NamedTuple):
    """What the network computes for T rows of B environments; all float32."""

    logits: Tensor  # [T, B, A] of the policy
    value: Tensor  # [T, B]
    embedding: Tensor  # [T, B, E] z_t, the encoder's output
    context: Tensor  # [T, B, H] c_t, the core's output


def fitting_encoder(name: str, observation_space: gymnasium.spaces.Box) -> str:
    """The name of the encoder: in auto's place one that reads the observations.

    Raises ValueError: one of ours cannot read them. Vectors [D] need "mlp", images [H, W, C] of
    uint8 "shallow" or, where they are too small for it, "deep".
    """
    shape, dtype = observation_space.shape, observation_space.dtype
    small = len(shape) == 3 and min(shape[:2]) < SHALLOW_SIZE
    if name == "auto":
        name = "mlp" if len(shape) == 1 else "deep" if small else "shallow"
    wanted = {"mlp": 1, "shallow": 3, "deep": 3}.get(name, len(shape))
    if len(shape) != wanted:
        raise ValueError(
            f"agent.network.encoder={name} cannot read observations of shape {shape};"
            " vectors need mlp, images [height, width, channels] shallow or deep."
        )
    if name in ("shallow", "deep") and dtype != np.uint8:
        raise ValueError(
            f"agent.network.encoder={name} reads images of uint8, 0 to 255, but these are {dtype}."
        )
    if name == "shallow" and small:
        raise ValueError(
            f"agent.network.encoder=shallow needs images of at least {SHALLOW_SIZE}x"
            f"{SHALLOW_SIZE} pixels, but these are {shape[0]}x{shape[1]}; deep takes them."
        )
    return name


class Agent(nn.Module):
    """Encoder, core and heads.

    `unroll` is `encode`, then `unroll_core`, which ends in `heads`. Acting is T = 1.

    Without a core the context is the embedding, and the memory stays as it is.

    Raises ValueError if the encoder does not fit the observations (`fitting_encoder`).
    """

    def __init__(
        self, observation_space: gymnasium.spaces.Box, num_actions: int, config: NetworkConfig
    ) -> None:
        super().__init__()
        encoder = fitting_encoder(config.encoder, observation_space)
        self.num_actions = num_actions
        self.hidden_size = config.hidden_size
        self._precision = config.precision
        self.encoder = ENCODER_CLASSES[encoder](observation_space.shape, config.hidden_size)
        self.core: LSTMCore | nn.Identity = nn.Identity()  # or another of CORE_CLASSES
        if config.core != "none":
            input_size = config.hidden_size + num_actions + 1
            self.core = CORE_CLASSES[config.core](input_size, config.hidden_size)
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
        """Normal weights of variance 1/fan_in, cut at two deviations, as in Sonnet (IMPALA)."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                fan_in = layer.weight[0].numel()
                std = fan_in**-0.5
                nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        if not isinstance(self.core, nn.Identity):
            self.core.initialise()

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
        with self.autocast():
            embedding = self.encoder(obs.flatten(0, 1))  # [T*B, E]
        return embedding.float().unflatten(0, obs.shape[:2])  # [T, B, E]

    @property
    def product_dtype(self) -> torch.dtype:
        """What layers multiply in, acting and learning alike; `auto`: bfloat16 on a GPU."""
        lower = self._precision == "bfloat16" or (
            self._precision == "auto" and self.value.weight.is_cuda
        )
        return torch.bfloat16 if lower else torch.float32

    def autocast(self) -> AbstractContextManager[object]:
        """Where products are made in `product_dtype`; results leave as float32.

        Around many passes without gradients it converts each weight only once.
        """
        if self.product_dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.value.weight.device.type, self.product_dtype)

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
                context, core_state = _run_core(self.core, core_input, is_first, core_state)
        return self.heads(embedding, context.float()), core_state

    def heads(self, embedding: Tensor, context: Tensor) -> AgentOutput:
        """The outputs, given embeddings [T, B, E] and contexts [T, B, H].

        In float32 in any case: next to nothing is to be gained here.
        """
        with torch.autocast(context.device.type, enabled=False):
            logits, value = self.policy(context), self.value(context).squeeze(-1)
        return AgentOutput(logits, value, embedding, context)


def _run_core(
    core: LSTMCore, inputs: Tensor, is_first: Tensor, state: CoreState
) -> tuple[Tensor, CoreState]:
    """The core over [T, B, I], cut into segments where any environment's episode begins."""
    first_rows = is_first.any(1).numpy()
    cuts = [0, *(np.flatnonzero(first_rows[1:]) + 1).tolist(), len(inputs)]
    contexts = []
    for start, stop in itertools.pairwise(cuts):
        if first_rows[start]:
            # where() and not a product: a dead episode's inf or nan must not survive as nan
            reset = is_first[start].to(inputs.device, non_blocking=True).unsqueeze(-1)
            state = CoreState(*(torch.where(reset, 0.0, s) for s in state))
        context, state = core.unroll(inputs[start:stop], state)
        state = CoreState(*(x.float() for x in state))
        contexts.append(context)
    return contexts[0] if len(contexts) == 1 else torch.cat(contexts), state
