"""Finished episodes, added up from steps."""

from typing import NamedTuple

import numpy as np

from agents.batched_env import StepResult, episode_ended


class Episode(NamedTuple):
    """One finished episode."""

    ret: float  # undiscounted sum of unclipped rewards
    length: int  # agent steps
    success_seconds: list[float]  # of each trial that succeeded: seconds from its start


class EpisodeTracker:
    """Adds up each environment's running episode.

    `stagger`: the first episode of each environment was cut short and is not reported. Nor is an
    episode that was lost, and the next one, which may have been cut again.
    """

    def __init__(self, num_envs: int, stagger: bool) -> None:
        self.ret = [0.0] * num_envs
        self.length = [0] * num_envs
        self.success_seconds: list[list[float]] = [[] for _ in range(num_envs)]
        self.reported = [not stagger] * num_envs

    def add(self, result: StepResult) -> list[tuple[int, Episode]]:
        """Account for one step; return (environment, episode) for each that ended."""
        finished = []
        lost = np.zeros(len(self.ret), bool) if result.lost is None else result.lost
        for i, reward in enumerate(result.reward.tolist()):
            self.ret[i] += reward
            self.length[i] += 1
        for i in np.flatnonzero(~np.isnan(result.success_seconds)).tolist():
            self.success_seconds[i].append(float(result.success_seconds[i]))
        for i in np.flatnonzero(episode_ended(result)).tolist():
            if self.reported[i] and not lost[i]:
                episode = Episode(self.ret[i], self.length[i], self.success_seconds[i])
                finished.append((i, episode))
            self.ret[i], self.length[i], self.success_seconds[i] = 0.0, 0, []
            self.reported[i] = not lost[i]
        return finished
