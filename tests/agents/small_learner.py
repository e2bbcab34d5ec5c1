"""A learner of a small network, and an auxiliary loss with an obvious gradient."""

import torch
from torch import nn

from agents.config import AgentConfig, NetworkConfig
from agents.learner import Learner
from tests.known_answer_envs import RandomEnds

CPU = torch.device("cpu")


class SquareAux(nn.Module):
    """A stand-in with an obvious gradient: mean of (w z + c)^2."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.full((size,), 0.7))
        self.calls = 0
        self.given: tuple = ()

    def forward(self, embedding, context, action, is_first, generator):
        self.given = action.clone(), is_first.clone(), torch.rand((), generator=generator)
        loss = (self.w * embedding + context).square().mean()
        sometimes = torch.tensor([0.0, 1.0, torch.nan if self.calls % 2 else 2.0])
        self.calls += 1
        return loss, {"loss": loss.detach(), "by_horizon": sometimes}


def make_learner(
    env=RandomEnds, num_envs=4, aux=False, aux_weight=0.1, threads=1, seed=1, **config
):
    """`aux`: True for SquareAux, or a class of another loss."""
    settings = {
        "network": NetworkConfig("mlp", 16),
        "unroll_length": 5,
        "learning_rate": 1e-3,
        "total_frames": 10**6,
        "fast": True,
        **config,
    }
    total_frames, fast = settings.pop("total_frames"), settings.pop("fast")
    learner = Learner(
        AgentConfig(**settings), env, num_envs,
        lambda e, h, a: None if not aux else SquareAux(e) if aux is True else aux(e),
        aux_weight, total_frames, seed, CPU, threads, fast=fast,
    )  # fmt: skip
    learner.start()
    return learner


def parameters(learner: Learner) -> list[torch.Tensor]:
    modules = [learner.agent] + ([learner.aux] if learner.aux else [])
    return [p.detach().clone() for m in modules for p in m.parameters()]
