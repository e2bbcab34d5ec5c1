"""What a trained agent's network computes while it plays, beside what was true: for probes.

`record` plays the checkpoint of a run, actions sampled, and keeps of every n-th agent step the
encoder's embedding z, the core's context c and the facts that a probe shall read from them
(`python -m analysis.probes` fits the probes). A network of the same settings that was never trained
sees the same steps: what can be read from its codes, no training has put there.
"""

from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from agents.batched_env import episode_ended
from agents.config import AgentConfig
from agents.devices import choose_device, one_thread
from agents.evaluation import Playing
from agents.networks import Agent, AgentOutput
from analysis.probe_table import CODES, TRAINED, UNTRAINED
from configs import TrainedRun
from envs.frame_rate import STEPS_PER_SECOND
from envs.labsim.facts import Facts, read_facts
from envs.labsim.vector_env import LabsimVectorEnv
from episode_seeds import FIRST_EVALUATION_SEED

NETWORKS = (TRAINED, UNTRAINED)
REWARD_WINDOWS_SECONDS = (1, 3)
EPISODES, ROWS = 64, 10_000


class Representations(NamedTuple):
    """N of the agent steps of E whole episodes, one row each."""

    episode: NDArray[np.int64]  # [N] in 0 .. E - 1
    codes: dict[tuple[str, str], NDArray[np.float32]]  # [N, size], by network and code
    facts: Facts  # [N, k] float64 or [N] int64, see `envs.labsim.facts`; -1: class not known
    frames: int  # environment frames of training behind the checkpoint


class Row(NamedTuple):
    """One agent step of the episodes that still run; as in `Representations`."""

    episode: NDArray[np.int64]
    codes: dict[tuple[str, str], NDArray[np.float32]]
    facts: Facts


def load_run(run: Path) -> TrainedRun:
    """The agent of a run or of a trained agent's folder, its weights read.

    Raises ValueError: there is no such run or checkpoint, or one of which nothing can be recorded.
    """
    trained = TrainedRun.open(run)
    if (backend := trained.config.env.backend) != "labsim":
        raise ValueError(
            f"{run} was trained on {backend}: what is true in a level can be read on labsim alone."
        )
    if not isinstance(trained.config.agent, AgentConfig):
        raise ValueError(f"{run} was trained by Stable-Baselines3, whose A2C has no context c.")
    _ = trained.weights
    return trained


def record(
    run: Path, *, episodes: int = EPISODES, rows: int = ROWS, device: str = "auto"
) -> Representations:
    """Play one episode in each of `episodes` environments with the latest checkpoint of `run`.

    At most about `rows` steps are kept, every n-th of each episode: neighbouring steps tell a probe
    little that is new. The episodes are evaluation's: training uses none of them.
    Raises ValueError as `load_run` does.
    """
    trained = load_run(run)
    level = trained.config.env.level
    env = LabsimVectorEnv(level, episodes, keep_final_obs=False)
    device_of_all = choose_device(device)
    networks = [
        Playing(agent.to(device_of_all), episodes, FIRST_EVALUATION_SEED)
        for agent in make_networks(trained, env)
    ]
    every = -(-episodes * env.level.episode_steps // rows)
    with closing(env), one_thread():  # others would wait for their part of each small step
        kept = _play(env, level, networks, every)
    return Representations(
        np.concatenate([row.episode for row in kept]),
        {name: np.concatenate([row.codes[name] for row in kept]) for name in kept[0].codes},
        {name: np.concatenate([row.facts[name] for row in kept]) for name in kept[0].facts},
        trained.weights.frames,
    )


def make_networks(trained: TrainedRun, env: LabsimVectorEnv) -> tuple[Agent, Agent]:
    """The agent of `trained`, and as it was before training: the same seed drew it.

    Raises ValueError: its weights are not such an agent's.
    """
    config = trained.config
    assert isinstance(config.agent, AgentConfig)
    space, num_actions = env.single_observation_space, int(env.single_action_space.n)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        untrained = Agent(space, num_actions, config.agent.network)
    agent = trained.make_agent(env, torch.device("cpu"))
    assert isinstance(agent, Agent)
    return agent, untrained


def _play(env: LabsimVectorEnv, level: str, networks: list[Playing], every: int) -> list[Row]:
    """Let the first of `networks` act until every environment has ended its first episode.

    Returns what is kept: the steps 0, `every`, 2 * `every` .. of each.
    """
    B, seed = env.num_envs, FIRST_EVALUATION_SEED
    obs = np.empty((B, *env.single_observation_space.shape), np.uint8)
    env.reset_into(range(seed, seed + B), obs)
    playing, terminated = np.ones(B, bool), np.zeros(B, bool)
    lengths = np.zeros(B, np.int64)
    rewards: list[NDArray] = []
    kept: list[Row] = []
    while playing.any():
        outputs = [network.see(obs) for network in networks]
        if len(rewards) % every == 0:
            kept.append(_row(playing, outputs, read_facts(level, env.get_state())))
        action = networks[0].choose(outputs[0])
        result = env.step_into(action.numpy(), obs)
        for network in networks:
            network.acted(action, result)
        rewards.append(result.reward)
        lengths += playing
        terminated |= playing & result.terminated
        playing &= ~episode_ended(result)
    of_rewards = reward_facts(np.array(rewards), lengths, terminated)
    steps = range(0, len(rewards), every)
    for t, row in zip(steps, kept, strict=True):
        row.facts.update({name: values[t, row.episode] for name, values in of_rewards.items()})
    return kept


def _row(playing: NDArray[np.bool_], outputs: list[AgentOutput], facts: Facts) -> Row:
    """What is kept of a step: the part of the environments that are `playing` [B]."""
    i = np.flatnonzero(playing)
    codes = {}
    for network, output in zip(NETWORKS, outputs, strict=True):
        for code, values in zip(CODES, (output.embedding, output.context), strict=True):
            codes[network, code] = values[0].cpu().numpy()[i]
    return Row(i, codes, {name: values[i] for name, values in facts.items()})


def reward_facts(
    rewards: NDArray[np.float32], lengths: NDArray[np.int64], terminated: NDArray[np.bool_]
) -> Facts:
    """When rewards above 0 came and will come, seen from each step of B episodes.

    `rewards` [T, B]: what action t earned, known with observation t + 1; of what comes after an
    episode's `lengths` [B] steps nothing counts. The facts: seconds since the last such reward,
    [T, B, 1], NaN before the first; and for some windows whether there is one within so many
    seconds, [T, B], -1 where the clock cut the episode before that. An episode that `terminated`
    pays nothing more.
    """
    T, B = rewards.shape
    t = np.arange(T)[:, None]
    paid = (rewards > 0) & (t < lengths)  # [T, B]
    came = np.where(paid, t + 1, -1)
    before = np.vstack([np.full((1, B), -1), came[:-1]])  # known with observation t
    latest = np.maximum.accumulate(before, axis=0)
    seconds = np.where(latest >= 0, (t - latest) / STEPS_PER_SECOND, np.nan)
    facts: Facts = {"seconds since reward": seconds[:, :, None]}
    sums = np.vstack([np.zeros((1, B), np.int64), np.cumsum(paid, axis=0)])  # before each step
    for window in REWARD_WINDOWS_SECONDS:
        end = np.minimum(t + window * STEPS_PER_SECOND, lengths)  # [T, B]
        within = np.take_along_axis(sums, end, axis=0) > sums[:-1]
        known = terminated | (t + window * STEPS_PER_SECOND <= lengths)
        facts[f"reward within {window} s"] = np.where(known, within, -1).astype(np.int64)
    return facts
