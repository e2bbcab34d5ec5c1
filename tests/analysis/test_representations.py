"""What is recorded of a network that plays, and that it belongs together."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import train_agent
from agents.networks import AgentOutput, CoreState
from analysis import linear_probes, probes, representations
from analysis.probe_table import read_rows
from analysis.representations import load_run, make_networks, record, reward_facts
from configs import make_learner
from envs.labsim.vector_env import LabsimVectorEnv
from records.settings import load_settings

LEVEL = "seekavoid_arena_01"
RUN = Path("runs/labsim") / LEVEL / "a2c_laptop/cpc/seed_3"
TINY = (
    f"env={LEVEL}", "env.num_envs=2", "agent.network.hidden_size=11", "agent.unroll_length=5",
    "aux=cpc", "aux.horizon=2", "aux.anchors=3", "threads=1", "device=cpu", "seed=3",
)  # fmt: skip
FORWARD = 0  # of the actions

pytestmark = pytest.mark.slow  # trains


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a run of two updates."""
    path = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        assert train_agent.main([*TINY, "total_frames=80"]) == 0
    return path


@pytest.fixture(autouse=True)
def in_root(monkeypatch, root):
    monkeypatch.chdir(root)


def slow_reward_facts(rewards, lengths, terminated):
    """One step of one episode after the other, as the words say; 15 steps are a second."""
    seconds = np.full((*rewards.shape, 1), np.nan)
    within = {1: np.full(rewards.shape, -1), 3: np.full(rewards.shape, -1)}
    for b, length in enumerate(lengths):
        for t in range(length):
            past = [s for s in range(t) if rewards[s, b] > 0]
            if past:
                seconds[t, b] = (t - past[-1] - 1) / 15
            for window, values in within.items():
                future = range(t, min(t + 15 * window, length))
                if terminated[b] or t + 15 * window <= length:
                    values[t, b] = any(rewards[s, b] > 0 for s in future)
    return {
        "seconds since reward": seconds,
        **{f"reward within {window} s": values for window, values in within.items()},
    }


def test_reward_facts_are_those_of_the_plain_loop():
    rng = np.random.default_rng(1)
    rewards = rng.choice([-1.0, 0.0, 1.0], (97, 5), p=(0.05, 0.9, 0.05)).astype(np.float32)
    lengths, terminated = np.array([97, 89, 61, 53, 7]), np.array([0, 0, 1, 0, 1], bool)
    facts = reward_facts(rewards, lengths, terminated)
    expected = slow_reward_facts(rewards, lengths, terminated)
    inside = np.arange(97)[:, None] < lengths
    assert list(facts) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(facts[name][inside], values[inside], err_msg=name)
        assert facts[name].dtype == values.dtype


class Mirror(torch.nn.Module):
    """Walks on; its embedding is the picture's mean, its context what else it is given."""

    sign = 1

    def initial_state(self, batch_size):
        return CoreState(torch.zeros(batch_size, 1), torch.zeros(batch_size, 1))

    def to(self, device):
        return self

    def encode(self, obs):
        return self.sign * obs.float().mean(dim=(2, 3, 4)).unsqueeze(-1)

    def unroll_core(self, embedding, last_action, last_reward, is_first, core_state):
        logits = torch.full((*is_first.shape, 9), -1e9)
        logits[..., FORWARD] = 0.0
        given = torch.stack([last_reward, last_action.float(), is_first.float()], dim=-1)
        count = core_state.hidden + 1
        memory = torch.cat([given, count.unsqueeze(0)], dim=-1)
        return AgentOutput(logits, logits[..., 0], embedding, memory), CoreState(count, count)


def test_codes_and_facts_are_of_the_same_step(monkeypatch):
    """Facts are read from a state; drawn anew, it is the picture that the network saw."""
    env = LabsimVectorEnv(LEVEL, 13)
    pictures = np.empty((13, 72, 96, 3), np.uint8)

    class Negative(Mirror):
        sign = -1

    def redraw(level, state):
        env.set_state(state)
        env.render_into(pictures)
        return {"picture": pictures.astype(np.float32).mean(axis=(1, 2, 3))[:, None]}

    monkeypatch.setattr(representations, "read_facts", redraw)
    monkeypatch.setattr(representations, "make_networks", lambda *_: (Mirror(), Negative()))
    seeds = []
    reset = LabsimVectorEnv.reset_into
    monkeypatch.setattr(
        LabsimVectorEnv,
        "reset_into",
        lambda env, own, obs: seeds.extend(own) or reset(env, own, obs),
    )
    played = record(RUN, episodes=13, rows=13 * 100)
    env.close()
    assert seeds == list(range(2**30, 2**30 + 13)), "which training never uses"
    every = 3  # of an episode's 300 steps
    assert (played.episode == np.tile(np.arange(13), 100)).all()
    for network, sign in (("trained", 1), ("untrained", -1)):
        np.testing.assert_allclose(
            played.codes[network, "z"], sign * played.facts["picture"], rtol=1e-4, err_msg=network
        )
        reward, action, first, count = played.codes[network, "c"].T
        assert (count == np.repeat(1 + every * np.arange(100), 13)).all()  # each step once
        assert (first == (count == 1)).all()
        assert (action == np.where(first, -1, FORWARD)).all()
        since = played.facts["seconds since reward"][:, 0]
        assert (since[reward > 0] == 0).all()
        assert (reward > 0).sum() > 0


def test_networks_are_the_checkpoints_and_the_one_that_training_began_with():
    run = load_run(RUN)
    env = LabsimVectorEnv(LEVEL, 1)
    trained, untrained = (agent.state_dict() for agent in make_networks(run, env))
    env.close()
    assert all(torch.equal(trained[name], run.weights.agent[name]) for name in trained)
    learner = make_learner(run.config, torch.device("cpu"), 1)
    first = learner.agent.state_dict()
    assert all(torch.equal(untrained[name], first[name]) for name in first)
    assert not torch.equal(trained["policy.weight"], untrained["policy.weight"])


def test_command(tmp_path, capsys, monkeypatch):
    for name in ("RIDGE_STRENGTHS", "LOGISTIC_STRENGTHS"):  # a choice takes time
        monkeypatch.setattr(linear_probes, name, getattr(linear_probes, name)[:1])
    out = tmp_path / "probes"
    command = [str(RUN), "--episodes", "13", "--rows", "130", "--out", str(out), "--device", "cpu"]
    assert probes.main(command) == 0
    printed = capsys.readouterr().out
    table = (out / "probes.md").read_text()
    assert table in printed
    assert "| fact | measure, chance | A2C + CPC, untrained: z | A2C + CPC, untrained" in table
    assert (out / "probes.png").stat().st_size > 0
    rows = read_rows(out / "probes.csv")
    assert {(row.level, row.arm, row.seed, row.frames) for row in rows} == {
        (LEVEL, "A2C + CPC", 3, 80)
    }
    assert len({(row.network, row.code, row.fact) for row in rows}) == len(rows) == 4 * 9


@pytest.mark.parametrize("name", ["probes.csv", "probes.md", "probes.png"])
def test_tables_that_cannot_be_written_are_noticed_before_playing(name, tmp_path, capsys):
    (tmp_path / name).mkdir()
    assert probes.main(["nowhere", "--out", str(tmp_path)]) == 2
    assert f"{tmp_path / name} is a folder; it must be a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere"], "there is no folder nowhere"),
        ([str(RUN), "--episodes", "5"], "--episodes is 5; it must be at least 12"),
        ([str(RUN), "--rows", "7"], "--rows is 7; it must be at least --episodes, 64"),
        (["bare/seed_1"], "There is no checkpoint bare/seed_1/latest.pt."),
        (["mini/seed_1"], "mini/seed_1 was trained on miniworld"),
        (["sb3/seed_1"], "sb3/seed_1 was trained by Stable-Baselines3"),
    ],
)
def test_what_cannot_be_probed_is_said_in_a_sentence(root, capsys, arguments, expected):
    settings = load_settings(RUN)
    changes = {
        "bare": {},
        "mini": {"env": settings["env"] | {"backend": "miniworld"}},
        "sb3": {"agent": {"n_steps": 5}, "aux": {"name": "none"}},
    }
    for name, change in changes.items():
        folder = root / name / "seed_1"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(settings | change))
    assert probes.main(arguments) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.count("\n") == 1
