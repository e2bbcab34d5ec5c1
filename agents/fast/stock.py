"""Whether a module is the one that a fast pass was written for, unchanged."""

from torch import nn

HOOKS = (
    "_forward_hooks",
    "_forward_pre_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


def is_stock(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether it is of exactly this class, with no method replaced and no hook of its own.

    A subclass, a parametrisation (which makes one) and `module.forward = ...` are not.
    """
    replaced = [name for name in vars(module) if callable(getattr(kind, name, None))]
    return type(module) is kind and not replaced and not any(getattr(module, h) for h in HOOKS)
