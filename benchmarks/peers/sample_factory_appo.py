"""Sample Factory's APPO: its own sampler, inference worker and learner, in processes of their own.

It stays asynchronous and double-buffered, as its defaults are: it acts while it learns, with older
weights than those being trained. A worker per thread steps two batches of labsim in turns; encoder,
LSTM, batch and unroll are those of the other agents. Between its blocks all its processes are
stopped (SIGSTOP), so that it takes no time from the others.

Its own requirements exclude NumPy 2 and Gymnasium 1, with which it runs as far as it is used here.
"""

import os
import signal
import sys
import tempfile
import threading
from operator import attrgetter
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from sample_factory.algo.runners.runner import AlgoObserver, Runner
from sample_factory.algo.utils.context import global_model_factory
from sample_factory.algo.utils.make_env import BatchedListToDictWrapper
from sample_factory.algo.utils.misc import ExperimentStatus
from sample_factory.cfg.arguments import parse_full_cfg, parse_sf_args
from sample_factory.envs.env_utils import register_env
from sample_factory.model.encoder import Encoder
from sample_factory.train import make_runner
from torch import Tensor

from agents.devices import prepare_cpu, prepare_worker
from benchmarks.peers import setting
from benchmarks.peers.paused import PausedProcess
from benchmarks.peers.setting import Size, Trainer

ROOT = Path(__file__).parents[2]
LEARNED = "learned"
SPLITS = 2  # batches of a worker, Sample Factory's default: one acts while the other is stepped


# Since Gymnasium 1 wrappers no longer hand on what they do not know; this one is asked for both.
for _name in ("num_agents", "is_multiagent"):
    setattr(BatchedListToDictWrapper, _name, property(attrgetter(f"env.{_name}")))


class LabsimBatch(gymnasium.Env):
    """A batch of labsim as an environment of many agents, which Sample Factory batches no further.

    Observations u8 [B, 3, 72, 96]; an episode that ends is begun anew in the same step.
    """

    is_multiagent = True

    def __init__(self, size: Size) -> None:
        self.batch = setting.make_envs(size)
        self.num_agents = size.num_envs
        height, width, channels = self.batch.single_observation_space.shape
        self.observation_space = gymnasium.spaces.Box(0, 255, (channels, height, width), np.uint8)
        self.action_space = self.batch.single_action_space
        self._obs = np.zeros((size.num_envs, height, width, channels), np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[NDArray, dict]:
        """Begin an episode in every environment."""
        first = self.num_agents * (seed or 0)
        self.batch.reset_into(range(first, first + self.num_agents), self._obs)
        return self._obs.transpose(0, 3, 1, 2), {}

    def step(self, actions: NDArray) -> tuple[NDArray, Any, Any, Any, dict]:
        """One agent step of all; the next call overwrites the observations."""
        result = self.batch.step_into(actions.astype(np.int64), self._obs)
        reward = result.reward.clip(-1, 1)
        return self._obs.transpose(0, 3, 1, 2), reward, result.terminated, result.truncated, {}

    def close(self) -> None:
        """Close the batch."""
        self.batch.close()


class ShallowEncoder(Encoder):
    """IMPALA's shallow encoder; Sample Factory gives it images in 0..1."""

    def __init__(self, cfg: Any, obs_space: Any) -> None:
        super().__init__(cfg)
        prepare_cpu(1)  # as all agents; one thread per process is Sample Factory's own choice
        prepare_worker()
        self.encoder = setting.ImpalaShallow(*obs_space["obs"].shape)

    def forward(self, obs: dict[str, Tensor]) -> Tensor:
        """Encode."""
        return self.encoder(obs["obs"])

    def get_out_size(self) -> int:
        """What the LSTM reads."""
        return setting.HIDDEN_SIZE


def make_batch(name: str, cfg: Any, env_config: Any, render_mode: str | None = None) -> LabsimBatch:
    """A batch of a worker's, as Sample Factory asks for it."""
    return LabsimBatch(Size(1, cfg.labsim_batch))


def workers(size: Size) -> int:
    """As many as threads, or fewer where the environments can otherwise not be shared out evenly.

    Raises ValueError: they cannot at all.
    """
    if size.num_envs % SPLITS:
        raise ValueError(f"Sample Factory needs an even number of environments: {size.num_envs}.")
    pairs = size.num_envs // SPLITS
    return max(n for n in range(1, size.threads + 1) if pairs % n == 0)


def settings(size: Size, folder: str) -> list[str]:
    """Sample Factory's command line: what all agents share; the rest are its defaults."""
    device = "gpu" if size.device == "cuda" else "cpu"
    return [
        *("--env=labsim", "--experiment=peer", f"--train_dir={folder}", f"--device={device}"),
        *("--seed=1", f"--num_workers={workers(size)}", "--batched_sampling=True"),
        *(f"--num_envs_per_worker={SPLITS}", f"--worker_num_splits={SPLITS}"),
        *(f"--rollout={size.unroll_length}", f"--batch_size={size.steps}"),
        *("--rnn_type=lstm", f"--rnn_size={setting.HIDDEN_SIZE}"),
        *("--normalize_input=False", "--obs_scale=255"),
        *(f"--gamma={setting.DISCOUNT}", f"--learning_rate={setting.LEARNING_RATE}"),
        *(f"--exploration_loss_coeff={setting.ENTROPY_COST}", "--env_frameskip=4"),
        f"--value_loss_coeff={setting.VALUE_COST}",
        "--heartbeat_reporting_interval=100000",  # it may be stopped for longer than its 180 s
    ]


class Reporter(AlgoObserver):
    """Writes a line for every step of the learner."""

    def on_training_step(self, runner: Runner, training_iteration_since_resume: int) -> None:
        """See `AlgoObserver`."""
        print(LEARNED, flush=True)


def end_with_parent() -> None:
    """Kill this process and its children once standard input has ended."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


def train(size: Size, folder: str) -> None:
    """Train until this process is ended, or the one that started it; its records go to `folder`."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    register_env("labsim", make_batch)
    global_model_factory().register_encoder_factory(ShallowEncoder)
    arguments = settings(size, folder)
    parser, _ = parse_sf_args(arguments)
    batch = size.num_envs // (workers(size) * SPLITS)
    parser.add_argument("--labsim_batch", type=int, default=batch)
    _, runner = make_runner(parse_full_cfg(parser, arguments))
    runner.register_observer(Reporter())
    if runner.init() == ExperimentStatus.SUCCESS:
        runner.run()


def build_appo(size: Size) -> Trainer:
    """Start it in a process of its own; a rollout is one step of its learner."""
    folder = tempfile.TemporaryDirectory()
    program = f"from {__name__} import *; train(Size(*{tuple(size)!r}), {folder.name!r})"
    process = PausedProcess([sys.executable, "-c", program], ROOT)

    def close() -> None:
        process.close()
        folder.cleanup()

    return Trainer(lambda: process.wait_for(LEARNED), close)
