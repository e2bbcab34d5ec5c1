"""The example of docs/add_an_auxiliary_loss.md does what the page says."""

import re
import shutil
import sys
import types
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

import train_agent
from configs import compose, learners
from cpc_aux import config, make_aux
from cpc_aux.config import CONFIGS
from tests.known_answer_envs import RandomEnds

T, B, E, H, ACTIONS = 11, 3, 5, 7, 2
PAGE = (Path(__file__).parents[2] / "docs" / "add_an_auxiliary_loss.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The page's cpc_aux/inverse.py, and the lines that name it."""
    module = types.ModuleType("cpc_aux.inverse")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(config, "CONFIGS", dict(CONFIGS))
    code, names = blocks("python")
    exec(code, module.__dict__)
    exec(names, config.__dict__)
    monkeypatch.delitem(config.__dict__, "InverseConfig")
    return module


@pytest.fixture
def head(example: types.ModuleType) -> nn.Module:
    torch.manual_seed(1)
    made = make_aux(example.InverseConfig(), E, H, ACTIONS)
    assert isinstance(made, example.Inverse)
    return made


def test_the_example_is_an_auxiliary_loss(head: nn.Module) -> None:
    embedding = torch.randn(T + 1, B, E, requires_grad=True)
    context = torch.randn(T + 1, B, H, requires_grad=True)
    action = torch.randint(ACTIONS, (T, B))
    is_first = torch.zeros(T + 1, B, dtype=torch.bool)
    is_first[6, 1] = True
    loss, metrics = head(embedding, context, action, is_first, torch.Generator())
    loss.backward()
    assert not any(value.requires_grad for value in metrics.values())
    assert embedding.grad is not None
    assert context.grad is not None
    assert not embedding.grad[6, 1].any()  # reached from another episode
    assert not context.grad[5, 1].any()  # leads into another episode
    assert embedding.grad[1:6].abs().sum(-1).all()
    is_first[:] = True
    assert head(embedding, context, action, is_first, torch.Generator())[0].item() == 0


def test_the_example_learns(head: nn.Module) -> None:
    optimizer = torch.optim.Adam(head.parameters(), lr=0.03)
    is_first = torch.zeros(T + 1, B, dtype=torch.bool)
    for _ in range(100):
        action = torch.randint(ACTIONS, (T, B))
        embedding = torch.randn(T + 1, B, E)
        embedding[1:, :, 0] = 2.0 * action  # the action shows in what is seen next
        context = torch.randn(T + 1, B, H)
        loss, metrics = head(embedding, context, action, is_first, torch.Generator())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert metrics["accuracy"] > 0.9


def test_the_page_followed_to_the_letter_trains_to_the_end(
    example: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Through the command, with both arms and a setting of the example's own."""
    folder = tmp_path / "configs"
    shutil.copytree(compose.FOLDER, folder)
    (settings,) = blocks("yaml")
    (folder / "aux" / "inverse.yaml").write_text(settings)
    monkeypatch.setattr(compose, "FOLDER", folder)
    monkeypatch.setattr(
        learners, "make_vec_env", lambda config, num_envs, **_: RandomEnds(num_envs)
    )
    monkeypatch.chdir(tmp_path)
    tiny = [
        "agent.network.encoder=mlp", "agent.network.hidden_size=11", "agent.unroll_length=5",
        "env.num_envs=3", "threads=1", "device=cpu", "total_frames=600", "log.every_frames=300",
    ]  # fmt: skip
    assert train_agent.main([*tiny, "-m", "aux=none,inverse"]) == 0
    assert train_agent.main([*tiny, "aux=inverse", "aux.hidden_size=5", "tag=small"]) == 0
    runs = tmp_path / "runs" / "labsim" / "room_watermaze" / "a2c_laptop"
    run = runs / "inverse-small" / "seed_1"
    written = yaml.safe_load((run / "config.yaml").read_text())
    assert written["aux"] == {"name": "inverse", "weight": 0.03, "hidden_size": 5}
    assert "aux/accuracy" in (run / "progress.csv").read_text()
    assert not (run / "cpc.png").exists()
    assert (runs / "returns-small.png").exists()
    assert capsys.readouterr().err == ""
    assert train_agent.main([*tiny, "aux=inverse", "aux.hidden_size=0"]) != 0
    assert capsys.readouterr().err == "aux.hidden_size is 0; it must be at least 1.\n"
