"""Resident memory of a process and its descendants, as Linux counts it."""

import re
from pathlib import Path
from typing import NamedTuple

MEBIBYTE = 2**20


class Memory(NamedTuple):
    """Of all processes together, in MiB."""

    resident: float  # sum of their resident sets: memory that they share counts in each
    proportional: float  # shared memory counts once, split between those that share it
    processes: int

    def largest(self, other: "Memory") -> "Memory":
        """The larger one of each number."""
        return Memory(
            max(self.resident, other.resident),
            max(self.proportional, other.proportional),
            max(self.processes, other.processes),
        )


def descendants(pid: int) -> list[int]:
    """A process and all processes below it; those that have ended meanwhile are left out."""
    found = [pid]
    try:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                found += descendants(int(child))
    except OSError:
        pass
    return found


def memory_of_tree(pid: int) -> Memory:
    """Measure now. Raises OSError where there is no /proc."""
    Path("/proc/self/smaps_rollup").stat()
    resident, proportional, processes = 0.0, 0.0, 0
    for process in descendants(pid):
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:  # ended, or ending
            continue
        resident += _kibibytes(text, "Rss") * 1024 / MEBIBYTE
        proportional += _kibibytes(text, "Pss") * 1024 / MEBIBYTE
        processes += 1
    return Memory(resident, proportional, processes)


def _kibibytes(text: str, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(match.group(1)) if match else 0
