"""The machine that a measurement was made on."""

import platform
from pathlib import Path

import torch

from agents.devices import available_cores


def describe_machine() -> dict[str, str | int]:
    """Processor, cores, system and versions, for the head of a committed table."""
    return {
        "processor": _processor(),
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


def _processor() -> str:
    """Name of the processor; on Linux with its instruction sets that matter to float32 and bf16."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return platform.processor() or "unknown processor"
    lines = [line.partition(":") for line in cpuinfo.read_text().splitlines()]
    first = {name.strip(): value.strip() for name, _, value in reversed(lines)}
    sets = [
        s for s in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if s in first.get("flags", "")
    ]
    name = first.get("model name", platform.processor() or "unknown processor")
    return (
        f"{name} (family {first.get('cpu family')}, model {first.get('model')}; {', '.join(sets)})"
    )
