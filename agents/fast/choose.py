"""Which pass an agent takes: a fast one where it is exact, else the plain one."""

import logging
from collections.abc import Callable
from typing import NamedTuple

import gymnasium
from torch import nn

from agents.encoders import DeepEncoder, MLPEncoder
from agents.fast.compare import difference
from agents.fast.cpu_pass import CpuPass, fast_parts
from agents.fast.cuda_graph import CudaGraphPass
from agents.fast.stock import is_stock
from agents.networks import Agent
from agents.passes import Pass, PlainPass
from agents.rollout import Rollout

log = logging.getLogger(__name__)


class ChosenPass(NamedTuple):
    """A pass, and its name for the run's record."""

    make: Callable[[Agent, Rollout], Pass]  # picklable
    name: str
    # It is compared in so many environments that the kernels run all of their blocks, but in fewer
    # where PyTorch's encoder, which may be a slow one, runs on both sides.
    most_envs: int = 32


PLAIN = ChosenPass(PlainPass, "plain")


def choose_pass(
    agent: Agent, obs_space: gymnasium.spaces.Box, num_envs: int, *, fast: bool, graph: bool
) -> ChosenPass:
    """The agent's pass for `num_envs` environments, on the device where it is.

    fast: take a fast one where the agent's parts are exactly those that it was written for, and it
    computes what the plain one does on random rows; where not, one line says why. graph: acting as
    a CUDA graph. Call it before parts of the agent are compiled.
    """
    if not fast:
        return PLAIN
    chosen = ChosenPass(CudaGraphPass, "CUDA graph") if graph else _of_cpu(agent, obs_space.shape)
    if chosen.make is PlainPass:
        return chosen
    differs = difference(chosen.make, agent, obs_space, min(num_envs, chosen.most_envs))
    if differs is None:
        return chosen
    log.warning("The agent runs in plain PyTorch: its fast pass %s.", differs)
    return PLAIN


def _of_cpu(agent: Agent, obs_shape: tuple[int, ...]) -> ChosenPass:
    """The pass of the parts that fit; says so where a part does not that could."""
    if agent.value.weight.device.type != "cpu":
        return PLAIN
    encoder_fits, core_fits = fast_parts(agent, obs_shape)
    if not is_stock(agent, Agent):
        log.warning(
            "The agent runs in plain PyTorch: only agents.networks.Agent, unchanged, "
            "has a fast form."
        )
        return PLAIN
    if not encoder_fits and not isinstance(agent.encoder, DeepEncoder | MLPEncoder):
        log.warning(
            "The encoder runs in plain PyTorch: only agents.encoders.ShallowEncoder, unchanged, "
            "has a fast form, for images [height, width, 3] on AVX2, AVX-512 or NEON."
        )
    if not core_fits and not isinstance(agent.core, nn.Identity):
        log.warning(
            "The core runs in plain PyTorch: only agents.networks.LSTMCore with Agent's heads, "
            "unchanged, has a fast form."
        )
    if encoder_fits and core_fits:
        return ChosenPass(CpuPass, "fast")
    if core_fits:
        return ChosenPass(CpuPass, "fast core, plain encoder", most_envs=3)
    if encoder_fits:
        return ChosenPass(CpuPass, "fast encoder, plain core")
    return PLAIN
