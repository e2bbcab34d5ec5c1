"""Everything that one run is: its level, its agent, its auxiliary loss, its length, its folder."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agents.config import AgentConfig, SB3A2CConfig
from cpc_aux.config import AuxConfig
from cpc_aux.negatives import require_others
from envs.config import EnvConfig, require_home
from records.config import LogConfig, require_count

MAX_SEED = 2**31
# More than machines have cores: settings may be those of a larger one. Far beyond, OpenMP, which
# starts so many threads, ends the process.
MAX_THREADS = 1024


@dataclass(frozen=True)
class ResumeConfig:
    """What a run that continues may change."""

    extend: bool = False  # allow a longer total_frames: the learning rate then decays more slowly


@dataclass(frozen=True)
class RunConfig:
    """One run. Made by `configs.compose_runs`; `validate` has passed for those."""

    env: EnvConfig
    agent: AgentConfig | SB3A2CConfig  # the one whose keys the preset has
    aux: AuxConfig  # or the settings of another auxiliary loss, see cpc_aux.config.CONFIGS
    preset: str  # only names the run's folder: the agent's preset, unless it is set
    total_frames: int = 20_000_000  # environment frames; labsim's agent step has four
    seed: int = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    fast: Literal["auto", False] = "auto"  # False: plain PyTorch alone
    run_root: str = "runs"
    tag: str | None = None
    threads: int | None = None  # processor cores; null: all of them
    start_from: str | None = None  # folder of a run whose agent's weights this one takes
    log: LogConfig = field(default_factory=LogConfig)
    resume: ResumeConfig = field(default_factory=ResumeConfig)

    @property
    def arm(self) -> str:
        """The auxiliary loss and the tag: what tells this run from the others of its level."""
        return self.aux.name if self.tag is None else f"{self.aux.name}-{self.tag}"

    @property
    def level_folder(self) -> Path:
        """Folder of all runs of this level and agent preset."""
        return Path(self.run_root).expanduser() / self.env.backend / self.env.level / self.preset

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self.level_folder / self.arm / f"seed_{self.seed}"

    def validate(self) -> None:
        """Raise ValueError, in one sentence, for a value that is not allowed."""
        self.env.validate()
        self.agent.validate()
        self.aux.validate()
        self.log.validate()
        require_count("total_frames", self.total_frames)
        # Worker processes leave a core to the network.
        useful = self.env.num_envs + self.env.in_workers
        most = min(useful, MAX_THREADS)
        if self.threads is not None and not 1 <= self.threads <= most:
            more = " + 1" if self.env.in_workers else ""
            which = f"env.num_envs{more} = " if most == useful else ""
            raise ValueError(f"threads is {self.threads}; it must lie between 1 and {which}{most}.")
        for name, text in (("run_root", self.run_root), ("start_from", self.start_from)):
            if text is not None and not text.strip():
                raise ValueError(f"{name} is empty; it names a folder.")
            require_home(name, text)
        if not 0 <= self.seed < MAX_SEED:
            raise ValueError(f"seed is {self.seed}; it must lie between 0 and {MAX_SEED - 1}.")
        for name, text in (("preset", self.preset), ("tag", self.tag)):
            if text is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
                raise ValueError(
                    f"{name} is {text!r}; it names a folder: letters, digits, '.', '_' and '-'."
                )
        if not self.fast and getattr(self.agent, "compile", False):
            raise ValueError(
                "agent.compile is true, but fast=false is plain PyTorch alone; set one of them."
            )
        if self.aux.name == "none":
            return
        if isinstance(self.agent, SB3A2CConfig):
            raise ValueError(
                f"aux is {self.aux.name}, but agent=sb3_a2c is Stable-Baselines3's own A2C, "
                "which has no auxiliary loss; allowed: none."
            )
        if isinstance(self.aux, AuxConfig):
            if self.aux.horizon > self.agent.unroll_length:
                raise ValueError(
                    f"aux.horizon is {self.aux.horizon}; it must be at most agent.unroll_length "
                    f"({self.agent.unroll_length}), or the last predictions have no target."
                )
            if self.aux.negatives in ("others", "same_step"):
                require_others(self.aux.negatives, self.env.num_envs)
