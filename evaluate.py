"""Play episodes with a trained agent: its mean return with a 95 % interval, and a film.

    python evaluate.py runs/labsim/room_watermaze/a2c_laptop/cpc/seed_1
    python evaluate.py RUN episodes=200 greedy=true video=out.mp4
    python evaluate.py RUN env.backend=dmlab num_envs=8 json=result.json

RUN is a run's folder, or one of the checkpoints in it, as in RUN/best.pt.
episodes=100 how many; greedy=true takes the likeliest action, instead of sampling as in training;
video=FILE.mp4 films one episode; json=FILE writes the result, episode by episode; seed=0 moves to
other episodes (training uses none of them); num_envs= how many at once; threads= cores to use;
device=auto, cpu or cuda; trust=true lets the run's own settings import modules (SECURITY.md).

env=LEVEL and env.KEY=VALUE put the agent into other environments than it was trained in: another
level, or the same one drawn by env.backend=miniworld or in the real DeepMind Lab (dmlab).
"""

import argparse
import json
import math
import os
import sys
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from agents import checkpoint
from agents.batched_env import BatchedEnv
from agents.config import SB3A2CConfig
from agents.devices import available_cores, choose_device, prepare_cpu
from agents.episodes import Episode
from agents.evaluation import EpisodesLostError, evaluate, mean_with_interval
from agents.files import replace_file, sentence
from agents.networks import Agent
from agents.progress import EpisodeCount
from agents.run_folder import git_state, versions
from agents.sb3_agent import SB3Agent, load_sb3_agent
from agents.state_check import require_form
from agents.video import Film
from configs import EvaluationSettings, RunConfig, config_of_run, parse_evaluation
from envs import first_wait, make_vec_env
from envs.pool import WorkerError
from episode_seeds import FIRST_EVALUATION_SEED


def main(argv: list[str] | None = None) -> int:
    """Evaluate what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "run", metavar="RUN", type=Path, help="a run's folder, or a checkpoint in it"
    )
    parser.add_argument("settings", nargs="*", metavar="key=value")
    arguments = parser.parse_intermixed_args(argv)
    try:
        report(arguments.run, parse_evaluation(arguments.settings))
    except (ValueError, OSError) as error:
        print(sentence(error), file=sys.stderr)
        return 2
    except (EpisodesLostError, WorkerError) as error:
        print(f"Stopped: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def report(run: Path, settings: EvaluationSettings) -> None:
    """Play the episodes with the latest checkpoint of `run`; print and write what came of them."""
    if settings.trust and os.getcwd() not in map(os.path.abspath, sys.path):
        sys.path.append(os.getcwd())  # where the user's own modules may be
    path = run if run.suffix == ".pt" else run / checkpoint.NAME
    config = config_of_run(path.parent, settings.trust)
    config = replace(config, env=settings.environments(config.env))
    learner = checkpoint.load(path)["learner"]
    frames, where = learner["frames"], f"{config.env.backend}/{config.env.level}"
    how = "likeliest" if settings.greedy else "sampled"
    print(
        f"{run}: {settings.episodes} episodes with {how} actions after {frames:,} frames, in "
        f"{where}; {first_wait(config.env)} ...",
        flush=True,
    )
    episodes, failures = play(config, path, learner["agent"], settings)
    print(describe(episodes))
    if failures:
        print(f"environments failed {failures} times; the episodes that they were in do not count")
    if settings.video is not None:
        print(f"Film of the first episode: {settings.video}")
    if settings.json is not None:
        result = {
            "run": str(run),
            "frames": frames,
            "actions": how,
            "seed": settings.seed,
            "env": {key: value for key, value in asdict(config.env).items() if value is not None},
            "environment_failures": failures,
            **summary(episodes),
            "episodes": [
                {"return": ret, "steps": steps, "success_seconds": seconds}
                for ret, steps, seconds in episodes
            ],
            "versions": versions(),
            "git": git_state(),
        }
        replace_file(Path(settings.json), (json.dumps(result, indent=1) + "\n").encode())
        print(f"Result, episode by episode: {settings.json}")


def play(
    config: RunConfig,
    path: Path,
    parameters: dict[str, torch.Tensor],
    settings: EvaluationSettings,
) -> tuple[list[Episode], int]:
    """Return the episodes in the environments of `config`, and how often these failed.

    `parameters`: of the checkpoint `path`. Raises ValueError: they are no such agent's.
    """
    num_envs = config.env.num_envs
    threads = settings.threads or min(available_cores(), num_envs)
    prepare_cpu(threads)
    with ExitStack() as stack:
        env = make_vec_env(config.env, num_envs, stagger=False, num_threads=threads)
        stack.callback(env.close)
        try:
            with checkpoint.fitting(path):
                agent = load_agent(config, parameters, env, choose_device(settings.device))
        except (RuntimeError, ValueError) as error:
            if not settings.env:
                raise
            raise ValueError(
                f"the agent does not fit {config.env.backend}/{config.env.level}: it was trained "
                f"with other observations than {env.single_observation_space.shape} or another "
                f"number of actions than {env.single_action_space.n}."
            ) from error
        watch = None
        if settings.video is not None:
            film = stack.enter_context(Film(Path(settings.video)))
            top_down = getattr(env, "get_top_down", lambda i: None)  # labsim alone has one
            watch = lambda obs: film.add(obs, top_down(0))  # noqa: E731
        count = stack.enter_context(EpisodeCount(settings.episodes))
        seed = FIRST_EVALUATION_SEED + settings.seed
        try:
            episodes = evaluate(
                agent, env, settings.episodes, seed, settings.greedy, watch, count.show
            )
        except EpisodesLostError as error:
            cause = getattr(env, "last_failure", None)
            raise EpisodesLostError(f"{error}; {cause}") from error
        return episodes, getattr(env, "worker_restarts", 0)  # labsim has no workers


def load_agent(
    config: RunConfig, state: dict[str, torch.Tensor], env: BatchedEnv, device: torch.device
) -> Agent | SB3Agent:
    """Return the agent of `config` with the parameters `state`.

    Raises ValueError: they are no such agent's.
    """
    space, actions = env.single_observation_space, env.single_action_space
    agent: Agent | SB3Agent
    if isinstance(config.agent, SB3A2CConfig):
        agent = load_sb3_agent(space, actions, state)
        require_form(state, agent.policy.state_dict(), "agent")
    else:
        agent = Agent(space, int(actions.n), config.agent.network.for_observations(space.shape))
        require_form(state, agent.state_dict(), "agent")
        agent.load_state_dict(state)
    return agent.to(device)


def quantities(episodes: list[Episode]) -> dict[str, tuple[str, list[float], str]]:
    """Return what is summarised: its title, its values, and of what things they are."""
    first = [episode.success_seconds[0] for episode in episodes if episode.success_seconds]
    later = [seconds for episode in episodes for seconds in episode.success_seconds[1:]]
    return {
        "return": ("mean return", [episode.ret for episode in episodes], "episodes"),
        "first_success_seconds": (
            "mean seconds to an episode's first success",
            first,
            "successes",
        ),
        "later_success_seconds": ("mean seconds to each later success", later, "successes"),
    }


def describe(episodes: list[Episode]) -> str:
    """Return, line by line, the mean return and how long first and later successes took."""
    lines = []
    for title, values, things in quantities(episodes).values():
        if values:
            mean, low, high = mean_with_interval(values)
            interval = f", 95 % interval {low:.2f} to {high:.2f}" if len(values) > 1 else ""
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


if __name__ == "__main__":
    sys.exit(main())
