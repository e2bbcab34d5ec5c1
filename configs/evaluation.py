"""What evaluate.py is asked for: how to play, and in which environments."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from configs.from_mapping import from_mapping
from configs.run_config import MAX_THREADS
from envs.config import MAX_ENVS, EnvConfig
from episode_seeds import FIRST_EVALUATION_SEED


@dataclass(frozen=True)
class EvaluationSettings:
    """What evaluate.py takes after the run's folder."""

    episodes: int = 100
    greedy: bool = False  # the likeliest action, instead of sampling as in training
    video: str | None = None  # FILE.mp4 to film one episode
    json: str | None = None  # file for the result
    seed: int = 0  # of the episodes; training uses none of them
    num_envs: int | None = None  # at once; null: as many as in training
    threads: int | None = None  # processor cores to use; null: all
    device: Literal["auto", "cpu", "cuda"] = "auto"
    trust: bool = False  # let the run's own settings import modules
    env: dict[str, Any] = field(default_factory=dict)  # what is not as in training

    def validate(self) -> None:
        """Raise ValueError, in one sentence, for a value that is not allowed."""
        for name in ("episodes", "num_envs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1.")
        if self.threads is not None and not 1 <= self.threads <= MAX_THREADS:
            raise ValueError(f"threads is {self.threads}; it must lie between 1 and {MAX_THREADS}.")
        # Seeds of environments, of which each has its own, are still those of DeepMind Lab.
        largest = FIRST_EVALUATION_SEED // MAX_ENVS - 1
        if not 0 <= self.seed <= largest:
            raise ValueError(f"seed is {self.seed}; it must lie between 0 and {largest}.")
        if self.json is not None and (
            Path(self.json).is_dir() or not Path(self.json).absolute().parent.is_dir()
        ):
            raise ValueError(f"json is {self.json!r}; it must be a file in a folder that exists.")

    @property
    def first_seed(self) -> int:
        """That of environment 0; environment i has i more. No two values of `seed` share one."""
        return FIRST_EVALUATION_SEED + self.seed * MAX_ENVS

    def environments(self, trained: EnvConfig) -> EnvConfig:
        """Return those to play in: `trained`, as the run has them, with what `env` changes.

        There are `num_envs` of them, but no more than episodes.
        Raises ValueError: unknown settings, or values that are not allowed.
        """
        values = asdict(trained)
        backend = self.env.get("backend", trained.backend)
        if backend != trained.backend:  # the other settings are the other backend's
            values = {"level": trained.level, "num_envs": trained.num_envs}
        if backend == "gymnasium":
            values["level"] = ""  # env.id names the environment
        for key, value in self.env.items():
            parts = values.get(key) if isinstance(value, dict) else None
            values[key] = {**parts, **value} if isinstance(parts, dict) else value
        changed = from_mapping(EnvConfig, values, "env.")
        num_envs = min(self.num_envs or changed.num_envs, self.episodes)
        changed = replace(changed, num_envs=num_envs)
        changed.validate()
        return changed.canonical()


def parse_evaluation(arguments: Sequence[str]) -> EvaluationSettings:
    """Return key=value `arguments` as settings. Raises ValueError.

    `env=LEVEL` and `env.KEY=VALUE` are train_agent.py's, on top of the run's own environments.
    """
    given, env = OmegaConf.create(), {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key:
            raise ValueError(f"{argument!r} is not a setting; write key=value, as in episodes=200.")
        if key == "env":  # as the files in configs/env say
            env = {"backend": text} if text == "gymnasium" else {"backend": "labsim", "level": text}
            continue
        try:
            given.merge_with_dotlist([argument])
        except (OmegaConfBaseException, YAMLError, RecursionError, TypeError, IndexError) as error:
            raise ValueError(
                f"{argument!r} cannot be read; write key=value, as in seed=1."
            ) from error
    values: Any = OmegaConf.to_container(given)
    if isinstance(changes := values.get("env", {}), dict):
        values["env"] = {**env, **changes}
    settings = from_mapping(EvaluationSettings, values)
    settings.validate()
    return settings
