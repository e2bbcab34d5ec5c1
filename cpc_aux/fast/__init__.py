"""CPC of linear predictions on a CPU, compiled; `cpc_aux.make_aux` takes it where it is exact."""

from cpc_aux.fast.infonce import FastCPC

__all__ = ["FastCPC"]
