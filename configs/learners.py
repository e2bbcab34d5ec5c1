"""A run's settings to what trains or plays: our agent, or Stable-Baselines3's."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from agents.batched_env import BatchedEnv
from agents.config import SB3A2CConfig
from agents.devices import available_cores
from agents.episodes import Episode
from agents.evaluation import EpisodesLostError, evaluate
from agents.learner import Learner
from agents.networks import Agent
from agents.parallel.ranks import ALONE, Ranks
from agents.sb3.agent import SB3Agent
from agents.sb3.learner import SB3A2CLearner
from agents.state_check import require_form
from configs.run_config import RunConfig
from cpc_aux import make_aux
from envs import frames_per_step, make_vec_env
from envs.config import HEIGHT, WIDTH
from envs.sb3_vec_env import SB3VecEnv
from records.weights import find_weights, load_weights

AnyLearner = Learner | SB3A2CLearner
IMAGE_BYTES = HEIGHT * WIDTH * 3  # what every level shows


def make_learner(
    config: RunConfig,
    device: torch.device,
    threads: int,
    make_envs: Callable[..., BatchedEnv] | None = None,
    ranks: Ranks = ALONE,
) -> AnyLearner:
    """The agent of `config` in its environments, ready to start; `threads` cores share the work.

    `make_envs`, picklable, takes the place of `make_vec_env`; `ranks`, all of which call this,
    share the environments. Raises ValueError, in one sentence, for what this machine cannot do.
    """
    make_envs = make_envs or make_vec_env
    own = ranks.part(config.env.num_envs)
    _check_memory(config, own.stop - own.start)
    if isinstance(config.agent, SB3A2CConfig):
        if ranks.world_size > 1:
            raise ValueError(
                "agent=sb3_a2c, Stable-Baselines3's own A2C, trains in one process; "
                "start it without torchrun."
            )
        return SB3A2CLearner(
            config.agent,
            make_envs=partial(
                make_envs, config.env, stagger=True, num_threads=threads, keep_final_obs=True
            ),
            as_vec_env=SB3VecEnv,
            num_envs=config.env.num_envs,
            total_frames=config.total_frames,
            seed=config.seed,
            device=device,
            frames_per_step=frames_per_step(config.env),
        )
    if config.agent.compile and device.type == "cpu":
        raise ValueError(
            "agent.compile is true, but this run is on a CPU, which it makes no faster; "
            "set agent.compile=false."
        )
    # On a CPU each core has a shard of the batch, unless the environments have processes of their
    # own: then these, and on a GPU the engine's threads, use the cores.
    shards = threads if device.type == "cpu" and not config.env.in_workers else 1
    fast = config.fast == "auto"
    return Learner(
        config.agent,
        make_envs=partial(
            make_envs,
            config.env,
            stagger=True,
            num_threads=1 if shards > 1 else threads,
            keep_final_obs=config.agent.bootstrap_on_timeout,
        ),
        num_envs=config.env.num_envs,
        make_aux=partial(
            make_aux, config.aux, num_threads=shards, fast=fast, own_share=_own_share(config, ranks)
        ),
        aux_weight=config.aux.weight,
        total_frames=config.total_frames,
        seed=config.seed,
        device=device,
        num_threads=shards,
        frames_per_step=frames_per_step(config.env),
        fast=fast,
        ranks=ranks,
    )


def _own_share(config: RunConfig, ranks: Ranks) -> Callable[[Tensor], Tensor] | None:
    """For CPC: from a rank's numbers of pairs to its share of all ranks'; None for one rank alone.

    Raises ValueError if a rank has no other environment to take negatives from.
    """
    if ranks.world_size == 1:
        return None
    negatives, num_envs = getattr(config.aux, "negatives", None), config.env.num_envs
    if negatives in ("others", "same_step") and num_envs < 2 * ranks.world_size:
        raise ValueError(
            f"aux.negatives={negatives} takes its negatives from other environments of a rank, but "
            f"env.num_envs = {num_envs} leaves some of the {ranks.world_size} ranks without; "
            "aux.negatives=sequence works with one."
        )
    own = ranks.part(num_envs)
    share = (own.stop - own.start) / num_envs

    def own_share(x: Tensor) -> Tensor:
        return share * ranks.all_reduce(x)

    # The ranks' meeting cannot be compiled.
    compiled = getattr(config.agent, "compile", False)
    return torch.compiler.disable(own_share) if compiled else own_share


def _check_memory(config: RunConfig, num_envs: int) -> None:
    """Raise ValueError if a rollout's images or the LSTM alone take more than all memory."""
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    agent = config.agent
    needed = {}
    if isinstance(agent, SB3A2CConfig):
        steps = agent.n_steps
    else:
        steps, size = agent.unroll_length, agent.network.hidden_size
        if agent.network.core == "lstm":
            # Four gates, input and memory, float32; weights, gradient and its mean square.
            needed[f"an LSTM of size {size} (agent.network.hidden_size)"] = 4 * 2 * size**2 * 4 * 3
    if config.env.backend != "gymnasium":  # whose images are known once they are made
        images = f"the images of {num_envs} environments (env.num_envs) in {steps} steps"
        needed[images] = num_envs * (steps + 1) * IMAGE_BYTES
    for what, size in needed.items():
        if size > there:
            raise ValueError(
                f"{what} would take {size / 2**30:,.0f} GiB, but this machine has "
                f"{there / 2**30:,.0f} GiB of memory."
            )


def play_evaluation(
    config: RunConfig, learner: AnyLearner, progress: Callable[[int], None]
) -> list[Episode]:
    """Play evaluation's episodes with the learner's agent as it is now, actions sampled.

    The learner and all random numbers of training stay as they are. `progress`: see `evaluate`.
    Raises EpisodesLostError and WorkerError: the environments failed.
    """
    agent = _module(learner)
    device = next(agent.parameters()).device
    num_envs = min(config.env.num_envs, config.log.evaluate_episodes)
    threads = min(config.threads or available_cores(), num_envs)
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))  # a new network draws its weights
        env = make_vec_env(config.env, num_envs, stagger=False, num_threads=threads)
        stack.callback(env.close)
        copy = load_agent(config, agent.state_dict(), env, device)
        try:
            return evaluate(copy, env, config.log.evaluate_episodes, progress=progress)
        except EpisodesLostError as error:
            raise EpisodesLostError(f"in an evaluation {error}") from error


def _module(learner: AnyLearner) -> nn.Module:
    """The network of a learner, whose parameters its checkpoints hold under `agent`."""
    return learner.agent if isinstance(learner, Learner) else learner.model.policy


def take_weights(learner: AnyLearner, run: Path) -> None:
    """Give the learner's agent the weights of the agent in another run's or an agent's folder.

    Optimiser, learning rate and auxiliary loss begin anew. Raises ValueError: no run, or another
    network.
    """
    weights = load_weights(find_weights(run)).agent
    agent = _module(learner)
    own = agent.state_dict()
    differing = [
        name
        for name in own.keys() | weights.keys()
        if name not in own or name not in weights or own[name].shape != weights[name].shape
    ]
    if differing:
        raise ValueError(
            f"start_from={run} has another network, which differs in {min(differing)}; its "
            "agent.network and the shapes of its observations and actions must be this run's."
        )
    agent.load_state_dict(weights)


def load_agent(
    config: RunConfig, state: dict[str, torch.Tensor], env: BatchedEnv, device: torch.device
) -> Agent | SB3Agent:
    """Return the agent of `config` with the parameters `state`.

    Raises ValueError: they are no such agent's.
    """
    space, actions = env.single_observation_space, env.single_action_space
    agent: Agent | SB3Agent
    if isinstance(config.agent, SB3A2CConfig):
        agent = SB3Agent(space, actions)
        network: nn.Module = agent.policy
    else:
        network = agent = Agent(space, int(actions.n), config.agent.network)
    require_form(state, network.state_dict(), "agent")
    network.load_state_dict(state)
    return agent.to(device)
