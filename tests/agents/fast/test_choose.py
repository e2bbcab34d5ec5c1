"""A fast pass is taken where it is exact: a changed network acts and learns as it says."""

from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from agents.a2c import a2c_loss
from agents.config import AgentConfig, NetworkConfig
from agents.encoders import ShallowEncoder
from agents.fast import convolutions, cpu_pass, lstm
from agents.fast.choose import choose_pass
from agents.fast.cpu_pass import CpuPass
from agents.learner import Learner
from agents.networks import Agent, CoreState
from agents.passes import PlainPass
from compiled.blocks import HAS_BFLOAT16, SUPPORTED
from tests.known_answer_envs import RandomEnds

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this processor has no fast pass")

SHAPE, A, HIDDEN, B = (44, 68, 3), 7, 32, 3
SPACE = gymnasium.spaces.Box(0, 255, SHAPE, np.uint8)


class Images(RandomEnds):
    """RandomEnds with its observations painted into images."""

    def __init__(self, num_envs):
        super().__init__(num_envs)
        self.single_observation_space = SPACE

    def observe(self, obs):
        for row in range(SHAPE[0]):
            obs[:, row] = (256 * self.uniform()).astype(np.uint8)[:, None, None]


def make_agent(encoder="shallow", core="lstm", precision="float32", space=SPACE):
    torch.manual_seed(3)
    return Agent(space, A, NetworkConfig(encoder, HIDDEN, core, precision))


def choose(agent, space=SPACE, fast=True):
    return choose_pass(agent, space, B, fast=fast, graph=False)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("encoder", "core", "name"),
    [
        ("shallow", "lstm", "fast"),
        ("shallow", "none", "fast encoder, plain core"),
        ("deep", "lstm", "fast core, plain encoder"),
        ("mlp", "lstm", "fast core, plain encoder"),
        ("deep", "none", "plain"),
    ],
)
def test_the_networks_of_the_presets_take_what_is_fast(encoder, core, name, precision, caplog):
    space = gymnasium.spaces.Box(-1, 1, (5,), np.float32) if encoder == "mlp" else SPACE
    agent = make_agent(encoder, core, precision, space)
    before, state = [p.clone() for p in agent.parameters()], torch.get_rng_state()
    chosen = choose(agent, space)
    assert chosen.name == name
    assert chosen.make is (PlainPass if name == "plain" else CpuPass)
    assert not caplog.records
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, before, agent.parameters()))
    assert choose(agent, space, fast=False)[:2] == (PlainPass, "plain")


# Changes of the network: of its parts, of its methods, and of the code that defines them.


class Elu(ShallowEncoder):
    def forward(self, images):
        x = images.permute(0, 3, 1, 2) / 255
        x = F.elu(self.conv2(F.elu(self.conv1(x))))
        return F.elu(self.fc(x.permute(0, 2, 3, 1).flatten(1)))


class Normalised(ShallowEncoder):
    def forward(self, images):
        embedding = super().forward(images)
        return embedding / (1e-6 + embedding.norm(dim=-1, keepdim=True))


def with_encoder(cls, monkeypatch, agent):
    agent.encoder = cls(SHAPE, HIDDEN)


def with_code(cls, monkeypatch, agent):
    """The same written into the file of the encoder."""
    plain = ShallowEncoder.forward
    forward = Elu.forward
    if cls is Normalised:

        def forward(self, images):
            embedding = plain(self, images)
            return embedding / (1e-6 + embedding.norm(dim=-1, keepdim=True))

    monkeypatch.setattr(ShallowEncoder, "forward", forward)


def with_stride(monkeypatch, agent):
    """A second layer of stride 1, exactly of the encoder's class."""
    encoder = agent.encoder
    encoder.conv2 = nn.Conv2d(16, 32, 4, stride=1)
    x = encoder.conv2(encoder.conv1(torch.zeros(1, 3, *SHAPE[:2])))
    encoder.fc = nn.Linear(x.numel(), HIDDEN)
    first, _ = encoder.output_shapes
    encoder.output_shapes = first, (*x.shape[2:], 32)


plain_heads = Agent.heads


def prefer_action_0(self, embedding, context):
    output = plain_heads(self, embedding, context)
    return output._replace(logits=output.logits + 1e3 * F.one_hot(torch.tensor(0), A))


def with_heads(monkeypatch, agent):
    monkeypatch.setattr(Agent, "heads", prefer_action_0)


def with_heads_of_its_own(monkeypatch, agent):
    agent.heads = partial(prefer_action_0, agent)


def with_subclass(monkeypatch, agent):
    agent.__class__ = type("Preferring", (Agent,), {"heads": prefer_action_0})


def with_hook(monkeypatch, agent):
    agent.policy.register_forward_hook(
        lambda module, inputs, logits: logits + 1e3 * F.one_hot(torch.tensor(0), A)
    )


CHANGES = {
    "elu": partial(with_encoder, Elu),
    "normalised": partial(with_encoder, Normalised),
    "elu in the code": partial(with_code, Elu),
    "normalised in the code": partial(with_code, Normalised),
    "stride": with_stride,
    "heads in the code": with_heads,
    "heads": with_heads_of_its_own,
    "subclass": with_subclass,
    "hook": with_hook,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_a_changed_network_acts_and_learns_as_it_says(change, monkeypatch, caplog):
    """One rollout and its gradients against `Agent.unroll` and autograd."""

    def make_changed(*arguments):
        agent = Agent(*arguments)
        change(monkeypatch, agent)
        return agent

    monkeypatch.setattr("agents.learner.Agent", make_changed)
    config = AgentConfig(NetworkConfig("shallow", HIDDEN), unroll_length=5)
    learner = Learner(config, Images, B, lambda *_: None, 0.0, 10**6, 1, torch.device("cpu"))
    learner.start()
    learner.collect()
    assert learner.passes["agent"] != "fast"
    assert len(caplog.records) == 1, "one line says so"
    batch, rollout = learner._batch, learner._shards.rollout
    output, _ = learner.agent.unroll(
        rollout.obs, rollout.last_action, rollout.last_reward, rollout.is_first,
        CoreState(rollout.hidden, rollout.cell),
    )  # fmt: skip
    scores = output.logits[:-1].softmax(-1) / batch.exponential_noise
    assert torch.equal(batch.action, scores.argmax(-1))
    if change in (with_heads, with_heads_of_its_own, with_subclass, with_hook):
        assert not batch.action.any(), "action 0 always"
    for found, expected in zip(batch.outputs, output, strict=True):
        torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-5)
    loss = a2c_loss(
        output.logits, output.value, batch.action, batch.reward, batch.discount,
        gae_lambda=1.0, value_cost=0.5, entropy_cost=2.5e-4, normalize_advantages=False,
    ).total  # fmt: skip
    truth = torch.autograd.grad(loss, list(learner.agent.parameters()), materialize_grads=True)
    learner.update()
    for parameter, expected in zip(learner.agent.parameters(), truth, strict=True):
        assert parameter.grad is not None
        assert (parameter.grad - expected).norm() <= 1e-3 * expected.norm()
    learner.close()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (with_subclass, "The agent runs in plain PyTorch: only agents.networks.Agent, unchanged,"),
        (
            CHANGES["elu"],
            "The encoder runs in plain PyTorch: only agents.encoders.ShallowEncoder, unchanged, "
            "has a fast form, for images [height, width, 3] on AVX2",
        ),
        (with_hook, "The core runs in plain PyTorch: only agents.networks.LSTMCore with Agent's"),
    ],
)
def test_one_line_says_what_has_a_fast_form(change, line, monkeypatch, caplog):
    agent = make_agent()
    change(monkeypatch, agent)
    choose(agent)
    (said,) = caplog.messages
    assert said.startswith(line)


# Kernels broken on purpose.


def spoiled(kernel, place):
    """The kernel, after which one of its arguments is a twentieth too large, or 0."""

    def run(*arguments):
        kernel(*arguments)
        argument = arguments[place]
        argument *= 0 if argument.dtype == np.int64 else np.float32(1.05)

    return run


@pytest.mark.parametrize(
    ("module", "name", "place", "differs"),
    [
        (convolutions, "forward", 6, "the embeddings"),
        (convolutions, "backward", 4, "the gradient of encoder.conv1.weight"),
        (convolutions, "backward", 7, "the gradient of encoder.conv2.bias"),
        (lstm, "run_gates", 4, "the contexts"),
        (lstm, "write_inputs", 1, "the contexts"),
        (lstm, "gate_gradients", 5, "the gradient of encoder.conv1.weight"),
        (cpu_pass, "apply_policy_head", 4, "the choice of actions"),
    ],
)
def test_a_broken_kernel_is_caught_at_the_start(module, name, place, differs, monkeypatch, caplog):
    monkeypatch.setattr(module, name, spoiled(getattr(module, name), place))
    assert choose(make_agent())[:2] == (PlainPass, "plain")
    assert caplog.messages == [
        f"The agent runs in plain PyTorch: its fast pass differs in {differs}."
    ]


def test_a_pass_that_fails_is_not_taken(monkeypatch, caplog):
    def fail(*arguments):
        raise MemoryError("no more")

    monkeypatch.setattr(convolutions, "forward", fail)
    assert choose(make_agent()).make is PlainPass
    assert "its fast pass fails (MemoryError: no more)." in caplog.text


@pytest.mark.skipif(not HAS_BFLOAT16, reason="this processor has no bfloat16 kernels")
def test_a_broken_kernel_is_caught_in_bfloat16(monkeypatch):
    from agents.fast import convolutions_bf16

    broken = spoiled(spoiled(spoiled(convolutions_bf16.backward, 4), 4), 4)
    for _ in range(3):
        broken = spoiled(broken, 4)
    monkeypatch.setattr(convolutions_bf16, "backward", broken)
    assert choose(make_agent(precision="bfloat16")).make is PlainPass


def test_fast_and_plain_learners_agree():
    """Three updates each, with CPC-sized gradients on embeddings and contexts."""
    from tests.agents.small_learner import SquareAux

    def make(fast):
        learner = Learner(
            AgentConfig(NetworkConfig("shallow", HIDDEN), unroll_length=5, learning_rate=1e-3),
            Images, B, lambda e, h, a: SquareAux(e), 0.1, 10**6, 1, torch.device("cpu"), fast=fast,
        )  # fmt: skip
        learner.start()
        return learner

    plain, fast = make(False), make(True)
    assert (plain.passes["agent"], fast.passes["agent"]) == ("plain", "fast")
    for _ in range(3):
        plain.collect(), fast.collect()
        assert torch.equal(plain._batch.action, fast._batch.action)
        plain.update(), fast.update()
    for p, q in zip(plain.agent.parameters(), fast.agent.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
