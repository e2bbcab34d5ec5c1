"""Auxiliary losses on an agent's embeddings and memory: Contrastive Predictive Coding."""

from cpc_aux.config import AuxConfig
from cpc_aux.cpc import CPC, make_aux

__all__ = ["CPC", "AuxConfig", "make_aux"]
