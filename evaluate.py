"""Play episodes with a trained agent: its mean return with a 95 % interval, and a film.

    python evaluate.py runs/labsim/room_watermaze/a2c_laptop/cpc/seed_1
    python evaluate.py RUN episodes=200 greedy=true video=out.mp4
    python evaluate.py RUN env.backend=dmlab num_envs=8 json=result.json

episodes=100 how many; greedy=true takes the likeliest action, instead of sampling as in training;
video=FILE.mp4 films one episode; json=FILE writes the result, episode by episode; seed=0 moves to
other episodes (training uses none of them); num_envs= how many at once; threads= cores to use;
device=auto, cpu or cuda.

env=LEVEL and env.KEY=VALUE put the agent into other environments than it was trained in: another
level, or the same one drawn by env.backend=miniworld or in the real DeepMind Lab (dmlab).
"""

import argparse
import json
import math
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
from agents.evaluation import FIRST_SEED, EpisodesLostError, evaluate, mean_with_interval
from agents.files import replace_file, sentence
from agents.networks import Agent
from agents.progress import EpisodeCount
from agents.run_folder import git_state, load_settings, versions
from agents.sb3_agent import SB3Agent, load_sb3_agent
from agents.video import Film
from configs import EvaluationSettings, RunConfig, from_mapping, parse_evaluation
from envs import first_wait, make_vec_env
from envs.pool import WorkerError


def main(argv: list[str] | None = None) -> int:
    """Evaluate what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="a run's folder")
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
    config = from_mapping(RunConfig, load_settings(run))
    config = replace(config, env=settings.environments(config.env))
    learner = checkpoint.load(run / checkpoint.NAME)["learner"]
    frames, where = learner["frames"], f"{config.env.backend}/{config.env.level}"
    how = "likeliest" if settings.greedy else "sampled"
    print(
        f"{run}: {settings.episodes} episodes with {how} actions after {frames:,} frames, in "
        f"{where}; {first_wait(config.env)} ...",
        flush=True,
    )
    episodes, failures = play(config, learner["agent"], settings)
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
    config: RunConfig, parameters: dict[str, torch.Tensor], settings: EvaluationSettings
) -> tuple[list[Episode], int]:
    """Return the episodes in the environments of `config`, and how often these failed."""
    num_envs = config.env.num_envs
    threads = settings.threads or min(available_cores(), num_envs)
    prepare_cpu(threads)
    with ExitStack() as stack:
        env = make_vec_env(config.env, num_envs, stagger=False, num_threads=threads)
        stack.callback(env.close)
        agent = load_agent(config, parameters, env, choose_device(settings.device))
        watch = None
        if settings.video is not None:
            film = stack.enter_context(Film(Path(settings.video)))
            top_down = getattr(env, "get_top_down", lambda i: None)  # labsim alone has one
            watch = lambda obs: film.add(obs, top_down(0))  # noqa: E731
        count = stack.enter_context(EpisodeCount(settings.episodes))
        seed = FIRST_SEED + settings.seed
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

    Raises ValueError: it was trained in environments with other observations or actions.
    """
    space, actions = env.single_observation_space, env.single_action_space
    try:
        if isinstance(config.agent, SB3A2CConfig):
            return load_sb3_agent(space, actions, state).to(device)
        agent = Agent(space, int(actions.n), config.agent.network.for_observations(space.shape))
        agent.load_state_dict(state)
    except (RuntimeError, ValueError) as error:  # shapes differ, or the encoder reads no such thing
        raise ValueError(
            f"the agent does not fit {config.env.backend}/{config.env.level}: it was trained with "
            f"other observations than {space.shape} or another number of actions than {actions.n}."
        ) from error
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
