"""Auxiliary losses on an agent's embeddings and memory: Contrastive Predictive Coding."""

from cpc_aux.config import AuxConfig
from cpc_aux.cpc import CPC
from cpc_aux.make_aux import make_aux

__all__ = ["CPC", "AuxConfig", "make_aux"]
