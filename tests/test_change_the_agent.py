"""The three examples of docs/change_the_agent.md, followed to the letter, train and play."""

import re
import shlex
import shutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import gymnasium
import numpy as np
import pytest
import torch
import yaml
from torch import nn

import evaluate
import train_agent
from agents.encoders import ENCODER_CLASSES
from agents.networks import CORE_CLASSES, Agent, CoreState, NetworkConfig
from configs import compose, compose_runs
from cpc_aux import make_aux
from cpc_aux.config import CONFIGS

T, B, E, H, ACTIONS = 11, 3, 5, 7, 2
PAGE = (Path(__file__).parents[1] / "docs" / "change_the_agent.md").read_text()
# Text, language, code, text, language, code, ...
PARTS = re.split(r"^```(\w+)\n(.*?)^```\n", PAGE, flags=re.DOTALL | re.MULTILINE)
BLOCKS = list(zip(PARTS[::3], PARTS[1::3], PARTS[2::3], strict=False))
# A file, and what is to be added to it; the file is the last one that the text before it names.
EDITS = [
    (re.findall(r"`((?:agents|cpc_aux|configs)/\S+)`", text)[-1], code)
    for text, language, code in BLOCKS
    if language != "sh"
]
COMMANDS = [code.splitlines() for _, language, code in BLOCKS if language == "sh"]
LEVEL = Path("runs/labsim/seekavoid_arena_01/a2c_laptop")


@pytest.fixture(autouse=True)
def _changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The project with all changes of the page, an empty folder to run in, and one core.

    The processes of other cores would not see what is changed in this one alone.
    """
    monkeypatch.chdir(tmp_path)
    shutil.copytree(compose.FOLDER, tmp_path / "configs")
    monkeypatch.setattr(compose, "FOLDER", tmp_path / "configs")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for command in (train_agent, evaluate):
        monkeypatch.setattr(command, "available_cores", lambda: 1)
    with (
        mock.patch.dict(ENCODER_CLASSES),
        mock.patch.dict(CORE_CLASSES),
        mock.patch.dict(CONFIGS),
    ):
        for path, code in EDITS:
            if path.endswith(".yaml"):
                Path(path).write_text(code)
                continue
            name = path.removesuffix(".py").replace("/", ".")
            if name not in sys.modules:  # a new file
                monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
            exec(compile(code, path, "exec"), vars(sys.modules[name]))
        yield


@pytest.mark.parametrize(
    ("commands", "folder", "line", "used"),
    [
        (COMMANDS[0], "none-strided", "The encoder runs", {"agent": "fast core, plain encoder"}),
        (COMMANDS[1], "none-gru", "The core runs", {"agent": "fast encoder, plain core"}),
        (COMMANDS[2], "inverse", None, {"agent": "fast", "aux": "plain"}),
    ],
    ids=["encoder", "core", "auxiliary loss"],
)
def test_the_page_followed_to_the_letter(commands, folder, line, used, caplog, capsys):
    train, play = (shlex.split(command) for command in commands)
    assert train[:2] == ["python", "train_agent.py"]
    assert play[:2] == ["python", "evaluate.py"]
    assert train_agent.main(train[2:]) == 0
    run = LEVEL / folder / "seed_1"
    assert Path(play[2]) == run
    said = [message.split(" in plain")[0] for message in caplog.messages]
    assert said == ([] if line is None else [line])
    written = yaml.safe_load((run / "config.yaml").read_text())
    assert written["starts"][0]["passes"] == used
    rows = (run / "progress.csv").read_text().splitlines()
    assert 20_000 <= int(rows[-1].split(",")[0]) < 25_000
    assert evaluate.main(play[2:]) == 0
    captured = capsys.readouterr()
    assert "mean return" in captured.out
    assert captured.err == ""
    if folder == "inverse":
        assert written["aux"] == {"name": "inverse", "weight": 0.03, "hidden_size": 16}
        assert "aux/accuracy" in rows[0]
        assert not (run / "cpc.png").exists(), "a loss without horizons has no figure"


def test_an_unknown_name_and_a_wrong_setting_are_refused(capsys):
    assert train_agent.main(["agent.network.core=gruu"]) == 2
    assert train_agent.main(["aux=inverse", "aux.hidden_size=0"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "agent.network.core is 'gruu'; allowed: lstm, gru, none.",
        "aux.hidden_size is 0; it must be at least 1.",
    ]


def test_a_sweep_holds_both_arms_settings_and_a_file_may_leave_its_name_out():
    requests = compose_runs(["aux=none,inverse", "aux.hidden_size=7"], multirun=True)
    assert [request.error for request in requests] == [None, None]
    assert requests[0].config == compose_runs(["aux=none"])[0].config
    assert requests[1].config.aux.hidden_size == 7
    (compose.FOLDER / "aux/inverse.yaml").write_text("hidden_size: 7\n")
    (request,) = compose_runs(["aux=inverse"])
    assert request.config.aux == CONFIGS["inverse"](hidden_size=7)
    (compose.FOLDER / "aux/forgotten.yaml").write_text("hidden_size: 7\n")
    (request,) = compose_runs(["aux=forgotten"])
    allowed = "none, cpc, cpc_action, inverse"
    assert str(request.error) == f"aux.name is 'forgotten'; allowed: {allowed}."


def test_the_core_gives_the_same_in_one_go_and_row_by_row():
    torch.manual_seed(1)
    space = gymnasium.spaces.Box(-1, 1, (E,), np.float32)
    agent = Agent(space, ACTIONS, NetworkConfig("mlp", H, core="gru"))
    rows = torch.randn(T, B, E), torch.randint(ACTIONS, (T, B)), torch.randn(T, B)
    is_first = torch.zeros(T, B, dtype=torch.bool)
    is_first[6, 1] = True
    memory = CoreState(*torch.randn(2, B, H))
    whole, end = agent.unroll(*rows, is_first, memory)
    for t in range(T):
        row = slice(t, t + 1)
        output, memory = agent.unroll(*(x[row] for x in rows), is_first[row], memory)
        torch.testing.assert_close(output.context[0], whole.context[t])
    torch.testing.assert_close(memory.hidden, end.hidden)
    fresh, _ = agent.unroll(*(x[6:7] for x in rows), is_first[6:7], agent.initial_state(B))
    torch.testing.assert_close(whole.context[6, 1], fresh.context[0, 1])


def inverse() -> nn.Module:
    torch.manual_seed(1)
    head = make_aux(CONFIGS["inverse"](), E, H, ACTIONS)
    assert head is not None
    return head


def test_the_auxiliary_loss_joins_no_two_episodes():
    embedding = torch.randn(T + 1, B, E, requires_grad=True)
    context = torch.randn(T + 1, B, H, requires_grad=True)
    action = torch.randint(ACTIONS, (T, B))
    is_first = torch.zeros(T + 1, B, dtype=torch.bool)
    is_first[6, 1] = True
    head = inverse()
    loss, metrics = head(embedding, context, action, is_first, torch.Generator())
    loss.backward()
    assert not any(value.requires_grad for value in metrics.values())
    assert not embedding.grad[6, 1].any()  # reached from another episode
    assert not context.grad[5, 1].any()  # leads into another episode
    assert embedding.grad[1:6].abs().sum(-1).all()
    is_first[:] = True
    assert head(embedding, context, action, is_first, torch.Generator())[0].item() == 0


def test_the_auxiliary_loss_learns():
    head = inverse()
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
