"""Collecting: rows line up, memory is carried, ends and timeouts are told apart."""

import numpy as np
import pytest
import torch

from agents.actor import Actor
from agents.actor import collect as collect_rollout
from agents.config import NetworkConfig
from agents.devices import SideStream
from agents.episodes import EpisodeTracker
from agents.fast.cpu_pass import CpuPass
from agents.networks import Agent, CoreState
from agents.passes import PlainPass, sample_actions
from agents.rollout import Rollout
from tests.known_answer_envs import Group, RandomEnds, Result

T, B, HIDDEN = 11, 3, 13


def make_actor(
    bootstrap: bool = False,
    clip: bool = False,
    discount: float = 0.9,
    env: RandomEnds | None = None,
    device: Rollout | None = None,
    make_pass: type[PlainPass] = PlainPass,
) -> Actor:
    env = env or RandomEnds(B)
    torch.manual_seed(0)
    agent = Agent(env.single_observation_space, env.num_actions, NetworkConfig("mlp", HIDDEN))
    space = env.single_observation_space
    rollout = Rollout.allocate(T, B, space, HIDDEN, torch.device("cpu"))
    if device is not None:
        device = device._replace(is_first=rollout.is_first, valid=rollout.valid)
    actor = Actor(
        env, agent, rollout, device or rollout, make_pass(agent, device or rollout),
        discount=discount, clip_rewards=clip, bootstrap_on_timeout=bootstrap,
    )  # fmt: skip
    actor.start(range(B))
    return actor


def collect(actor: Actor, seed: int = 1) -> None:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.empty(T, B, actor.agent.num_actions).exponential_(generator=generator)
    collect_rollout([actor], noise)


def record(actor: Actor) -> list[tuple[np.ndarray, Result, np.ndarray]]:
    """Let the environments note each step: actions, result, observation that followed."""
    log = []
    step_into = actor.envs.step_into

    def noting(actions, obs):
        result = step_into(actions, obs)
        log.append((actions.copy(), result, obs.copy()))
        return result

    actor.envs.step_into = noting  # type: ignore[method-assign]
    return log


@pytest.mark.parametrize("bootstrap", [False, True])
def test_the_cpus_pass_acts_as_the_plain_one(bootstrap):
    plain, fast = make_actor(bootstrap), make_actor(bootstrap, make_pass=CpuPass)
    for rollout in range(5):
        collect(plain, seed=rollout)
        collect(fast, seed=rollout)
        for name in ("obs", "is_first", "last_action", "last_reward", "action", "valid"):
            assert torch.equal(
                getattr(fast.host_rollout, name), getattr(plain.host_rollout, name)
            ), name
        for name in ("reward", "discount", "hidden", "cell", "embedding"):
            torch.testing.assert_close(
                getattr(fast.host_rollout, name), getattr(plain.host_rollout, name)
            )
        for a, b in zip(fast.core_state, plain.core_state, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("clip", [False, True])
def test_rows_hold_what_happened(clip):
    actor = make_actor(clip=clip)
    log = record(actor)
    ended = np.ones(B, bool)
    for _ in range(3):
        first = len(log)
        collect(actor)
        r = actor.host_rollout
        for t in range(T):
            np.testing.assert_array_equal(r.is_first[t], ended)
            actions, result, next_obs = log[first + t]
            ended = result.terminated | result.truncated
            clipped = result.reward.clip(-1, 1)
            np.testing.assert_array_equal(r.action[t], actions)
            np.testing.assert_array_equal(r.reward[t], clipped if clip else result.reward)
            np.testing.assert_array_equal(r.discount[t], np.where(ended, 0, np.float32(0.9)))
            np.testing.assert_array_equal(r.obs[t + 1], next_obs)
            np.testing.assert_array_equal(r.last_action[t + 1], np.where(ended, -1, actions))
            np.testing.assert_array_equal(r.last_reward[t + 1], np.where(ended, 0, clipped))
        np.testing.assert_array_equal(r.is_first[T], ended)


def test_lost_steps_are_marked_and_open_an_episode():
    env = Group(B)
    env.lose = {3: [1], 7: [0, 2]}
    actor = make_actor(bootstrap=True, env=env)
    ended = collect_rollout([actor], torch.ones(T, B, actor.agent.num_actions))
    r = actor.host_rollout
    lost = torch.zeros(T, B, dtype=torch.bool)
    lost[3, 1] = lost[7, 0] = lost[7, 2] = True
    assert torch.equal(r.valid, ~lost)
    assert r.is_first[1:][lost].all()
    assert (r.last_action[1:][lost] == -1).all()
    assert not r.last_reward[1:][lost].any()
    starts = [np.flatnonzero(r.is_first[:, i]).tolist() for i in range(B)]
    # Neither the staggered first episode is reported, nor a lost one, nor the one after it.
    expected = 0
    for i, rows in enumerate(starts):
        ends = rows[1:]
        gone = np.flatnonzero(lost[:, i]).tolist()
        first_after = [min((e for e in ends if e > g + 1), default=None) for g in gone]
        skipped = {*ends[:1], *(g + 1 for g in gone), *first_after}
        expected += len([e for e in ends if e not in skipped])
    assert len(ended) == expected > 0


def test_acting_memory_equals_learning_memory():
    actor = make_actor()
    for _ in range(3):
        collect(actor)
        r = actor.host_rollout
        _, after_row_T_minus_1 = actor.agent.unroll(
            r.obs[:-1], r.last_action[:-1], r.last_reward[:-1], r.is_first[:-1],
            CoreState(r.hidden, r.cell),
        )  # fmt: skip
        # obs[T] enters memory once: as row 0 of the next rollout
        torch.testing.assert_close(after_row_T_minus_1.hidden, actor.core_state.hidden)
        torch.testing.assert_close(after_row_T_minus_1.cell, actor.core_state.cell)


class LateCopies:
    """A side stream at its slowest: it copies nothing until somebody waits for it."""

    def __init__(self, device):
        self.queue = []

    def begin(self):
        assert not self.queue

    def copy(self, target, source):
        self.queue.append((target, source))

    def finish(self):
        for target, source in self.queue:
            target.copy_(source)
        self.queue.clear()


@pytest.mark.parametrize("stream", [SideStream, LateCopies])  # SideStream: at once
def test_all_that_the_network_reads_is_uploaded_in_time(stream, monkeypatch):
    plain = make_actor(bootstrap=True)
    monkeypatch.setattr("agents.actor.SideStream", stream)
    space = plain.envs.single_observation_space
    elsewhere = Rollout.allocate(T, B, space, HIDDEN, torch.device("cpu"))
    for rows in (elsewhere.obs, elsewhere.last_reward, elsewhere.reward, elsewhere.discount):
        rows.fill_(torch.nan)
    actor = make_actor(bootstrap=True, device=elsewhere)
    for _ in range(3):
        collect(plain), collect(actor)
        for name in ("obs", "last_action", "last_reward", "action", "reward", "discount"):
            there = getattr(elsewhere, name)
            assert torch.equal(there, getattr(plain.host_rollout, name)), name
            assert torch.equal(there, getattr(actor.host_rollout, name)), name
        assert torch.equal(elsewhere.embedding, plain.host_rollout.embedding)


def test_timeout_adds_the_value_of_the_last_observation_and_nothing_else():
    with_bootstrap, without = make_actor(bootstrap=True), make_actor()
    log = record(with_bootstrap)
    collect(with_bootstrap), collect(without)
    r = with_bootstrap.host_rollout
    difference = r.reward - without.host_rollout.reward
    truncated = np.stack([result.truncated for _, result, _ in log])
    assert truncated.any()
    assert not difference[~torch.from_numpy(truncated)].any()
    for t, b in np.argwhere(truncated):
        # the truth: the same episode, prolonged by its last observation
        obs, last_action = r.obs[: t + 2].clone(), r.last_action[: t + 2].clone()
        last_reward, is_first = r.last_reward[: t + 2].clone(), r.is_first[: t + 2].clone()
        obs[t + 1, b] = torch.from_numpy(log[t][1].final_obs[b])
        last_action[t + 1, b] = r.action[t, b]
        last_reward[t + 1, b] = float(log[t][1].reward[b].clip(-1, 1))
        is_first[t + 1, b] = False
        state = CoreState(r.hidden, r.cell)
        output, _ = with_bootstrap.agent.unroll(obs, last_action, last_reward, is_first, state)
        expected = 0.9 * output.value[t + 1, b]
        torch.testing.assert_close(difference[t, b], expected.detach(), atol=1e-5, rtol=1e-4)


def test_actions_are_drawn_from_the_policy():
    logits = torch.tensor([0.3, -0.2, 1.5, 0.9, -1.0, 0.0, 0.4]).expand(20_000, 7)
    noise = torch.empty(20_000, 7).exponential_(generator=torch.Generator().manual_seed(5))
    frequency = torch.bincount(sample_actions(logits, noise), minlength=7) / 20_000
    torch.testing.assert_close(frequency, logits[0].softmax(0), atol=0.015, rtol=0)
    assert (sample_actions(logits, None) == 2).all()


def test_tracker_reports_episodes_and_leaves_out_staggered_ones():
    nan = np.nan
    tracker = EpisodeTracker(2, stagger=True)

    def add(reward, ended, success=(nan, nan)):
        ended = np.array(ended)
        arrays = np.float32(reward), np.zeros(2, bool), ended, np.float32(success)
        return tracker.add(Result(*arrays))

    assert add([5, 1], [True, False]) == []  # cut short by the stagger
    assert add([1, 2], [False, True], (2.5, nan)) == []
    assert add([1, 4], [False, False], (1.5, nan)) == []
    finished = add([3, 7], [True, True])
    assert [i for i, _ in finished] == [0, 1]
    assert [e.ret for _, e in finished] == [5.0, 11.0]
    assert [e.length for _, e in finished] == [3, 2]
    assert [e.success_seconds for _, e in finished] == [[2.5, 1.5], []]
