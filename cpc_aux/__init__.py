"""Auxiliary losses on embeddings and a memory: Contrastive Predictive Coding of any sequence.

The package knows no agent and no environment. What `CPC` takes are rows in time, T+1 of them in
each of B sequences:

embedding (z)   f32 [T+1, B, E]: the encoder's output for each observation. The targets, and the
                negatives.
context (c)     f32 [T+1, B, H]: the recurrent net's output after each observation. c of row t
                predicts z of the rows t+1 .. t+K.
action          i64 [T, B], for name="cpc_action" alone. Where there are no actions (speech, text,
                video) it is left out, and so is `num_actions`.
is_first        bool [T+1, B]: this row opens a sequence of its own, and nothing before it predicts
                what follows. Left out: the rows of each column are one sequence. Sequences of
                unequal lengths are laid end to end in a column, not padded: padding would be
                predicted, and be a negative, like any other row.
generator       draws the rows to predict from; left out, PyTorch's own does.

    cpc = CPC(AuxConfig(horizon=12, negatives="pool", anchors=16), 64, 128)
    loss, metrics = cpc(z, c)  # gradients reach z, c and cpc.parameters()

`examples/audio_cpc.py` does this with speech (docs/audio.md). `make_aux` builds what settings name,
and CPC in a faster form on a CPU. Of `AuxConfig`, `weight` is the agent's to apply: `CPC` itself
returns the plain mean.
"""

from cpc_aux.config import AuxConfig
from cpc_aux.cpc import CPC
from cpc_aux.make_aux import make_aux

__all__ = ["CPC", "AuxConfig", "make_aux"]
