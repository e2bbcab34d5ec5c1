"""A trained agent on disk, with the settings that it was trained with."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from agents.batched_env import BatchedEnv
from agents.networks import Agent
from agents.sb3.agent import SB3Agent
from configs.learners import load_agent
from configs.run_config import RunConfig
from configs.stored_run import config_of_run
from records import checkpoint
from records.weights import Weights, find_weights, load_weights


@dataclass(frozen=True)
class TrainedRun:
    """The settings and weights of a run, one of its checkpoints, or an agent to hand on."""

    path: Path  # of the file with the weights
    config: RunConfig

    @classmethod
    def open(cls, run: Path, trust: bool = False) -> "TrainedRun":
        """Of a run's folder, a checkpoint in it, or a folder that analysis.pretrained has made.

        `trust`, and ValueError: as `config_of_run`. The weights are read when asked for.
        """
        path = find_weights(run)
        return cls(path, config_of_run(path.parent, trust))

    @cached_property
    def weights(self) -> Weights:
        """What the run has learned. Raises ValueError: no file, or a damaged one."""
        return load_weights(self.path)

    def make_agent(self, env: BatchedEnv, device: torch.device) -> Agent | SB3Agent:
        """The trained agent on `device`, for observations and actions as those of `env`.

        Raises ValueError: the weights are no such agent's.
        """
        with checkpoint.fitting(self.path):
            return load_agent(self.config, self.weights.agent, env, device)
