"""The learner: who gets which gradient, and what stops or teaches nothing."""

import dataclasses
from contextlib import closing

import numpy as np
import pytest
import torch
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from torch import nn

from agents.a2c import a2c_loss
from agents.config import AgentConfig, NetworkConfig
from agents.encoders import ENCODER_CLASSES, MLPEncoder
from agents.learner import NORM_INTERVAL
from agents.networks import CoreState
from tests.agents.small_learner import make_learner, parameters
from tests.known_answer_envs import Group, Grouped, RandomEnds, Result


@pytest.mark.parametrize("at_norm_interval", [False, True])
def test_one_update_equals_plain_autograd_and_optimizer(at_norm_interval):
    """Weighted aux gradient through z and c, full one on the head, clip on the agent alone."""
    learner = make_learner(aux=True, aux_weight=0.3, max_grad_norm=0.5)
    if not at_norm_interval:
        learner.updates = 1
    assert (learner.updates % NORM_INTERVAL == 0) == at_norm_interval
    learner.collect()
    r, agent, aux = learner._shards.rollout, learner.agent, learner.aux
    output, _ = agent.unroll(
        r.obs, r.last_action, r.last_reward, r.is_first, CoreState(r.hidden, r.cell)
    )
    config = learner.config
    a2c = a2c_loss(
        output.logits, output.value, r.action, r.reward, r.discount,
        gae_lambda=config.gae_lambda, value_cost=config.value_cost,
        entropy_cost=config.entropy_cost, normalize_advantages=False,
    ).total  # fmt: skip
    aux_loss, _ = aux(output.embedding, output.context, r.action, r.is_first, None)
    agent_parameters = list(agent.parameters())
    total = a2c + 0.3 * 20 * aux_loss  # T * B = 20 times the mean
    expected = torch.autograd.grad(total, agent_parameters, retain_graph=True)
    norms = {}
    for name, loss in (("a2c", a2c), ("aux", 0.3 * 20 * aux_loss)):
        trunk = torch.autograd.grad(
            loss, agent_parameters[learner._trunk], retain_graph=True, materialize_grads=True
        )
        norms[name] = torch.sqrt(sum(g.square().sum() for g in trunk)).item()
    (expected_head,) = torch.autograd.grad(20 * aux_loss, [aux.w])
    norm = torch.sqrt(sum(g.square().sum() for g in expected))
    assert norm > 0.5
    expected = [g * 0.5 / norm for g in expected]

    reference = [p.detach().clone().requires_grad_() for p in [*agent_parameters, aux.w]]
    optimizer = RMSpropTFLike(reference, lr=learner.learning_rate, alpha=0.99, eps=0.1)
    for p, g in zip(reference, [*expected, expected_head], strict=True):
        p.grad = g
    optimizer.step()
    learner.update()
    for p, q in zip(parameters(learner), reference, strict=True):
        torch.testing.assert_close(p, q.detach(), rtol=1e-5, atol=1e-7)
    action, is_first, _ = aux.given
    assert torch.equal(action, r.action)
    assert torch.equal(is_first, r.is_first)
    if at_norm_interval:
        measured = learner.metrics()
        for name, norm in norms.items():
            assert measured[f"grad_norm_{name}_trunk"] == pytest.approx(norm, rel=1e-4)


CHANGES = {  # of the settings of `make_learner`
    "learning_rate": 2e-3, "learning_rate_decay": False, "rmsprop_epsilon": 1e-3,
    "rmsprop_bias_correction": True, "max_grad_norm": 0.1, "discount": 0.5, "gae_lambda": 0.5,
    "entropy_cost": 0.1, "value_cost": 0.7, "clip_rewards": False, "normalize_advantages": True,
    "bootstrap_on_timeout": True,
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_changes_what_is_learned(name):
    def learned(**settings):
        learner = make_learner(total_frames=320, **settings)
        for _ in range(2):
            learner.collect()
            learner.update()
        return torch.cat([p.flatten() for p in parameters(learner)])

    assert not torch.equal(learned(), learned(**{name: CHANGES[name]}))


def test_no_setting_is_left_out_there():
    names = {field.name for field in dataclasses.fields(AgentConfig)}
    assert names == CHANGES.keys() | {"network", "unroll_length", "compile"}


def test_gradients_reach_whom_they_should():
    learner = make_learner(aux=True)
    learner.collect()
    names = ("logits", "value", "embedding", "context")

    def reached(output):
        ones = [torch.ones(()) if name == output else torch.zeros(()) for name in names]
        gradients = learner._backward(*ones, retain_graph=True)
        named = zip(learner.agent.named_parameters(), gradients, strict=True)
        return {name.split(".")[0] for (name, _), g in named if g.any()}

    assert reached("logits") == {"encoder", "core", "policy"}
    assert reached("value") == {"encoder", "core", "value"}
    assert reached("embedding") == {"encoder"}
    assert reached("context") == {"encoder", "core"}
    names = [name.split(".")[0] for name, _ in learner.agent.named_parameters()]
    assert {*names[learner._trunk]} == {"encoder", "core"}
    assert {*names} - {*names[learner._trunk]} == {"policy", "value"}


def test_zero_weight_leaves_the_agent_as_without_the_aux_loss():
    """The head must then not touch anything of the agent, nor its random numbers."""
    plain, with_aux = make_learner(aux=False), make_learner(aux=True, aux_weight=0.0)
    for _ in range(3):
        for learner in (plain, with_aux):
            learner.collect()
            learner.update()
    *agent, w = parameters(with_aux)
    for p, q in zip(parameters(plain), agent, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)
    assert not torch.equal(w, torch.full_like(w, 0.7)), "the head learns all the same"


def test_lost_steps_teach_nothing(monkeypatch):
    """What the lost row holds reaches no parameter; a rollout without a valid row changes none."""
    results = []
    for junk in (0.0, 1e6):
        monkeypatch.setattr(Group, "lose", {2: [1], 3: [0, 1]})
        learner = make_learner(Grouped, num_envs=5, aux=True, clip_rewards=False)
        learner.collect()
        batch = learner._batch
        assert batch.valid.logical_not().nonzero().tolist() == [
            [2, 1], [2, 3], [3, 0], [3, 1], [3, 2], [3, 3]
        ]  # fmt: skip
        batch.reward[~batch.valid] = junk
        batch.discount[~batch.valid] = junk
        learner.update()
        results.append(parameters(learner))
    for p, q in zip(*results, strict=True):
        assert torch.equal(p, q)
    monkeypatch.setattr(Group, "lose", dict.fromkeys(range(100), (0, 1)))
    learner = make_learner(Grouped, num_envs=4, aux=True)
    before = parameters(learner)
    learner.collect()
    learner.update()
    for p, q in zip(before, parameters(learner), strict=True):
        assert torch.equal(p, q)


def test_same_seed_same_run_other_seed_other_run():
    def run(seed):
        learner = make_learner(seed=seed)
        for _ in range(2):
            learner.collect()
            learner.update()
        return torch.cat([p.flatten() for p in parameters(learner)])

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))


def test_learning_rate_falls_linearly_to_zero():
    learner = make_learner(total_frames=5 * 4 * 4 * 4)  # four rollouts
    rates = []
    for _ in range(4):
        learner.collect()
        rates.append(learner.learning_rate)
    assert rates == pytest.approx([7.5e-4, 5e-4, 2.5e-4, 0.0])
    assert learner.finished
    assert learner.frames == 320


class FrozenEncoder(MLPEncoder):
    """Stays as it was drawn."""

    def __init__(self, shape, embedding_size):
        super().__init__(shape, embedding_size)
        self.requires_grad_(False)


class FixedEncoder(nn.Module):
    """Has nothing that could be trained."""

    def __init__(self, shape, embedding_size):
        super().__init__()
        self.register_buffer("matrix", torch.randn(*shape, embedding_size))

    def forward(self, vectors):
        return vectors.float() @ self.matrix


def train_and_see_stay(learner, module, prefix):
    """Of `module` the tensors that begin with `prefix` stay in two updates, all others change."""
    before = {name: x.clone() for name, x in module.state_dict().items()}
    for _ in range(2):  # the first measures the norms of both losses
        learner.collect()
        learner.update()
    for name, x in module.state_dict().items():
        assert torch.equal(x, before[name]) == name.startswith(prefix), name


@pytest.mark.parametrize("encoder", [FrozenEncoder, FixedEncoder])
@pytest.mark.parametrize("fast", [False, True])
def test_a_frozen_encoder_stays_and_the_rest_learns(encoder, fast, monkeypatch):
    monkeypatch.setitem(ENCODER_CLASSES, "frozen", encoder)
    learner = make_learner(network=NetworkConfig("frozen", 16), aux=True, fast=fast)
    train_and_see_stay(learner, learner.agent, "encoder")


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_parameters_may_be_frozen_when_the_learner_stands(threads, fast):
    with closing(make_learner(aux=True, threads=threads, fast=fast)) as learner:
        learner.agent.core.requires_grad_(False)
        train_and_see_stay(learner, learner.agent, "core")


class PredictsAFixedNetwork(nn.Module):
    """A loss with a target that is not trained, as random network distillation has."""

    def __init__(self, embedding_size):
        super().__init__()
        self.target = nn.Linear(embedding_size, 3).requires_grad_(False)
        self.predictor = nn.Linear(embedding_size, 3)

    def forward(self, embedding, context, action, is_first, generator):
        return (self.predictor(embedding) - self.target(embedding)).square().mean(), {}


def test_an_auxiliary_loss_may_have_frozen_parameters():
    learner = make_learner(aux=PredictsAFixedNetwork)
    train_and_see_stay(learner, learner.aux, "target")


def test_metrics_are_means_since_the_last_call():
    learner = make_learner(aux=True)
    for _ in range(3):
        learner.collect()
        learner.update()
    metrics = learner.metrics()
    assert metrics["aux/by_horizon"] == [0.0, 1.0, 2.0]
    assert metrics["entropy"] == pytest.approx(np.log(7), rel=0.2)
    assert metrics["grad_norm_a2c_trunk"] > 0
    assert metrics["grad_norm_aux_trunk"] > 0
    assert set(learner.metrics()) == {"learning_rate"}


def test_non_finite_loss_stops_before_anything_changes():
    class Broken(RandomEnds):
        def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
            result = super().step_into(actions, obs)
            result.reward[0] = np.nan
            return result

    learner = make_learner(Broken, clip_rewards=False)
    before = parameters(learner)
    learner.collect()
    with pytest.raises(FloatingPointError, match="policy_loss"):
        learner.update()
    for p, q in zip(before, parameters(learner), strict=True):
        assert torch.equal(p, q)
