"""A head and one rollout: what the tests of CPC are made of."""

import itertools

import torch
from torch import Tensor

from cpc_aux import AuxConfig
from cpc_aux.config import PREDICTORS
from cpc_aux.fast import FastCPC

T, B, E, H, K, ACTIONS = 11, 3, 16, 16, 4, 2
VARIANTS = list(itertools.product(("cpc", "cpc_action"), PREDICTORS))


class Case:
    """A head and one rollout; `run` gives the loss and the gradients of z, c and the maps."""

    def __init__(
        self,
        name: str = "cpc",
        anchors: int | None = None,
        negatives: str = "sequence",
        predictor: str = "linear",
        trains: str = "both",
    ) -> None:
        torch.manual_seed(1)
        config = AuxConfig(
            name, K, trains=trains, negatives=negatives, anchors=anchors, predictor=predictor
        )
        self.head = FastCPC(config, E, H, ACTIONS)
        self.z = torch.randn(T + 1, B, E)
        self.c = torch.randn(T + 1, B, H)
        self.action = torch.randint(ACTIONS, (T, B))
        self.is_first = torch.zeros(T + 1, B, dtype=torch.bool)

    def __call__(self, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        return self.head(self.z, self.c, self.action, self.is_first, generator)

    def run(self) -> tuple[Tensor, ...]:
        z, c = self.z.requires_grad_(), self.c.requires_grad_()
        loss, _ = self()
        gradients = torch.autograd.grad(loss, (z, c, self.head.maps), materialize_grads=True)
        self.z, self.c = z.detach(), c.detach()
        return loss.detach(), *gradients


def assert_same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> None:
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b)
