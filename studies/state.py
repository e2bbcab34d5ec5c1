"""How far a planned run is, read from its folder."""

import csv
import fcntl
from pathlib import Path

from configs import RunConfig
from records.checkpoint import NAME as CHECKPOINT
from records.file_names import PROGRESS_FILE


def state(config: RunConfig) -> str:
    """Return "finished", "running" (a process holds its folder) or "open" (new or cut off)."""
    if is_held(config.folder):
        return "running"
    complete = (config.folder / CHECKPOINT).exists()
    return "finished" if complete and frames_done(config.folder) >= config.total_frames else "open"


def is_held(folder: Path) -> bool:
    """Whether a process trains in the run folder `folder`; see `RunFolder`."""
    try:
        with open(folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def frames_done(folder: Path) -> int:
    """Environment frames of the run's last log row; 0 if there is none."""
    rows = _rows(folder)
    return int(rows[-1]["frames"]) if rows else 0


def frames_per_second(folder: Path) -> float | None:
    """Mean speed since the run's first log row, which compiling delays; None before the second."""
    rows = _rows(folder)
    if len(rows) < 2:
        return None
    first, last = rows[0], rows[-1]
    seconds = float(last["seconds"]) - float(first["seconds"])
    return (int(last["frames"]) - int(first["frames"])) / seconds


def _rows(folder: Path) -> list[dict[str, str]]:
    path = folder / PROGRESS_FILE
    if not path.exists():
        return []
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    # A run that was killed may leave half a row, which it cuts off when it goes on.
    return [row for row in rows if None not in row.values()]
