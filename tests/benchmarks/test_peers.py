import csv
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from benchmarks.peers import __main__ as peers
from benchmarks.peers import environments
from benchmarks.peers.environments import ENVIRONMENTS
from benchmarks.peers.plain import RecurrentAgent
from benchmarks.peers.report import Row, markdown, write_report
from benchmarks.peers.setting import Peer, Size, Trainer, make_envs
from benchmarks.train_speed import build_learner
from envs.labsim.vector_env import LabsimVectorEnv

SIZE = Size(threads=1, num_envs=3, unroll_length=5)
FOR_CPC = SIZE._replace(unroll_length=31)  # longer than its horizon
CLOCK = 13  # agent steps until episodes end, in the test of an adapter


def build_installed(name: str, size: Size) -> Trainer:
    """Skip where an optional peer is not installed: the extra "peers" (since 2026-11)."""
    try:
        return peers.PEERS[name].build(size)
    except ImportError as error:
        pytest.skip(f"not installed: {error}")


@pytest.mark.parametrize("name", [name for name in peers.PEERS if name != "sample_factory"])
def test_every_peer_learns_from_what_it_collects(name, monkeypatch):
    """Each rollout makes unroll_length steps of the environments and one step of the optimiser."""
    counts = {"environment": 0, "optimiser": 0}

    def counted(cls: type, method: str, key: str) -> None:
        original: Callable = getattr(cls, method)

        def call(*args, **kwargs):
            counts[key] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(cls, method, call)

    counted(LabsimVectorEnv, "step_into", "environment")
    size = FOR_CPC if name == "ours_cpc" else SIZE
    trainer = build_installed(name, size)
    handle = register_optimizer_step_post_hook(
        lambda *_: counts.__setitem__("optimiser", counts["optimiser"] + 1)
    )
    for _ in range(2):
        trainer.rollout()
    handle.remove()
    trainer.close()
    assert counts == {"environment": 2 * size.unroll_length, "optimiser": 2}


def test_sample_factory_learns_in_processes_of_its_own():
    trainer = build_installed("sample_factory", Size(threads=1, num_envs=2, unroll_length=5))
    for _ in range(2):
        trainer.rollout()
    trainer.close()


def test_all_networks_are_of_the_same_size():
    """Encoder and LSTM; ours reads nine actions and a reward beside the embedding."""
    learner, _ = build_learner("a2c", "none", 1, ("env.num_envs=3", "agent.unroll_length=5"))
    learner.close()
    ours = [tuple(p.shape) for p in learner.agent.parameters()]
    plain = [tuple(p.shape) for p in RecurrentAgent(9).parameters()]
    assert plain[6] == (1024, 256)
    assert ours[6] == (1024, 256 + 9 + 1)
    assert ours[:6] + ours[7:] == plain[:6] + plain[7:]


def test_torchrl_sees_what_labsim_shows():
    """An episode's last observation stands in "next", the next one's first comes from the reset."""
    pytest.importorskip("torchrl", reason="the extra 'peers' is not installed (since 2026-11)")
    from benchmarks.peers.torchrl_a2c import TorchRLEnv

    env, twin = TorchRLEnv(make_envs(SIZE)), make_envs(SIZE)
    obs = np.zeros((3, 72, 96, 3), np.uint8)
    twin.reset_into(range(3), obs)
    data = env.reset()
    for batch in (env.batch, twin):
        batch.level.episode_steps = CLOCK
        for i in range(3):
            batch.level.begin(i, CLOCK - i)
    rng, ends = np.random.default_rng(1), 0
    for _ in range(2 * CLOCK):
        np.testing.assert_array_equal(data["pixels"].numpy(), obs)
        actions = rng.integers(9, size=3)
        result = twin.step_into(actions, obs)
        data["action"] = torch.from_numpy(actions)
        before, data = env.step_and_maybe_reset(data)
        ended = result.terminated | result.truncated
        last = np.where(ended[:, None, None, None], result.final_obs, obs)
        np.testing.assert_array_equal(before["next", "pixels"].numpy(), last)
        np.testing.assert_array_equal(before["next", "done"].numpy()[:, 0], ended)
        ends += int(ended.sum())
    env.close()
    twin.close()
    assert ends >= 3


def test_what_is_not_installed_is_left_out(capsys):
    def missing(size: Size) -> Trainer:
        raise ImportError("no module")

    trainer = Trainer(lambda: None, lambda: None)
    entries = {
        "there": Peer("There", "none", None, 1, lambda size: trainer),
        "missing": Peer("Missing", "none", "pip install it", 1, missing),
    }
    assert peers.build_all(entries, SIZE) == {"there": trainer}
    assert "Missing left out (no module): pip install it" in capsys.readouterr().err


def test_json_has_every_speed_and_the_ratio_to_ours(monkeypatch, capsys, tmp_path):
    def sleeper(slowness: int) -> Callable[[Size], Trainer]:
        return lambda size: Trainer(lambda: peers.time.sleep(0.01 * slowness), lambda: None)

    monkeypatch.setattr(peers, "STEPS_PER_BLOCK", 1)
    monkeypatch.setattr(peers, "prepare_cpu", lambda threads: "a backend")
    # For all of this process: other tests look at the smallest numbers.
    monkeypatch.setattr(peers.torch, "set_flush_denormal", lambda mode: True)
    monkeypatch.setattr(
        peers,
        "PEERS",
        {
            "ours": Peer("ours", "LSTM", None, 1, sleeper(1)),
            "other": Peer("other", "none", None, 4, sleeper(5)),
        },
    )
    monkeypatch.setattr(peers, "ENVIRONMENT_STEPS_PER_BLOCK", 3)
    own = {name: ENVIRONMENTS[name] for name in ("labsim", "labsim_single")}
    monkeypatch.setattr(peers, "ENVIRONMENTS", own)
    peers.main(["--json", "--blocks", "2", "--threads", "1", "--out", str(tmp_path)])
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"ours", "other", *own, "deepmind_lab_recorded"}
    assert all(entry["agent_steps_per_s"] > 0 for entry in result.values())
    assert result["ours"]["ours_is_times_as_fast"] == 1.0
    assert 3 < result["other"]["ours_is_times_as_fast"] < 7
    assert result["other"]["gradient_passes_per_sample"] == 4
    assert (tmp_path / "peers.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environments_step_past_the_end_of_an_episode(name):
    try:
        step, close = ENVIRONMENTS[name].build()
    except ImportError as error:
        pytest.skip(f"not installed, the extra 'peers' (since 2026-11): {error}")
    speeds = environments.measure({name: step}, blocks=1, steps=331)
    close()
    assert speeds[name] > 0


def test_table_and_figure_are_written(tmp_path):
    agents = [
        Row("ours", "ours, A2C", "LSTM 256", 9001.0, 1.0, 1),
        Row("sb3_a2c", "Stable-Baselines3 A2C", "none", 4099.0, 2.2, 1),
    ]
    worlds = [Row("labsim", "labsim", "72 x 96", 40009.0, 1.0)]
    write_report(tmp_path, "a machine", agents, worlds)
    text = (tmp_path / "peers.md").read_text()
    assert text == markdown("a machine", agents, worlds) + "\n"
    assert "| Stable-Baselines3 A2C | none | 1 | 4,099 | 16,396 | 2.20 times |" in text
    with (tmp_path / "peers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["ours", "sb3_a2c", "labsim"]
    assert rows[1]["agent_steps_per_s"] == "4099.0"
    assert rows[2]["gradient_passes_per_sample"] == ""
    assert (tmp_path / "peers.png").stat().st_size > 10_000
