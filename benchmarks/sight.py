"""Could the agent's encoder see the bots of laser tag, if it were told what to look for?

    python -m benchmarks.sight [--out FOLDER] [--passes N]

Trains the encoder of agent=a2c_laptop with labels, on what a half random script sees: does a living
bot stand ahead, to the left or to the right in view, with no wall between? Prints the balanced
accuracy of each answer in other episodes after every pass over the pictures. --out writes an agent
that has this encoder and is otherwise untrained, for start_from=FOLDER of train_agent.py: does an
agent learn to aim that can see from its first frame on?
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score
from torch import nn
from torch.nn import functional as F

from agents.config import AgentConfig
from agents.devices import one_thread
from agents.networks import Agent
from benchmarks.aim import AHEAD_DEGREES, SCRIPTS
from benchmarks.bots import LEVEL
from configs import compose_runs
from envs.labsim.facts import VIEW_DEGREES, sees_a_bot
from envs.labsim.vector_env import LabsimVectorEnv
from records.file_names import AGENT_FILE
from records.weights import Weights, save_weights

ANSWERS = ("ahead", "left", "right")
TRAINING, HELD_OUT = range(1000, 1128), range(5000, 5064)  # seeds, an episode of each
EVERY = 10  # steps between two pictures of an episode
BATCH_SIZE, LEARNING_RATE = 128, 3e-4


class Pictures(NamedTuple):
    """What was seen in some episodes."""

    images: NDArray[np.uint8]  # [N, H, W, 3]
    answers: NDArray[np.bool_]  # [N, 3], of ANSWERS


def answers(state: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Whether a bot stands ahead, left and right in view, [B, 3]; sides begin where ahead ends."""
    half = (VIEW_DEGREES / 2 - AHEAD_DEGREES) / 2
    ways = ((0.0, AHEAD_DEGREES), (AHEAD_DEGREES + half, half), (-AHEAD_DEGREES - half, half))
    yaw = state["fighter.yaw"]
    turned = [({**state, "fighter.yaw": yaw + turn}, degrees) for turn, degrees in ways]
    return np.stack([sees_a_bot(seen, degrees) for seen, degrees in turned], axis=1)


def collect(seeds: range, steps: int) -> Pictures:
    """Play an episode of each of `seeds`, up to `steps`, and keep what a living agent sees.

    Half of the actions are uniform, half those of a script that turns until a bot is ahead.
    """
    env = LabsimVectorEnv(LEVEL, len(seeds), keep_final_obs=False)
    obs = np.empty((len(seeds), *env.single_observation_space.shape), np.uint8)
    rng = np.random.default_rng(seeds[0])
    env.reset_into(seeds, obs)
    state, fighters = env.level.state(), env.level.fighters  # type: ignore[attr-defined]
    images, seen = [], []
    for step in range(steps):
        alive, ahead = fighters["alive"][:, 0], sees_a_bot(state, AHEAD_DEGREES)
        if step % EVERY == 0:
            images.append(obs[alive])
            seen.append(answers(state)[alive])
        spin, random = (SCRIPTS[name](ahead, alive, rng) for name in ("spin", "random"))
        env.step_into(np.where(rng.random(len(seeds)) < 0.5, spin, random), obs)
    env.close()
    return Pictures(np.concatenate(images), np.concatenate(seen))


def untrained_agent() -> Agent:
    """As training with agent=a2c_laptop begins on this level."""
    (run,) = compose_runs([f"env={LEVEL}", "agent=a2c_laptop"])
    assert run.config is not None
    assert isinstance(run.config.agent, AgentConfig)
    env = LabsimVectorEnv(LEVEL, 1)
    space, num_actions = env.single_observation_space, int(env.single_action_space.n)
    env.close()
    torch.manual_seed(0)
    return Agent(space, num_actions, run.config.agent.network)


def train(encoder: nn.Module, head: nn.Module, pictures: Pictures, passes: int) -> Iterator[int]:
    """Teach `head` on `encoder` the answers; yield the pass's number."""
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], LEARNING_RATE)
    # Most pictures show no bot: those that do weigh as much as those that do not.
    share = torch.from_numpy(pictures.answers.mean(axis=0)).float()  # [3]
    rng = np.random.default_rng(0)
    for number in range(1, passes + 1):
        for batch in torch.from_numpy(rng.permutation(len(pictures.images))).split(BATCH_SIZE):
            logits = head(encoder(torch.from_numpy(pictures.images[batch])))  # [N, 3]
            target = torch.from_numpy(pictures.answers[batch]).float()
            loss = F.binary_cross_entropy_with_logits(
                logits, target, pos_weight=(1 - share) / share
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield number


@torch.no_grad()
def balanced_accuracies(encoder: nn.Module, head: nn.Module, pictures: Pictures) -> list[float]:
    """For each of ANSWERS the mean share of right ones, of pictures with and without a bot."""
    parts = torch.from_numpy(pictures.images).split(BATCH_SIZE)
    given = torch.cat([head(encoder(part)) for part in parts]).numpy() > 0  # [N, 3]
    pairs = zip(pictures.answers.T, given.T, strict=True)
    return [float(balanced_accuracy_score(right, answer)) for right, answer in pairs]


@one_thread()
def main(arguments: Sequence[str] | None = None) -> None:
    """Train the encoder and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", metavar="FOLDER", type=Path)
    parser.add_argument("--passes", metavar="N", type=int, default=10)
    parser.add_argument("--steps", metavar="N", type=int, default=3000, help="of each episode")
    options = parser.parse_args(arguments)
    training, held_out = (collect(seeds, options.steps) for seeds in (TRAINING, HELD_OUT))
    share = ", ".join(
        f"{name} {part:.1%}"
        for name, part in zip(ANSWERS, training.answers.mean(axis=0), strict=True)
    )
    print(f"{len(training.images):,} pictures; with a bot {share}\n")
    print(f"| passes | {' | '.join(ANSWERS)} |\n|{'---|' * (len(ANSWERS) + 1)}", flush=True)
    agent = untrained_agent()
    head = nn.Linear(agent.hidden_size, len(ANSWERS))
    for number in train(agent.encoder, head, training, options.passes):
        scores = balanced_accuracies(agent.encoder, head, held_out)
        print(f"| {number} | {' | '.join(f'{score:.2f}' for score in scores)} |", flush=True)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        save_weights(options.out / AGENT_FILE, Weights(0, agent.state_dict(), {}))
        print(f"\nThe agent: {options.out}")


if __name__ == "__main__":
    main()
