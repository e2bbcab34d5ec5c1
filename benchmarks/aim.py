"""Does an agent of laser tag see what it shoots at?

    python -m benchmarks.aim RUN... [--episodes N]

Plays whole episodes with the agent of each run, actions sampled, and prints a Markdown table: tags
and deaths of an episode, how often a bot stands ahead (alive, no wall between, within AHEAD_DEGREES
of where the agent looks), how often the agent fires while one does and while none does, how often
its Rapid gadget is empty, and how far it walks in a step. An agent that fires alike in both cases
does not look. In place of a run, the name of a script in SCRIPTS is played.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from agents.devices import one_thread
from agents.evaluation import Playing
from benchmarks.bots import FARTHEST_STEP, LEVEL
from configs import TrainedRun
from envs.actions import ACTION_NAMES
from envs.labsim.facts import sees_a_bot
from envs.labsim.vector_env import LabsimVectorEnv
from episode_seeds import FIRST_EVALUATION_SEED

AHEAD_DEGREES = 6.0  # to either side: half a bot 150 units away is as wide
BACKWARD, RIGHT, FIRE = map(ACTION_NAMES.index, ("backward", "look right", "fire"))
# What a policy does that is given whether a bot is ahead, [B], and whether the agent lives, [B].
SCRIPTS: dict[str, Callable[[NDArray, NDArray, np.random.Generator], NDArray[np.int64]]] = {
    "random": lambda seen, alive, rng: rng.integers(0, len(ACTION_NAMES), len(seen)),
    "blind": lambda seen, alive, rng: np.where(rng.random(len(seen)) < 0.8, FIRE, BACKWARD),
    "spin": lambda seen, alive, rng: np.where(seen | ~alive, FIRE, RIGHT),  # until one is ahead
}
COLUMNS = ("tags", "self-tags", "deaths", "bot ahead", "fires then", "fires else", "empty", "units")


def play(run: Path, episodes: int) -> dict[str, float]:
    """COLUMNS, means over one episode in each of `episodes` environments; shares of his life.

    Raises ValueError: no such run, or not of this level.
    """
    env = LabsimVectorEnv(LEVEL, episodes, keep_final_obs=False)
    rng = np.random.default_rng(FIRST_EVALUATION_SEED)
    script, playing = SCRIPTS.get(str(run)), None
    if script is None:
        trained = TrainedRun.open(run)
        if (level := trained.config.env.level) != LEVEL:
            raise ValueError(f"{run} was trained on {level}; needed is {LEVEL}.")
        agent = trained.make_agent(env, torch.device("cpu"))
        playing = Playing(agent, episodes, FIRST_EVALUATION_SEED)
    obs = np.empty((episodes, *env.single_observation_space.shape), np.uint8)
    env.reset_into(range(FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + episodes), obs)
    fighters, state = env.level.fighters, env.level.state()  # type: ignore[attr-defined]
    counts = dict.fromkeys(COLUMNS, 0.0)
    alive_steps = 0
    for _ in range(env.level.episode_steps):
        seen, deaths = sees_a_bot(state, AHEAD_DEGREES), fighters["deaths"][:, 0].sum()
        alive = fighters["alive"][:, 0].copy()
        x, y = fighters["x"][:, 0].copy(), fighters["y"][:, 0].copy()
        counts["empty"] += (alive & (fighters["rapid_ammo"][:, 0] == 0)).sum()
        if playing is None:
            actions = script(seen, alive, rng)  # type: ignore[misc]
            result = env.step_into(actions, obs)
        else:
            chosen = playing.choose(playing.see(obs))
            actions = chosen.numpy()
            result = env.step_into(actions, obs)
            playing.acted(chosen, result)
        fires = actions == FIRE
        way = np.hypot(fighters["x"][:, 0] - x, fighters["y"][:, 0] - y)
        alive_steps += alive.sum()
        counts["bot ahead"] += (alive & seen).sum()
        counts["fires then"] += (alive & seen & fires).sum()
        counts["fires else"] += (alive & ~seen & fires).sum()
        counts["units"] += way[alive & (way < FARTHEST_STEP)].sum()
        counts["tags"] += (result.reward > 0).sum() / episodes
        counts["self-tags"] += (result.reward < 0).sum() / episodes
    env.close()
    seen_steps = counts["bot ahead"]
    counts["deaths"] = deaths / episodes  # before the last step, after which the next one begins
    counts["fires then"] /= max(seen_steps, 1)
    counts["fires else"] /= max(alive_steps - seen_steps, 1)
    for name in ("bot ahead", "empty", "units"):
        counts[name] /= alive_steps
    return counts


@one_thread()
def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path)
    parser.add_argument("--episodes", type=int, default=64)
    options = parser.parse_args(arguments)
    print(f"| agent | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for run in options.runs:
        played = play(run, options.episodes)
        print(f"| {run} | {' | '.join(f'{played[name]:.2f}' for name in COLUMNS)} |", flush=True)


if __name__ == "__main__":
    main()
