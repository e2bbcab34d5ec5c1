"""An agent that plays a level step by step, and what there is to see of it."""

from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from agents.config import AgentConfig
from agents.evaluation import Playing
from agents.networks import Agent
from agents.sb3.agent import SB3Agent
from agents.state_check import require_form
from configs import RunConfig, TrainedRun
from cpc_aux import CPC
from envs.labsim.vector_env import LabsimVectorEnv
from envs.watch.moment import Moment, Picture
from envs.watch.past_predictions import PastPredictions
from episode_seeds import FIRST_EVALUATION_SEED
from records import checkpoint
from records.weights import Weights

NAMES = {"cpc": "CPC", "cpc_action": "CPC|A"}


class Player:
    """The agent of `run` in one environment of its level, on labsim; one episode after the other.

    Each is opened by `begin`, and then goes on by `step` until `ended`.

    `run`: a run's folder, a checkpoint in it, or a trained agent's folder. `seed` moves to other
    episodes; `greedy` takes the likeliest actions.
    Raises ValueError: there is no such run, or it is not of a level.
    """

    def __init__(self, run: Path, seed: int = 0, greedy: bool = False) -> None:
        # Of the environment's settings only the level's name is used: nothing to be trusted.
        trained = TrainedRun.open(run, trust=True)
        self.config = trained.config
        if self.config.env.backend == "gymnasium":
            raise ValueError(
                f"{run} was trained on {self.config.env.level}, which is not one of the levels; "
                f"python evaluate.py {run} video=FILE.mp4 films it."
            )
        self.frames, self._greedy = trained.weights.frames, greedy
        self.env = LabsimVectorEnv(self.config.env.level, 1)
        self.agent = trained.make_agent(self.env, torch.device("cpu"))
        with checkpoint.fitting(trained.path):
            self.past = past_predictions(self.config, trained.weights, self.agent)
        self._seed = FIRST_EVALUATION_SEED + seed
        self._obs = np.empty((1, *self.env.single_observation_space.shape), np.uint8)
        self._views: deque[Picture] = deque(maxlen=self.past.num_candidates if self.past else 1)
        self.ended = True  # no episode has begun

    @property
    def level(self) -> str:
        """Name of the level."""
        return self.config.env.level

    @property
    def name(self) -> str:
        """The algorithm and how long it has trained."""
        aux, tag = self.config.aux.name, self.config.tag
        arm = "A2C" if aux == "none" else f"A2C + {NAMES.get(aux, aux)}"
        return f"{arm}{f' ({tag})' if tag else ''}, {self.frames:,} frames"

    def begin(self) -> None:
        """Begin the next episode."""
        self.env.reset_into([self._seed], self._obs)
        self._playing = Playing(self.agent, 1, self._seed, self._greedy)
        self._seed += 1
        self.ended = False
        self._step, self._earned, self._reward = 0, 0.0, 0.0
        self._views.clear()
        if self.past is not None:
            self.past.begin()

    @torch.no_grad()
    def step(self) -> Moment:
        """See, choose and act; then `ended` says whether that was the episode's last step."""
        view = self._obs[0].copy()
        output = self._playing.see(self._obs)
        action = self._playing.choose(output)  # [1]
        self._views.append(view)
        hits, picked = None, []
        if self.past is not None:
            hits = self.past.see(output.embedding[0, 0], output.context[0, 0])
            self.past.act(int(action))
            if hits.rank.any():
                picked = [self._views[-1 - age] for age in hits.picked.tolist()]
        moment = Moment(
            self._step, view, self.env.get_top_down(0), self._earned, self._reward,
            float(output.value[0, 0]), output.logits[0, 0].softmax(0).numpy(), int(action),
            hits, picked,
        )  # fmt: skip
        result = self.env.step_into(action.numpy(), self._obs)
        self._playing.acted(action, result)
        self._reward = float(result.reward[0])
        self._earned += self._reward
        self._step += 1
        self.ended = bool(result.terminated[0] or result.truncated[0])
        return moment


def past_predictions(
    config: RunConfig, weights: Weights, agent: Agent | SB3Agent
) -> PastPredictions | None:
    """CPC with its `weights`, or None where the run has no CPC.

    Raises ValueError: they are not of such a head.
    """
    if config.aux.name not in ("cpc", "cpc_action") or not isinstance(config.agent, AgentConfig):
        return None
    state = dict(weights.aux)
    linear = config.aux.predictor == "linear" and config.aux.name == "cpc"
    kept = state.pop("steps", None) if linear else None  # an agent to hand on has not all maps
    steps = range(1, config.aux.horizon + 1) if kept is None else kept.tolist()
    if not steps or not all(isinstance(k, int) and 1 <= k <= config.aux.horizon for k in steps):
        raise ValueError(f"aux.steps must lie between 1 and {config.aux.horizon}")
    assert isinstance(agent, Agent)
    size = agent.hidden_size
    head = CPC(replace(config.aux, horizon=len(steps)), size, size, agent.num_actions)
    require_form(state, head.state_dict(), "aux")
    head.load_state_dict(state)
    return PastPredictions(head.predict, list(steps), config.agent.unroll_length + 1)
