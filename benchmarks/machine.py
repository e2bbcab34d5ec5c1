"""The machine that a measurement was made on."""

import platform

import torch

from agents.devices import available_cores
from records.provenance import processor


def describe_machine() -> dict[str, str | int]:
    """Processor, cores, system and versions, for the head of a committed table."""
    return {
        "processor": processor(),
        "cores": available_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def machine_line() -> str:
    """The same in one line."""
    machine = describe_machine()
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}, PyTorch {machine['torch']}"
    )
