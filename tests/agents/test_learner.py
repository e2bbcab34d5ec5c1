"""The learner: who gets which gradient, resume, threads, and known answers."""

import multiprocessing
import os

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from torch import nn

from agents.a2c import a2c_loss
from agents.config import AgentConfig, NetworkConfig
from agents.devices import prepare_cpu
from agents.learner import NORM_INTERVAL, Learner
from agents.networks import CoreState
from tests.known_answer_envs import (
    CueMemory,
    Endless,
    Group,
    Grouped,
    KnownAnswerEnv,
    RandomEnds,
    Result,
    SmallImages,
)

CPU = torch.device("cpu")


class SquareAux(nn.Module):
    """A stand-in with an obvious gradient: mean of (w z + c)^2."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.full((size,), 0.7))
        self.calls = 0

    def forward(self, embedding, context, action, is_first, generator):
        loss = (self.w * embedding + context).square().mean()
        sometimes = torch.tensor([0.0, 1.0, torch.nan if self.calls % 2 else 2.0])
        self.calls += 1
        return loss, {"loss": loss.detach(), "by_horizon": sometimes}


def make_learner(
    env=RandomEnds, num_envs=4, aux=False, aux_weight=0.1, threads=1, seed=1, **config
):
    settings = {
        "network": NetworkConfig("mlp", 16),
        "unroll_length": 5,
        "learning_rate": 1e-3,
        "total_frames": 10**6,
        **config,
    }
    total_frames = settings.pop("total_frames")
    learner = Learner(
        AgentConfig(**settings), env, num_envs,
        lambda e, h, a: SquareAux(e) if aux else None,
        aux_weight, total_frames, seed, CPU, threads,
    )  # fmt: skip
    learner.start()
    return learner


def parameters(learner: Learner) -> list[torch.Tensor]:
    modules = [learner.agent] + ([learner.aux] if learner.aux else [])
    return [p.detach().clone() for m in modules for p in m.parameters()]


@pytest.mark.parametrize("at_norm_interval", [False, True])
def test_one_update_equals_plain_autograd_and_optimizer(at_norm_interval):
    """Weighted aux gradient through z and c, full one on the head, clip on the agent alone."""
    learner = make_learner(aux=True, aux_weight=0.3, max_grad_norm=0.5)
    if not at_norm_interval:
        learner.updates = 1
    assert (learner.updates % NORM_INTERVAL == 0) == at_norm_interval
    learner.collect()
    r, agent, aux = learner._shares.first.rollout, learner.agent, learner.aux
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


@pytest.mark.parametrize("threads", [1, 2])
def test_resumed_run_equals_the_uninterrupted_one_bit_for_bit(threads, tmp_path):
    learner = make_learner(aux=True, threads=threads)
    episodes = []
    for update in range(9):
        if update == 4:
            torch.save(learner.state_dict(), tmp_path / "state.pt")
        episodes += learner.collect() if update < 4 else []
        if update >= 4:
            episodes_after = learner.collect()
            episodes.append(episodes_after)
        learner.update()

    resumed = make_learner(aux=True, threads=threads, seed=2)  # everything comes from the file
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    episodes_resumed = []
    for _ in range(5):
        episodes_resumed.append(resumed.collect())
        resumed.update()
    assert str(episodes[-5:]) == str(episodes_resumed)
    assert (resumed.frames, resumed.updates) == (learner.frames, learner.updates)
    for p, q in zip(parameters(learner), parameters(resumed), strict=True):
        assert torch.equal(p, q)
    assert learner.metrics() == resumed.metrics()
    learner.close(), resumed.close()


def test_resume_with_other_threads_goes_on_with_the_same_environments():
    three, two = (make_learner(Endless, num_envs=5, threads=threads) for threads in (3, 2))
    three.collect()
    three.update()
    two.load_state_dict(three.state_dict())
    for p, q in zip(parameters(three), parameters(two), strict=True):
        assert torch.equal(p, q)
    for learner in (three, two):
        learner.collect()
    for name in ("is_first", "discount", "reward"):  # no randomness in Endless but actions
        assert torch.equal(getattr(three._batch, name), getattr(two._batch, name))
    for name in ("embedding", "context"):
        torch.testing.assert_close(getattr(three._batch, name), getattr(two._batch, name))
    three.close(), two.close()


@pytest.mark.parametrize("encoder", ["mlp", "shallow", "deep"])
def test_the_number_of_threads_changes_rounding_only(encoder):
    env = RandomEnds if encoder == "mlp" else SmallImages
    one, three = (
        make_learner(
            env, num_envs=5, aux=True, threads=threads, bootstrap_on_timeout=True,
            network=NetworkConfig(encoder, 16), rmsprop_epsilon=0.1,
        )
        for threads in (1, 3)
    )  # fmt: skip
    for _ in range(3):
        assert sorted(map(str, one.collect())) == sorted(map(str, three.collect()))
        assert torch.equal(one._batch.action, three._batch.action)
        one.update(), three.update()
    for p, q in zip(parameters(one), parameters(three), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
    three.close()


@pytest.mark.parametrize("bootstrap", [False, True])
def test_groups_that_take_turns_change_rounding_only(bootstrap, tmp_path):
    one, two = (
        make_learner(env, num_envs=5, aux=True, bootstrap_on_timeout=bootstrap)
        for env in (RandomEnds, Grouped)
    )
    for _ in range(4):
        assert sorted(map(str, one.collect())) == sorted(map(str, two.collect()))
        for name in ("action", "is_first", "reward", "valid"):
            x, y = (getattr(learner._batch, name) for learner in (one, two))
            torch.testing.assert_close(x, y)
        one.update(), two.update()
    for p, q in zip(parameters(one), parameters(two), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
    assert two.metrics()["env/worker_restarts"] == 3.0
    assert "env/worker_restarts" not in one.metrics()

    resumed = make_learner(Grouped, num_envs=5, aux=True, seed=2, bootstrap_on_timeout=bootstrap)
    torch.save(two.state_dict(), tmp_path / "state.pt")
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for learner in (two, resumed):
        learner.collect()
        learner.update()
    for p, q in zip(parameters(two), parameters(resumed), strict=True):
        assert torch.equal(p, q)


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


class Fragile(RandomEnds):
    """Breaks in the middle of a rollout, but only in another process than the first."""

    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
        if multiprocessing.parent_process() is not None:
            raise OSError("the ground gave way")
        return super().step_into(actions, obs)


class Deadly(RandomEnds):
    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
        if multiprocessing.parent_process() is not None:
            os._exit(7)
        return super().step_into(actions, obs)


@pytest.mark.parametrize(
    ("env", "message"), [(Fragile, "the ground gave way"), (Deadly, r"exit code 7")]
)
def test_a_worker_process_that_fails_ends_the_run_with_its_cause(env, message):
    learner = make_learner(env, threads=2)
    with pytest.raises(RuntimeError, match=message):
        learner.collect()
    learner.close()


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


def test_more_threads_than_environments_are_refused():
    with pytest.raises(ValueError, match="threads is 5"):
        make_learner(threads=5)


class ForgetfulCue(CueMemory):
    """The wrong variant: every observation opens an episode for the network, so no memory."""

    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
        result = super().step_into(actions, obs)
        return result._replace(terminated=np.ones(self.num_envs, bool))


@pytest.mark.parametrize(("env", "low", "high"), [(CueMemory, 0.9, 1.0), (ForgetfulCue, 0.3, 0.7)])
def test_cue_memory_needs_memory(env, low, high):
    """Chance is 0.5; with the cue remembered it is 1.0."""
    learner = make_learner(
        env, num_envs=16, unroll_length=10, learning_rate=1e-2, entropy_cost=1e-2,
        gae_lambda=0.95, network=NetworkConfig("mlp", 32),
    )  # fmt: skip
    for _ in range(150):
        learner.collect()
        learner.update()
    rewards = 0.0
    for _ in range(20):
        learner.collect()
        rewards += learner._batch.reward.sum().item()
    score = rewards / (20 * 10 * 16 / (CueMemory.delay + 1))
    assert low <= score <= high


@pytest.mark.parametrize(("bootstrap", "expected"), [(True, 10.0), (False, 2.8)])
def test_value_of_endless_reward(bootstrap, expected):
    """gamma 0.9: 1 / (1 - gamma) = 10 if a time limit bootstraps, else that of 1..7 steps."""
    learner = make_learner(
        Endless, num_envs=8, unroll_length=7, discount=0.9, learning_rate=2e-2,
        bootstrap_on_timeout=bootstrap, gae_lambda=0.9,
    )  # fmt: skip
    for _ in range(400):
        learner.collect()
        learner.update()
    learner.collect()
    value = learner._batch.value.mean().item()
    assert value == pytest.approx(expected, abs=0.9)


class Bandit(KnownAnswerEnv):
    """One-step episodes; action equal to the sign shown pays 1. Random play earns 0.5."""

    def observe(self, obs: np.ndarray) -> None:
        obs[:] = 0
        obs[:, 0] = 2.0 * self.goal - 1

    def step_into(self, actions: np.ndarray, obs: np.ndarray) -> Result:
        n = self.num_envs
        reward = (actions == self.goal).astype(np.float32)
        self.goal = self.new_goal()
        self.observe(obs)
        return Result(reward, np.ones(n, bool), np.zeros(n, bool), np.full(n, np.nan, np.float32))


class BanditForGymnasium(gymnasium.Env):
    def __init__(self) -> None:
        self.bandit = Bandit(1)
        self.observation_space = self.bandit.single_observation_space
        self.action_space = self.bandit.single_action_space
        self.obs = np.zeros((1, 3), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.bandit.reset_into([0 if seed is None else seed], self.obs)
        return self.obs[0].copy(), {}

    def step(self, action):
        result = self.bandit.step_into(np.array([action]), self.obs)
        return self.obs[0].copy(), float(result.reward[0]), True, False, {}


def test_agrees_with_stable_baselines3_on_a_small_task():
    """Same task, same settings, same number of updates: both leave chance (0.5) for 0.9."""
    settings = {"learning_rate": 7e-3, "gamma": 0.9, "gae_lambda": 1.0, "n_steps": 5}
    theirs = A2C(
        "MlpPolicy", BanditForGymnasium(), **settings, ent_coef=0.01, vf_coef=0.5,
        rms_prop_eps=1e-5, max_grad_norm=0.5, seed=3, device="cpu",
    )  # fmt: skip
    theirs.learn(2500)
    env, score = Bandit(200), 0.0
    obs = np.zeros((200, 3), np.float32)
    env.reset_into([9], obs)
    for _ in range(5):
        actions, _ = theirs.predict(obs)
        score += env.step_into(actions, obs).reward.mean() / 5
    assert score > 0.9

    ours = make_learner(
        Bandit, num_envs=1, unroll_length=5, learning_rate=7e-3, discount=0.9, gae_lambda=1.0,
        entropy_cost=0.01, value_cost=0.5, rmsprop_epsilon=1e-5, max_grad_norm=0.5,
        network=NetworkConfig("mlp", 64),
    )  # fmt: skip
    for _ in range(500):
        ours.collect()
        ours.update()
    rewards = []
    for _ in range(40):
        ours.collect()
        rewards.append(ours._batch.reward.mean().item())
    assert np.mean(rewards) > 0.9


def test_faster_products_are_exact():
    """Whichever backend was chosen, it multiplies in float32, not in bfloat16."""
    assert prepare_cpu(torch.get_num_threads()) in ("oneDNN", "PyTorch's default")
    a, b = torch.randn(2, 300, 300).unbind()
    error = ((a @ b).double() - a.double() @ b.double()).abs().max()
    assert error < 1e-3
