"""The example of docs/add_an_auxiliary_loss.md does what the page says."""

import re
from pathlib import Path

import torch
import yaml
from torch import nn

from cpc_aux import AuxConfig

T, B, E, H, ACTIONS = 11, 3, 5, 7, 2
PAGE = (Path(__file__).parents[2] / "docs" / "add_an_auxiliary_loss.md").read_text()


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return text


def make_example() -> nn.Module:
    names: dict[str, type[nn.Module]] = {}
    exec(block("python"), names)
    torch.manual_seed(1)
    return names["Inverse"](E, H, ACTIONS)


def test_the_example_is_an_auxiliary_loss() -> None:
    head = make_example()
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


def test_the_example_learns() -> None:
    head = make_example()
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


def test_the_settings_of_the_example_fit_the_schema() -> None:
    settings = yaml.safe_load(block("yaml"))
    config = AuxConfig(**settings)
    config.name = "cpc"  # the page adds the example's name to those allowed
    config.validate()
