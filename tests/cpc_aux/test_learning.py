"""CPC on toys whose answer is known: it learns, up to what can be known and no further."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from agents.a2c import RMSprop
from cpc_aux import CPC, AuxConfig

Rollout = tuple[Tensor, Tensor, Tensor]  # embedding [T+1, B, E], context [T+1, B, H], action [T, B]


def shifted(rows: Tensor, horizon: int) -> Tensor:
    """What lies 1..horizon rows ahead of each row, side by side: [T+1, B, E] -> [T+1, B, K*E]."""
    ahead = [torch.cat([rows[k:], rows[-1:].expand(k, -1, -1)]) for k in range(1, horizon + 1)]
    return torch.cat(ahead, -1)


def never_first(embedding: Tensor) -> Tensor:
    return torch.zeros(embedding.shape[:2], dtype=torch.bool)


@pytest.mark.parametrize(
    ("learning_rate", "eps", "bias_correction", "factor", "reaches"),
    [
        (4.8e-4, 0.1, False, 100 * 32, 0.8),  # a2c
        (5e-4, 1e-5, True, 100 * 32, 0.4),  # small epsilon: equal steps, however large the gradient
        (4e-3, 0.1, False, 100 * 32, 0.8),
        (4.8e-4, 0.1, False, 1, None),
    ],
)
def test_maps_leave_chance_under_rmsprop_if_the_mean_loss_is_multiplied(
    learning_rate: float, eps: float, bias_correction: bool, factor: float, reaches: float | None
) -> None:
    num_steps, num_envs, size, horizon = 100, 32, 17, 3
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    head = CPC(AuxConfig("cpc", horizon), size, horizon * size, 9)  # all else as by default
    optimizer = RMSprop(head.parameters(), learning_rate, 0.99, eps, bias_correction)
    action = torch.zeros(num_steps, num_envs, dtype=torch.long)
    for _ in range(300):
        embedding = torch.randn(num_steps + 1, num_envs, size, generator=generator)
        context = shifted(embedding, horizon)  # knows the whole future
        loss, metrics = head(embedding, context, action, never_first(embedding), generator)
        optimizer.zero_grad()
        (factor * loss).backward()
        optimizer.step()
    assert metrics["chance"].item() == pytest.approx(1 / 101)
    if reaches is not None:
        assert metrics["accuracy"] > reaches
        assert metrics["bound"] > 0.625 * reaches * math.log(101)
    else:
        assert metrics["accuracy"] < 0.05


def noisy_symbols(noise: float, generator: torch.Generator) -> Rollout:
    """Independent symbols out of 5; the context sees the next two through a noisy channel."""
    symbols = torch.randint(5, (14, 11), generator=generator)
    other = torch.randint(5, (14, 11), generator=generator)
    flipped = torch.rand(14, 11, generator=generator) < noise
    seen = F.one_hot(torch.where(flipped, other, symbols), 5).float()
    return F.one_hot(symbols, 5).float(), shifted(seen, 2), torch.zeros(13, 11, dtype=torch.long)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_bound_reaches_the_mutual_information(noise: float) -> None:
    # p(seen = true symbol) = 1 - noise + noise / 5, each of the four others: noise / 5.
    channel = torch.tensor([1 - noise + noise / 5, *[noise / 5] * 4])
    information = math.log(5) - torch.special.entr(channel).sum().item()  # 1.61 or 0.42 nats
    config = AuxConfig("cpc", 2, negatives="pool", anchors=None)
    bounds = train(config, 10, lambda generator: noisy_symbols(noise, generator))["bound"]
    assert information - 0.05 < bounds < information + 0.02


def ring_walk(generator: torch.Generator) -> Rollout:
    """A walk on a ring of 7 places; actions step back, stay or step on. All is seen at once."""
    action = torch.randint(3, (13, 11), generator=generator)
    start = torch.randint(7, (1, 11), generator=generator)
    place = torch.cat([start, start + (action - 1).cumsum(0)]) % 7  # [T+1, B]
    seen = F.one_hot(place, 7).float()
    return seen, seen, action


@pytest.mark.parametrize("predictor", ["linear", "gru"])
def test_knowing_the_actions_helps_where_the_future_depends_on_them(predictor: str) -> None:
    bounds = {}
    for name in ("cpc", "cpc_action"):
        config = AuxConfig(name, 2, negatives="pool", anchors=None, predictor=predictor)
        bounds[name] = train(config, 7, ring_walk)["bound"]
    # After one random step 3 places are possible, after two 5 (in 1, 2, 3, 2, 1 ways of 9).
    unknown = [math.log(3), -sum(n / 9 * math.log(n / 9) for n in (1, 2, 3, 2, 1))]
    without_actions = math.log(7) - sum(unknown) / 2  # 0.69 nats of log 7 = 1.95
    assert bounds["cpc"] < without_actions + 0.02
    assert bounds["cpc_action"] > without_actions + 0.7


def train(
    config: AuxConfig, context_size: int, draw: Callable[[torch.Generator], Rollout]
) -> dict[str, float]:
    """Train a head on fresh rollouts; the mean metrics of the last 50 of 250 updates."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    embedding, _, action = draw(generator)
    head = CPC(config, embedding.shape[-1], context_size, int(action.max()) + 1)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.03)
    history = []
    for _ in range(250):
        embedding, context, action = draw(generator)
        loss, metrics = head(embedding, context, action, never_first(embedding), generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append({name: metrics[name].item() for name in ("accuracy", "bound")})
    return {name: sum(row[name] for row in history[-50:]) / 50 for name in history[0]}
