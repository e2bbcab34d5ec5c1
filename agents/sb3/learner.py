"""Stable-Baselines3's own A2C behind the interface of our learner: an independent baseline.

Everything that learns is SB3's: rollouts, losses, optimiser and networks (its NatureCNN for images,
its MLP for vectors), without memory. Ours are the environments, the records and the checkpoints.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from agents.batched_env import BatchedEnv
from agents.config import SB3A2CConfig
from agents.episodes import Episode, EpisodeTracker
from agents.running_means import RunningMeans
from agents.state_check import load_optimizer, require_form
from episode_seeds import FIRST_EVALUATION_SEED

# What PyTorch says of a policy whose outputs are not finite.
NOT_FINITE = ("Expected parameter", "probability tensor contains")


class _Step(NamedTuple):
    """A StepResult made of what SB3 reports; arrays of length B."""

    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    success_seconds: np.ndarray
    final_obs: None = None
    lost: None = None


class _Episodes(BaseCallback):
    """Hands every step that SB3 takes to the episode tracker."""

    def __init__(self, num_envs: int) -> None:
        super().__init__()
        self.tracker = EpisodeTracker(num_envs, stagger=True)
        self.finished: list[Episode] = []

    def _on_step(self) -> bool:
        """Called by SB3 after each step of the environments."""
        infos, ended = self.locals["infos"], self.locals["dones"]
        truncated = np.array([info["TimeLimit.truncated"] for info in infos])
        seconds = np.array([info.get("success_seconds", math.nan) for info in infos])
        step = _Step(self.locals["rewards"], ended & ~truncated, truncated, seconds)
        self.finished += [episode for _, episode in self.tracker.add(step)]
        return True


class SB3A2CLearner:
    """SB3's A2C; `collect` and `update` are the two halves of its `learn`.

    Args:
        config: hyper-parameters, by SB3's names.
        make_envs: makes the environments, given how many. They keep final observations.
        as_vec_env: gives them SB3's interface, with "TimeLimit.truncated" in every info and
            "success_seconds" where a trial succeeded.
        num_envs: the batch size B.
        total_frames: environment frames after which it is finished.
        seed: of parameters, environments and actions. SB3 draws from the global generators of
            PyTorch and NumPy, which this seeds.
        device: where the network runs.
        frames_per_step: environment frames in an agent step (the action repeat).
        policy_kwargs: a network or an optimiser other than SB3's own, as A2C takes it.
    """

    def __init__(
        self,
        config: SB3A2CConfig,
        make_envs: Callable[[int], BatchedEnv],
        as_vec_env: Callable[[BatchedEnv], VecEnv],
        num_envs: int,
        total_frames: int,
        seed: int,
        device: torch.device,
        frames_per_step: int = 4,
        policy_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.passes = {"agent": "Stable-Baselines3"}  # for the run's record
        self.total_frames = total_frames
        self.updates = 0
        self._frames_per_step = frames_per_step
        self._envs = make_envs(num_envs)
        self._vec_env = as_vec_env(self._envs)
        self._episode_seed = int(
            np.random.SeedSequence([seed, num_envs]).generate_state(1)[0]
            % (FIRST_EVALUATION_SEED - num_envs)
        )
        images = len(self._envs.single_observation_space.shape) == 3
        self.model = A2C(
            "CnnPolicy" if images else "MlpPolicy",
            self._vec_env,
            **dataclasses.asdict(config),
            policy_kwargs=policy_kwargs,
            seed=seed,
            device=device,
        )
        self.model.set_logger(Logger(folder=None, output_formats=[]))
        self._episodes = _Episodes(num_envs)
        self._means = RunningMeans()

    @property
    def frames(self) -> int:
        """Environment frames collected so far."""
        return self.model.num_timesteps * self._frames_per_step

    @property
    def finished(self) -> bool:
        """Whether total_frames have been collected."""
        return self.frames >= self.total_frames

    def start(self) -> None:
        """Reset every environment; the first call compiles the engine's kernels."""
        self._vec_env.seed(self._episode_seed)
        self.model.learn(0, callback=self._episodes)  # sets up and resets, takes no step

    def collect(self) -> list[Episode]:
        """Fill SB3's rollout buffer; return the episodes that ended meanwhile.

        Raises FloatingPointError if the policy's outputs are not finite.
        """
        model = self.model
        assert model.env is not None
        self._episodes.finished = []
        with self._divergence_named():
            model.collect_rollouts(model.env, self._episodes, model.rollout_buffer, model.n_steps)
        return self._episodes.finished

    def update(self) -> None:
        """SB3's gradient step on the rollout just collected.

        Raises FloatingPointError if a loss or a parameter is not finite; both are lost then.
        """
        self.updates += 1
        with self._divergence_named():
            self.model.train()
        logged = self.model.logger.name_to_value
        losses = {
            "policy_loss": logged["train/policy_loss"],
            "value_loss": logged["train/value_loss"] / 2,  # SB3 leaves out the 1/2 of ours
            "entropy": -logged["train/entropy_loss"],
        }
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if not all(torch.isfinite(p).all() for p in self.model.policy.parameters()):
            bad.append("the parameters after it")
        if bad:
            raise self._diverged(", ".join(bad))
        measured = losses | {"explained_variance": logged["train/explained_variance"]}
        self._means.add(**{name: torch.tensor(float(x)) for name, x in measured.items()})

    @contextmanager
    def _divergence_named(self) -> Iterator[None]:
        """Raise FloatingPointError where PyTorch meets a policy that is not finite.

        Its distributions say so where they check their arguments. In a process that has used
        torch.compile they do not, and drawing from them says so.
        """
        try:
            yield
        except (ValueError, RuntimeError) as error:
            if not any(words in str(error) for words in NOT_FINITE):
                raise
            raise self._diverged("the policy's logits") from error

    def _diverged(self, what: str) -> FloatingPointError:
        return FloatingPointError(
            f"update {self.updates} at {self.frames} frames: not finite: {what}"
        )

    def metrics(self) -> dict[str, float | list[float]]:
        """Means since the last call, and the learning rate, which SB3 keeps constant."""
        return {"learning_rate": self.config.learning_rate, **self._means.pop()}

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on; tensors, numbers, lists and dicts."""
        model = self.model
        return {
            "agent": model.policy.state_dict(),
            "optimizer": model.policy.optimizer.state_dict(),
            "frames": self.frames,
            "updates": self.updates,
            "timesteps": model.num_timesteps,
            "generators": _generators(model.device),
            "envs": {k: torch.from_numpy(v.copy()) for k, v in self._envs.get_state().items()},
            "obs": torch.from_numpy(np.array(model._last_obs)),
            "tracker": dict(vars(self._episodes.tracker)),
            "means": self._means.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue as the learner that `state` was taken from would have, bit for bit.

        With another number of threads sums are rounded otherwise, and on another kind of device
        the random numbers of actions differ.
        Raises ValueError, or an error of PyTorch's: `state` is not of such a learner.
        """
        self.start()
        own_check = ("optimizer", "generators", "means")
        require_form(state, self.state_dict(), unlike=own_check, any_number="envs")
        model = self.model
        model.policy.load_state_dict(state["agent"])
        load_optimizer(model.policy.optimizer, state["optimizer"])
        model.num_timesteps, self.updates = state["timesteps"], state["updates"]
        self._envs.set_state({k: v.numpy() for k, v in state["envs"].items()})
        # Whether it opens an episode is of no account to an agent without memory.
        model._last_obs = state["obs"].numpy()
        vars(self._episodes.tracker).update(state["tracker"])
        self._means.load_state_dict(state["means"], torch.device("cpu"))
        _restore_generators(state["generators"], model.device)

    def close(self) -> None:
        """Close the environments."""
        self._vec_env.close()


def _generators(device: torch.device) -> dict[str, Any]:
    """State of the global generators: PyTorch's draw actions, NumPy's orders the batch."""
    numpy: Any = np.random.get_state(legacy=False)
    key, position = numpy["state"]["key"], numpy["state"]["pos"]
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": [torch.from_numpy(key.astype(np.int64)), position],
        "numpy_gauss": [numpy["has_gauss"], numpy["gauss"]],
    }


def _restore_generators(state: dict[str, Any], device: torch.device) -> None:
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
    key, position = state["numpy"]
    key = key.numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, position, *state["numpy_gauss"]))
