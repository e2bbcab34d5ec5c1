"""Play episodes with a trained agent: its mean return with a 95 % interval, and a film.

    python evaluate.py runs/labsim/room_watermaze/a2c_laptop/cpc/seed_1
    python evaluate.py RUN episodes=200 greedy=true video=out.mp4
    python evaluate.py RUN env.backend=dmlab num_envs=8 json=result.json

RUN is a run's folder, or one of the checkpoints in it, as in RUN/best.pt, or the folder of an agent
that analysis.pretrained has made.
episodes=100 how many; greedy=true takes the likeliest action, instead of sampling as in training;
video=FILE.mp4 films one episode; json=FILE writes the result, episode by episode; seed=1 plays
other episodes than seed=0, the default (training uses none of them, log.evaluate_frames those of
seed=0); num_envs= how many at once; threads= cores to use;
device=auto, cpu or cuda; trust=true lets the run's own settings import modules (SECURITY.md).

env=LEVEL and env.KEY=VALUE put the agent into other environments than it was trained in: another
level, or the same one drawn by env.backend=miniworld or in the real DeepMind Lab (dmlab).
"""

import os
import signal
import sys

if __name__ == "__main__":  # what is imported below takes seconds, in which there may be a Ctrl-C
    signal.signal(signal.SIGINT, lambda *_: os._exit(os.write(1, b"Ended by SIGINT.\n") and 130))

import argparse
import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from agents.devices import available_cores, choose_device, prepare_cpu
from agents.episodes import Episode
from agents.evaluation import EpisodesLostError, describe, evaluate, summary
from analysis.references import random_return
from configs import EvaluationSettings, TrainedRun, parse_evaluation
from envs import first_wait, make_vec_env
from envs.config import EnvConfig
from envs.frame_rate import STEPS_PER_SECOND
from envs.pool import WorkerError
from records.animation import film
from records.failures import sentence
from records.progress import EpisodeCount, standard_streams
from records.provenance import git_state, versions
from records.video import picture
from records.whole_files import check_replaceable, replace_file


def main(argv: list[str] | None = None) -> int:
    """Evaluate what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="its folder, or a checkpoint in it")
    parser.add_argument("settings", nargs="*", default=[], metavar="key=value")
    arguments = parser.parse_intermixed_args(argv)
    try:
        with standard_streams():
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
    """Play the episodes with the weights of `run`; print and write what came of them.

    Raises ValueError: `run` is no run, or its agent cannot play there. OSError: a file cannot be
    written; what is there and cannot be replaced is refused before anything is played.
    EpisodesLostError and WorkerError: the environments failed.
    """
    for path in (settings.video, settings.json):
        if path is not None:
            check_replaceable(Path(path))
    if settings.trust and os.getcwd() not in map(os.path.abspath, sys.path):
        sys.path.append(os.getcwd())  # where the user's own modules may be
    trained = TrainedRun.open(run, settings.trust)
    env = settings.environments(trained.config.env)
    frames, where = trained.weights.frames, f"{env.backend}/{env.level}"
    how = "likeliest" if settings.greedy else "sampled"
    print(
        f"{run}: {settings.episodes} episode{'s' * (settings.episodes != 1)} with {how} actions "
        f"after {frames:,} frames, in "
        f"{where}; {first_wait(env)} ...",
        flush=True,
    )
    episodes, failures = play(trained, env, settings)
    print(describe(episodes))
    random = random_return(env.level)
    if random is not None:
        print(f"mean return of a uniform random policy, in the real DeepMind Lab: {random:.2f}")
    if failures:
        print(
            f"environments failed {failures} times; the episodes that they were in, and the next "
            "ones, do not count"
        )
    if settings.video is not None:
        print(f"Film of the first episode: {settings.video}")
    if settings.json is not None:
        result = {
            "run": str(run),
            "frames": frames,
            "actions": how,
            "seed": settings.seed,
            "env": {key: value for key, value in asdict(env).items() if value is not None},
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
    trained: TrainedRun, config: EnvConfig, settings: EvaluationSettings
) -> tuple[list[Episode], int]:
    """Return the agent's episodes in the environments of `config`, and how often these failed.

    Raises ValueError: its weights do not fit its settings or these environments.
    """
    num_envs = config.num_envs
    threads = settings.threads or min(available_cores(), num_envs)
    device = choose_device(settings.device)
    prepare_cpu(threads, device)
    with ExitStack() as stack:
        env = make_vec_env(config, num_envs, stagger=False, num_threads=threads)
        stack.callback(env.close)
        try:
            agent = trained.make_agent(env, device)
        except ValueError as error:
            if not settings.env:
                raise
            raise ValueError(
                f"the agent does not fit {config.backend}/{config.level}: it was trained "
                f"with other observations than {env.single_observation_space.shape} or another "
                f"number of actions than {env.single_action_space.n}."
            ) from error
        watch = None
        if settings.video is not None:
            add = stack.enter_context(film(Path(settings.video), STEPS_PER_SECOND))
            top_down = getattr(env, "get_top_down", lambda i: None)  # labsim alone has one
            watch = lambda obs: add(picture(obs, top_down(0)))  # noqa: E731
        count = stack.enter_context(EpisodeCount(settings.episodes))
        seed, greedy = settings.first_seed, settings.greedy
        episodes = evaluate(agent, env, settings.episodes, seed, greedy, watch, count.show)
        return episodes, getattr(env, "worker_restarts", 0)  # labsim has no workers


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
