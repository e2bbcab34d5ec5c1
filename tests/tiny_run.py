"""The folder of a finished run with a tiny network that was never trained."""

import dataclasses
from pathlib import Path

import gymnasium
import numpy as np
import torch
import yaml

from agents.config import AgentConfig
from agents.networks import Agent
from configs import compose_runs
from cpc_aux import make_aux
from records import checkpoint

IMAGES = gymnasium.spaces.Box(0, 255, (72, 96, 3), np.uint8)
FRAMES = 1000
EPISODES = "frames,return,length,successes,first_success_seconds,later_success_seconds\n"


def write_run(*settings: str, last_return: float = 3.0) -> Path:
    """Write it below the current folder; `settings` as train_agent.py takes them."""
    tiny = ("agent.network.hidden_size=11", "agent.unroll_length=5", "aux.horizon=3")
    (request,) = compose_runs([*tiny, "env.num_envs=2", f"total_frames={FRAMES}", *settings])
    config = request.config
    assert config is not None, request.error
    run = config.folder
    run.mkdir(parents=True)
    values = dataclasses.asdict(config) | {"starts": [{"git": {"commit": "f00d", "dirty": False}}]}
    (run / "config.yaml").write_text(yaml.safe_dump(values))
    assert isinstance(config.agent, AgentConfig)
    torch.manual_seed(config.seed)
    agent = Agent(IMAGES, 9, config.agent.network)
    aux = make_aux(config.aux, 11, 11, 9, fast=False)
    parameters = {"agent": agent.state_dict(), "aux": aux.state_dict() if aux else {}}
    state = {"learner": {"frames": FRAMES, **parameters}, "metrics": {}}
    checkpoint.save(run / "latest.pt", state)
    (run / "episodes.csv").write_text(EPISODES + f"{FRAMES},{last_return},300,0,,\n")
    return run
