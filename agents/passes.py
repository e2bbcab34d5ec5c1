"""What a network does with a rollout: it acts row by row, then carries gradients back.

`Pass` is all that actors, shards and the learner know of that. `PlainPass` defines it in ordinary
PyTorch, for any agent on any device; what else there is (agents/fast) computes the same, faster.
"""

from collections.abc import Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

from agents.networks import Agent, AgentOutput, CoreState
from agents.rollout import Rollout

# A CPU's cache holds one pass over about this many images. A GPU wants many at once, but its memory
# ends as well: the deep network keeps 2 MB for each.
IMAGES_PER_CHUNK = 100
IMAGES_PER_CHUNK_GPU = 4096


class Pass(Protocol):
    """A network's work for the rollout that it was made for, which lies on the network's device.

    In turn `begin`, `act` on rows 0..T-1 in order, `finish`, `outputs`, then `gradients`; the first
    three without gradients. Parameters stay as they are in between. Parts of the environments may
    act on their own, in passes of `select_envs`; outputs and gradients are the whole's.
    """

    def select_envs(self, start: int, stop: int) -> Self:
        """The pass that acts in environments start..stop-1, for this one to learn from."""

    def begin(self, core_state: CoreState) -> None:
        """Open a rollout; `core_state` is that before row 0."""

    def act(self, t: int, exponential_noise: Tensor) -> CoreState:
        """Read row t's obs, is_first, last_action and last_reward; write its action and embedding.

        exponential_noise: [B, A] float32 on the network's device; see `sample_actions`. Returns
        the memory after this row, which the next call may change.
        """

    def finish(self) -> CoreState:
        """Read row T, which is not acted on; return the memory before it, for the next rollout."""

    def outputs(self) -> AgentOutput:
        """What the network computes for rows 0..T, [T+1, B, ...] each."""

    def gradients(self, grad: AgentOutput, retain_graph: bool = False) -> Sequence[Tensor]:
        """Gradients of the agent's parameters, in their order, given those of the outputs.

        retain_graph: another call will follow.
        """


def sample_actions(logits: Tensor, exponential_noise: Tensor | None) -> Tensor:
    """Draw actions [B] int64 from the softmax of logits [B, A]; without noise take the likeliest.

    exponential_noise: [B, A], e ~ Exp(1): argmax(softmax(logits) / e) is a sample of the softmax
    (Gumbel-max in exponential form). torch.multinomial, which checks its input, would stall a GPU.
    """
    if exponential_noise is None:
        return logits.argmax(-1)
    return (logits.softmax(-1) / exponential_noise).argmax(-1)


class PlainPass:
    """The agent's own methods `encode` and `unroll_core`, and PyTorch's gradients of them.

    Acting runs one row. Learning takes the embeddings from acting, unrolls the core over all rows
    at once, then encodes the images again chunk by chunk and differentiates each chunk (activation
    checkpointing: the deep encoder's activations take 2 MB an image, 6 GB in a rollout of the
    paper's). So the encoder must be deterministic: no dropout.

    Args:
        agent: the network.
        rollout: T+1 rows of B environments on the network's device.
    """

    def __init__(self, agent: Agent, rollout: Rollout) -> None:
        self._agent = agent
        self._rollout = rollout

    def select_envs(self, start: int, stop: int) -> Self:
        """See `Pass`."""
        return type(self)(self._agent, self._rollout.select_envs(start, stop))

    def begin(self, core_state: CoreState) -> None:
        """See `Pass`."""
        self._core_state = core_state
        self._rollout.hidden.copy_(core_state.hidden)
        self._rollout.cell.copy_(core_state.cell)

    @torch.no_grad()
    def act(self, t: int, exponential_noise: Tensor) -> CoreState:
        """See `Pass`."""
        self._encode(t)
        rollout, row = self._rollout, slice(t, t + 1)
        output, self._core_state = self._agent.unroll_core(
            rollout.embedding[row],
            rollout.last_action[row],
            rollout.last_reward[row],
            rollout.is_first[row],
            self._core_state,
        )
        rollout.action[t] = sample_actions(output.logits[0], exponential_noise)
        return self._core_state

    @torch.no_grad()
    def finish(self) -> CoreState:
        """See `Pass`."""
        self._encode(len(self._rollout.action))
        return self._core_state

    def _encode(self, t: int) -> None:
        """Embed row t."""
        row = slice(t, t + 1)
        self._rollout.embedding[row] = self._agent.encode(self._rollout.obs[row])  # [1, B, E]

    def outputs(self) -> AgentOutput:
        """See `Pass`."""
        rollout = self._rollout
        # A leaf: at the embedding the encoder's part of the backward pass begins.
        self._embedding = rollout.embedding.detach().requires_grad_()  # [T+1, B, E]
        self._output, _ = self._agent.unroll_core(
            self._embedding,
            rollout.last_action,
            rollout.last_reward,
            rollout.is_first,
            CoreState(rollout.hidden, rollout.cell),
        )
        return self._output

    def gradients(self, grad: AgentOutput, retain_graph: bool = False) -> Sequence[Tensor]:
        """See `Pass`."""
        parameters = list(self._agent.parameters())
        grad_embedding, *gradients = differentiate(
            self._output, [self._embedding, *parameters], grad, retain_graph
        )
        self._add_encoder_gradients(grad_embedding, parameters, gradients)
        return gradients

    def _add_encoder_gradients(
        self, grad_embedding: Tensor, parameters: Sequence[Tensor], totals: Sequence[Tensor]
    ) -> None:
        """Add what the embeddings' gradient [T+1, B, E] leaves on `parameters` to `totals`."""
        images, grads = (x.flatten(0, 1) for x in (self._rollout.obs, grad_embedding))
        size = IMAGES_PER_CHUNK_GPU if images.is_cuda else IMAGES_PER_CHUNK
        trained = [pair for pair in zip(parameters, totals, strict=True) if pair[0].requires_grad]
        for part, grad in zip(images.split(size), grads.split(size), strict=True):
            embedding = self._agent.encode(part.unsqueeze(0))[0]  # [N, E]
            if not embedding.requires_grad:
                return  # the encoder has nothing to train
            added = torch.autograd.grad(embedding, [p for p, _ in trained], grad, allow_unused=True)
            for (_, total), gradient in zip(trained, added, strict=True):
                if gradient is not None:  # of a parameter that the encoder has
                    total += gradient


def differentiate(
    outputs: AgentOutput, inputs: Sequence[Tensor], grad: AgentOutput, retain_graph: bool
) -> list[Tensor]:
    """Gradients of `inputs`, given those of `outputs`, of which some may be constants.

    Those of frozen inputs (`requires_grad` is False) are 0.
    """
    pairs = [(x, g) for x, g in zip(outputs, grad, strict=True) if x.requires_grad]
    found = iter(
        torch.autograd.grad(
            [x for x, _ in pairs],
            [x for x in inputs if x.requires_grad],
            [g for _, g in pairs],
            retain_graph=retain_graph,
            materialize_grads=True,
        )
    )
    return [next(found) if x.requires_grad else torch.zeros_like(x) for x in inputs]
