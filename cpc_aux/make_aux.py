"""From settings to the auxiliary loss; CPC's fast form where that is exact."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn

from cpc_aux.config import AuxConfig
from cpc_aux.cpc import CPC
from cpc_aux.fast import FastCPC

NUM_ENVS = 3  # of the rollout on which the two forms are compared
TOLERANCE = 1e-3  # relative to the norm of the whole
ACCURACY_TOLERANCE = 0.2  # where two candidates nearly tie, rounding decides which one is picked

log = logging.getLogger(__name__)


def make_aux(
    config: AuxConfig,
    embedding_size: int,
    context_size: int,
    num_actions: int,
    num_threads: int = 1,
    fast: bool = True,
    own_share: Callable[[Tensor], Tensor] | None = None,
) -> nn.Module | None:
    """Build the auxiliary loss that config names; None for "none".

    num_threads: cores that share its work on a CPU. fast: compute CPC by cpc_aux.fast where that
    can do it and gives what plain PyTorch gives on random rows; where it does not, one line says
    so.

    own_share: see `CPC`.

    Raises ValueError if the config is invalid.
    """
    config.validate()
    if config.name == "none":
        return None
    sizes = embedding_size, context_size, num_actions
    if not isinstance(config, AuxConfig):
        return config.build(*sizes)
    head = _make_cpc(config, *sizes, num_threads, fast)
    head.own_share = own_share
    return head


def _make_cpc(
    config: AuxConfig,
    embedding_size: int,
    context_size: int,
    num_actions: int,
    num_threads: int,
    fast: bool,
) -> CPC:
    """CPC in its fast form, if that is wanted and exact."""
    sizes = embedding_size, context_size, num_actions
    linear = config.name == "cpc" and config.predictor == "linear"
    if not fast or not linear:
        return CPC(config, *sizes)
    head = FastCPC(config, *sizes, num_threads)
    if head.pass_name == "plain":
        return head
    with torch.random.fork_rng(devices=[]):
        plain = CPC(config, *sizes)
    plain.load_state_dict(head.state_dict())
    differs = difference(head, plain)
    if differs is None:
        return head
    log.warning("CPC runs in plain PyTorch: its fast form differs in %s.", differs)
    return plain


def difference(head: CPC, plain: CPC) -> str | None:
    """What two forms of the same loss compute differently on random rows, in words, or None."""
    results = []
    for form in (head, plain):
        generator = torch.Generator().manual_seed(0)
        rows, (H, E) = form.horizon + 3, form.maps.shape[1:]
        z, c = (
            torch.randn(rows, NUM_ENVS, n, generator=generator).requires_grad_() for n in (E, H)
        )
        is_first = torch.rand(rows, NUM_ENVS, generator=generator) < 0.1
        loss, metrics = form(z, c, None, is_first, generator)
        gradients = torch.autograd.grad(loss, (z, c, form.maps), materialize_grads=True)
        names = ("embeddings", "contexts", "maps")
        of = zip(names, gradients, strict=True)
        results.append({**metrics, **{f"the gradient of the {name}": g for name, g in of}})
    found, expected = results
    for name, value in expected.items():
        known = ~value.isnan()
        error = torch.linalg.vector_norm((found[name] - value)[known])
        tolerance = ACCURACY_TOLERANCE if "accuracy" in name else TOLERANCE
        if not error <= tolerance * torch.linalg.vector_norm(value[known]):  # nan: no
            return name
    return None
