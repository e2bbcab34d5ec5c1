"""Play episodes with a trained agent: its mean return with a 95 % interval, and a film.

    python evaluate.py runs/labsim/room_watermaze/a2c_laptop/cpc/seed_1
    python evaluate.py RUN episodes=200 greedy=true video=out.mp4

RUN is a run's folder, or one of the checkpoints in it, as in RUN/best.pt.
episodes=100 how many; greedy=true takes the likeliest action, instead of sampling as in training;
video=FILE.mp4 films one episode; seed=0 moves to other episodes (training uses none of them);
device=auto, cpu or cuda; trust=true lets the run's own settings import modules (SECURITY.md).
"""

import argparse
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import OmegaConf

from agents import checkpoint
from agents.batched_env import BatchedEnv
from agents.config import SB3A2CConfig
from agents.devices import available_cores, choose_device
from agents.episodes import Episode
from agents.evaluation import FIRST_SEED, evaluate, mean_with_interval
from agents.files import sentence
from agents.networks import Agent
from agents.sb3_agent import SB3Agent, load_sb3_agent
from agents.state_check import require_form
from agents.video import Film
from configs import RunConfig, config_of_run, from_mapping
from envs import first_wait, make_vec_env


@dataclass(frozen=True)
class EvaluationSettings:
    """What evaluate.py takes after the run's folder."""

    episodes: int = 100
    greedy: bool = False
    video: str | None = None
    seed: int = 0
    device: str = "auto"
    trust: bool = False

    def validate(self) -> None:
        """Raise ValueError, in one sentence, for a value that is not allowed."""
        if self.episodes < 1:
            raise ValueError(f"episodes is {self.episodes}; it must be at least 1.")
        if not 0 <= self.seed < FIRST_SEED:
            raise ValueError(f"seed is {self.seed}; it must lie between 0 and {FIRST_SEED - 1}.")


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
        report(arguments.run, parse_settings(arguments.settings))
    except (ValueError, OSError) as error:
        print(sentence(error), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def parse_settings(arguments: list[str]) -> EvaluationSettings:
    """Return key=value `arguments` as settings. Raises ValueError."""
    for argument in arguments:
        if "=" not in argument:
            raise ValueError(f"{argument!r} is not a setting; write key=value, as in episodes=200.")
    values = OmegaConf.to_container(OmegaConf.from_dotlist(arguments))
    assert isinstance(values, dict)
    settings = from_mapping(EvaluationSettings, {str(key): value for key, value in values.items()})
    settings.validate()
    return settings


def report(run: Path, settings: EvaluationSettings) -> None:
    """Play the episodes with the latest checkpoint of `run` and print what came of them."""
    path = run if run.suffix == ".pt" else run / checkpoint.NAME
    config = config_of_run(path.parent, settings.trust)
    state = checkpoint.load(path)["learner"]
    env = make_vec_env(
        config.env,
        min(config.env.num_envs, settings.episodes),
        stagger=False,
        num_threads=available_cores(),
    )
    with checkpoint.fitting(path):
        agent = load_agent(config, state["agent"], env, choose_device(settings.device))
    how = "likeliest" if settings.greedy else "sampled"
    print(
        f"{run}: {settings.episodes} episodes with {how} actions after {state['frames']:,} frames; "
        f"{first_wait(config.env)} ...",
        flush=True,
    )
    with ExitStack() as stack:
        stack.callback(env.close)
        watch = None
        if settings.video is not None:
            film = stack.enter_context(Film(Path(settings.video)))
            top_down = getattr(env, "get_top_down", lambda i: None)  # labsim alone has one
            watch = lambda obs: film.add(obs, top_down(0))  # noqa: E731
        seed = FIRST_SEED + settings.seed
        episodes = evaluate(agent, env, settings.episodes, seed, settings.greedy, watch)
    print(describe(episodes))
    if settings.video is not None:
        print(f"Film of the first episode: {settings.video}")


def load_agent(
    config: RunConfig, state: dict[str, torch.Tensor], env: BatchedEnv, device: torch.device
) -> Agent | SB3Agent:
    """Return the agent of `config` with the parameters `state`. Raises ValueError: others."""
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


def describe(episodes: list[Episode]) -> str:
    """Return, line by line, the mean return and how long first and later successes took."""
    quantities = {
        "mean return": ([episode.ret for episode in episodes], "episodes"),
        "mean seconds to an episode's first success": (
            [episode.success_seconds[0] for episode in episodes if episode.success_seconds],
            "successes",
        ),
        "mean seconds to each later success": (
            [seconds for episode in episodes for seconds in episode.success_seconds[1:]],
            "successes",
        ),
    }
    lines = []
    for name, (values, things) in quantities.items():
        if values:
            mean, low, high = mean_with_interval(values)
            interval = f", 95 % interval {low:.2f} to {high:.2f}" if len(values) > 1 else ""
            lines.append(f"{name} {mean:.2f}{interval} ({len(values)} {things})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
