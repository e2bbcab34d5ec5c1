"""Settings of the agent and of its learning rule."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agents.networks import NetworkConfig

MAX_STEPS = 10**6  # between two updates


@dataclass
class AgentConfig:
    """Hyper-parameters of A2C; configs/agent/*.yaml give the values of each preset, with sources.

    Losses are summed over time and environments (IMPALA, table D.1).
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    unroll_length: int = 100  # agent steps between two updates
    discount: float = 0.99
    gae_lambda: float = 1.0  # 1: n-step returns; below 1: lambda-returns
    learning_rate: float = 4.8e-4  # at the start
    learning_rate_decay: bool = True  # linearly to 0 at total_frames; False: stays as it is
    entropy_cost: float = 2.5e-4
    value_cost: float = 0.5  # times 1/2 sum (return - value)^2
    rmsprop_epsilon: float = 0.1  # inside the root, as in TensorFlow
    rmsprop_bias_correction: bool = False  # True: full steps from the start; see agents.a2c
    max_grad_norm: float | None = None  # null: no clipping
    clip_rewards: bool = True  # to [-1, 1] in the loss; the LSTM's input is clipped always
    normalize_advantages: bool = False  # to unit variance over the rollout, in the policy loss
    bootstrap_on_timeout: bool = False  # False: a time limit ends the return, as in IMPALA
    compile: bool = False  # on a GPU: acting as a CUDA graph, torch.compile for the update

    def validate(self) -> None:
        """Raise ValueError, in one sentence, for a value that is not allowed."""
        self.network.validate()
        _require_steps(self, "unroll_length")
        _require_shares(self, "discount", "gae_lambda")
        _require_positive(self, "learning_rate", "rmsprop_epsilon")
        _require_not_negative(self, "entropy_cost", "value_cost")
        if self.max_grad_norm is not None and not self.max_grad_norm > 0:
            raise ValueError(
                f"agent.max_grad_norm is {self.max_grad_norm}; "
                "it must be greater than 0, or null for no clipping."
            )


@dataclass
class SB3A2CConfig:
    """Hyper-parameters of Stable-Baselines3's A2C: its names, its defaults (version 2.9).

    Losses are means over time and environments. Time limits always bootstrap, rewards are not
    clipped, the learning rate stays as it is.
    """

    n_steps: int = 5  # agent steps between two updates
    learning_rate: float = 7e-4
    gamma: float = 0.99
    gae_lambda: float = 1.0
    ent_coef: float = 0.0
    vf_coef: float = 0.5  # times mean (return - value)^2: as much as a value_cost of twice it
    max_grad_norm: float = 0.5
    rms_prop_eps: float = 1e-5  # beside the root, as in PyTorch
    use_rms_prop: bool = True  # False: Adam
    normalize_advantage: bool = False

    def validate(self) -> None:
        """Raise ValueError, in one sentence, for a value that is not allowed."""
        _require_steps(self, "n_steps")
        _require_shares(self, "gamma", "gae_lambda")
        _require_positive(self, "learning_rate", "max_grad_norm", "rms_prop_eps")
        _require_not_negative(self, "ent_coef", "vf_coef")


def _require_steps(config: object, *names: str) -> None:
    allowed = f"be at least 1 agent step and at most {MAX_STEPS:,}"
    _require(config, names, lambda value: 1 <= value <= MAX_STEPS, allowed)


def _require_shares(config: object, *names: str) -> None:
    _require(config, names, lambda value: 0 <= value <= 1, "lie between 0 and 1")


def _require_positive(config: object, *names: str) -> None:
    _require(config, names, lambda value: value > 0, "be greater than 0")


def _require_not_negative(config: object, *names: str) -> None:
    _require(config, names, lambda value: value >= 0, "not be negative")


def _require(
    config: object, names: Iterable[str], allows: Callable[[float], bool], allowed: str
) -> None:
    """Raise ValueError, in one sentence, for the first of `names` whose value is not allowed."""
    for name in names:
        value = getattr(config, name)
        if not allows(value):
            raise ValueError(f"agent.{name} is {value}; it must {allowed}.")
