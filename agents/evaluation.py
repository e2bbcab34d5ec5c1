"""Playing episodes with a trained agent, and what their mean return tells."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents.batched_env import BatchedEnv, StepResult, episode_ended
from agents.devices import one_thread
from agents.episodes import Episode, EpisodeTracker
from agents.networks import Agent, AgentOutput
from agents.passes import sample_actions
from agents.sb3.agent import SB3Agent
from episode_seeds import FIRST_EVALUATION_SEED

RESAMPLES = 9999
NUMBERS_AT_ONCE = 10**6  # that are resampled; all of them together may be gigabytes
MAX_LOST_STEPS = 10  # or as many as there were episodes
MAX_EPISODE_STEPS = 10**6  # agent steps, far beyond any level's: an episode that does not end


class EpisodesLostError(Exception):
    """Environments fail more often than they end an episode, or one has no end."""


class Playing:
    """An agent that plays B environments step by step, and what it keeps between two steps.

    `see` the observations, `choose` actions, step the environments, then tell what was `acted`.
    `seed`: of the actions; `greedy`: take the most likely one instead of sampling.
    """

    def __init__(
        self, agent: Agent | SB3Agent, num_envs: int, seed: int = 0, greedy: bool = False
    ) -> None:
        self.agent = agent
        self._core_state = agent.initial_state(num_envs)
        self._device = self._core_state.hidden.device
        self._generator = torch.Generator(self._device).manual_seed(seed)
        self._greedy = greedy
        self._last_action = torch.full((num_envs,), -1)
        self._last_reward = torch.zeros(num_envs)
        self._is_first = torch.ones(num_envs, dtype=torch.bool)

    @torch.no_grad()
    def see(self, obs: np.ndarray) -> AgentOutput:
        """The agent's outputs [1, B, ...] for the observations [B, ...] of all environments."""
        output, self._core_state = self.agent.unroll_core(
            self.agent.encode(torch.from_numpy(obs).to(self._device).unsqueeze(0)),
            self._last_action.to(self._device).unsqueeze(0),
            self._last_reward.to(self._device).unsqueeze(0),
            self._is_first.unsqueeze(0),
            self._core_state,
        )
        return output

    def choose(self, output: AgentOutput) -> Tensor:
        """Actions [B], on the host, of the policy in `output`."""
        logits = output.logits[0]  # [B, A]
        noise = torch.empty_like(logits).exponential_(generator=self._generator)
        return sample_actions(logits, None if self._greedy else noise).cpu()

    def acted(self, action: Tensor, result: StepResult) -> None:
        """Keep for the next step what action [B] (on the host) has led to."""
        self._is_first = torch.from_numpy(episode_ended(result))
        reward = torch.from_numpy(result.reward).clamp(-1, 1)
        self._last_action = torch.where(self._is_first, -1, action)
        self._last_reward = torch.where(self._is_first, 0.0, reward)


@one_thread()  # the environments have the other cores
def evaluate(
    agent: Agent | SB3Agent,
    env: BatchedEnv,
    episodes: int,
    seed: int = FIRST_EVALUATION_SEED,
    greedy: bool = False,
    watch: Callable[[np.ndarray], object] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Episode]:
    """Return `episodes` whole episodes of `agent` in `env`, in the order of the environments.

    Every environment plays its share, decided beforehand: taking the first ones to finish would
    favour short episodes. `seed`: environment i starts with seed + i. `greedy`: take the most
    likely action instead of sampling. `watch` is given each observation of environment 0's first
    episode before the agent acts on it, and of what a failure of the environment cut off before;
    `progress`, after each step, how many episodes have ended.

    Raises EpisodesLostError: environments failed in more than MAX_LOST_STEPS steps, and more often
    than episodes ended; or an episode has not ended after MAX_EPISODE_STEPS steps.
    """
    B = env.num_envs
    share = [episodes // B + (i < episodes % B) for i in range(B)]
    played: list[list[Episode]] = [[] for _ in range(B)]
    tracker = EpisodeTracker(B, stagger=False)
    playing = Playing(agent, B, seed, greedy)
    space = env.single_observation_space
    obs = np.empty((B, *space.shape), space.dtype)
    env.reset_into(range(seed, seed + B), obs)
    lost_steps = 0
    while any(len(done) < wanted for done, wanted in zip(played, share, strict=True)):
        if watch is not None and not played[0]:
            watch(obs[0])
        action = playing.choose(playing.see(obs))
        result = env.step_into(action.numpy(), obs)
        playing.acted(action, result)
        for i, episode in tracker.add(result):
            if len(played[i]) < share[i]:
                played[i].append(episode)
        done = sum(map(len, played))
        if progress is not None:
            progress(done)
        lost_steps += result.lost is not None and bool(result.lost.any())
        if lost_steps > max(MAX_LOST_STEPS, done):
            cause = getattr(env, "last_failure", None)
            raise EpisodesLostError(
                f"environments failed {lost_steps} times while {done} episodes ended; {cause}"
            )
        if max(tracker.length) >= MAX_EPISODE_STEPS:
            raise EpisodesLostError(
                f"an episode has not ended after {MAX_EPISODE_STEPS:,} steps; the environment "
                "needs a time limit, such as gymnasium.register(..., max_episode_steps=N)"
            )
    return [episode for done in played for episode in done]


def mean_with_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return (mean, low, high): a 95 % percentile-bootstrap interval of the mean over `values`.

    It covers the chance in the episodes of one trained agent, not the spread between trainings.
    One value has no interval: low and high are NaN.
    """
    from scipy import stats  # here, because it would take a third of training's start

    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    interval = stats.bootstrap(
        (np.asarray(values, dtype=float),),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, NUMBERS_AT_ONCE // len(values)),
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return mean, float(interval.low), float(interval.high)


def quantities(episodes: list[Episode]) -> dict[str, tuple[str, list[float], str]]:
    """Return what is summarised: its title, its values, and what each belongs to."""
    first = [episode.success_seconds[0] for episode in episodes if episode.success_seconds]
    later = [seconds for episode in episodes for seconds in episode.success_seconds[1:]]
    return {
        "return": ("mean return", [episode.ret for episode in episodes], "episode"),
        "first_success_seconds": (
            "mean seconds to an episode's first success",
            first,
            "success",
        ),
        "later_success_seconds": ("mean seconds to each later success", later, "success"),
    }


def describe(episodes: list[Episode]) -> str:
    """Return, line by line, the mean return and how long first and later successes took."""
    plural = {"episode": "episodes", "success": "successes"}
    lines = []
    for title, values, thing in quantities(episodes).values():
        if values:
            mean, low, high = mean_with_interval(values)
            interval = f", 95 % interval {low:.2f} to {high:.2f}" if len(values) > 1 else ""
            things = thing if len(values) == 1 else plural[thing]
            lines.append(f"{title} {mean:.2f}{interval} ({len(values)} {things})")
    return "\n".join(lines)


def summary(episodes: list[Episode]) -> dict[str, Any]:
    """Return the same for programs; None where there is no mean or no interval."""
    result = {}
    for name, (_, values, _) in quantities(episodes).items():
        numbers = mean_with_interval(values) if values else (math.nan,) * 3
        mean, low, high = (None if math.isnan(number) else number for number in numbers)
        result[name] = {"mean": mean, "interval": [low, high], "count": len(values)}
    return result
