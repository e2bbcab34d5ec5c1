"""The plain pass equals one forward pass over the rollout and PyTorch's gradients of it."""

import gymnasium
import numpy as np
import pytest
import torch

from agents import passes
from agents.config import NetworkConfig
from agents.networks import Agent, AgentOutput, CoreState
from agents.passes import PlainPass
from agents.rollout import Rollout

T, B, A, HIDDEN = 5, 3, 7, 13
IMAGES = gymnasium.spaces.Box(0, 255, (44, 37, 3), np.uint8)
VECTORS = gymnasium.spaces.Box(-1, 1, (5,), np.float32)


class Normalised(Agent):
    """An agent whose own methods differ from its parts', and share parameters between them."""

    def encode(self, obs):
        embedding = super().encode(obs) + self.value.weight
        return embedding / embedding.norm(dim=-1, keepdim=True)

    def heads(self, embedding, context):
        output = super().heads(embedding, context)
        constant = torch.ones_like(output.value)
        return output._replace(value=constant, embedding=2 * embedding)


def run_rollout(cls, encoder, core, precision):
    """A pass through a rollout of random rows: its outputs, gradients, and the agent's own."""
    torch.manual_seed(3)
    space = VECTORS if encoder == "mlp" else IMAGES
    agent = cls(space, A, NetworkConfig(encoder, HIDDEN, core, precision))
    rollout = Rollout.allocate(T, B, space, HIDDEN, torch.device("cpu"))
    rollout.obs.random_(0, 256) if encoder != "mlp" else rollout.obs.uniform_(-1, 1)
    rollout.is_first.copy_(torch.rand(T + 1, B) < 0.3)
    rollout.last_action.random_(0, A).masked_fill_(rollout.is_first, -1)
    rollout.last_reward.uniform_(-1, 1).masked_fill_(rollout.is_first, 0)
    core_state = CoreState(*torch.randn(2, B, HIDDEN).unbind())
    noise = torch.empty(T, B, A).exponential_()
    whole = PlainPass(agent, rollout)
    parts = [whole.select_envs(0, 2), whole.select_envs(2, B)]
    ends = []
    for part, own in zip(parts, (slice(0, 2), slice(2, B)), strict=True):
        part.begin(CoreState(*(x[own] for x in core_state)))
        for t in range(T):
            part.act(t, noise[t, own])
        ends.append(part.finish())
    output = whole.outputs()
    grad = AgentOutput(*(torch.randn_like(x) for x in output))
    gradients = [whole.gradients(grad, retain_graph=True) for _ in range(2)][-1]
    rows = rollout.obs, rollout.last_action, rollout.last_reward, rollout.is_first
    expected, _ = agent.unroll(*rows, core_state)
    _, end = agent.unroll(*(x[:-1] for x in rows), core_state)
    known = [(x, g) for x, g in zip(expected, grad, strict=True) if x.requires_grad]
    truth = torch.autograd.grad(
        [x for x, _ in known], list(agent.parameters()), [g for _, g in known],
        materialize_grads=True,
    )  # fmt: skip
    best = (expected.logits[:-1].softmax(-1) / noise).argmax(-1)
    pairs = [*zip(output, expected, strict=True), *zip(gradients, truth, strict=True)]
    if core == "lstm":
        pairs += [(torch.cat(x), y) for x, y in zip(zip(*ends, strict=True), end, strict=True)]
    return pairs, rollout.action, best


@pytest.mark.parametrize("core", ["lstm", "none"])
@pytest.mark.parametrize("encoder", ["mlp", "shallow", "deep"])
@pytest.mark.parametrize("cls", [Agent, Normalised])
def test_it_equals_one_forward_pass_and_its_gradients(cls, encoder, core, monkeypatch):
    monkeypatch.setattr(passes, "IMAGES_PER_CHUNK", 4)
    pairs, action, best = run_rollout(cls, encoder, core, "float32")
    assert torch.equal(action, best)
    for found, expected in pairs:
        assert found.shape == expected.shape
        assert (found - expected).norm() <= 1e-4 * expected.norm()


@pytest.mark.parametrize("encoder", ["shallow", "deep"])
def test_it_does_so_in_bfloat16(encoder, monkeypatch):
    monkeypatch.setattr(passes, "IMAGES_PER_CHUNK", 4)
    pairs, *_ = run_rollout(Agent, encoder, "lstm", "bfloat16")
    for found, expected in pairs:
        assert found.dtype == torch.float32
        assert (found - expected).norm() <= 0.05 * expected.norm()
