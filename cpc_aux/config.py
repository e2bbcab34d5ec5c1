"""Settings of the auxiliary losses."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAMES = ("none", "cpc", "cpc_action")
NEGATIVES = ("pool", "sequence", "others", "same_step")
PREDICTORS = ("linear", "gru")
TRAINS = ("both", "context", "embedding")


@dataclass
class AuxConfig:
    """CPC's settings: what is predicted, against what, and how strongly it shapes the agent.

    name        none: no auxiliary loss. cpc: Contrastive Predictive Coding. cpc_action: CPC whose
                predictions also see the actions taken in between.
    horizon     K: predict 1..K agent steps ahead (van den Oord et al. 2018, section 3.4: 30).
    weight      factor on the gradient that enters the agent's embedding and context; the auxiliary
                loss's own parameters always learn at full weight. 0 leaves the agent as it is and
                measures how well its memory predicts.
    trains      what that gradient enters: both, or of embedding (z) and context (c) only the one.
                The context's goes on through the recurrent core to the encoder.
    negatives   where they come from, see `cpc_aux.negatives`. The default needs no other
                environments, and came within 0.3 points of the best in the paper's ablation (audio,
                table 2).
    anchors     time steps per unroll to predict from, drawn anew each time; None: all of them.
    predictor   linear: one map W_k per step. gru: a recurrent net over the horizon and one map.
    """

    name: str = "cpc"
    horizon: int = 30
    weight: float = 0.01
    trains: str = "both"
    negatives: str = "sequence"
    anchors: int | None = 5
    predictor: str = "linear"

    @classmethod
    def for_values(cls, values: Mapping[str, Any]) -> type:
        """The class of the settings `values`: that of the loss which they name.

        Raises ValueError: there is no such loss.
        """
        name = str(values.get("name", cls.name))
        if name not in CONFIGS:
            raise ValueError(f"aux.name is {name!r}; allowed: {', '.join(CONFIGS)}.")
        return CONFIGS[name]

    def validate(self) -> None:
        """Raise ValueError, in one sentence, for a value that is not allowed."""
        choices = {
            "name": NAMES,
            "trains": TRAINS,
            "negatives": NEGATIVES,
            "predictor": PREDICTORS,
        }
        for key, allowed in choices.items():
            value = getattr(self, key)
            if value not in allowed:
                raise ValueError(f"aux.{key} is {value!r}; allowed: {', '.join(allowed)}.")
        if self.horizon < 1:
            raise ValueError(f"aux.horizon is {self.horizon}; it must be at least 1 agent step.")
        if not 0 <= self.weight < math.inf:  # written so that NaN fails
            raise ValueError(f"aux.weight is {self.weight}; it must be finite and not negative.")
        if self.anchors is not None and self.anchors < 1:
            raise ValueError(
                f"aux.anchors is {self.anchors}; "
                "it must be at least 1 time step, or null for all of them."
            )


# The auxiliary losses by name, with the class of their settings: docs/change_the_agent.md.
CONFIGS: dict[str, type] = dict.fromkeys(NAMES, AuxConfig)
