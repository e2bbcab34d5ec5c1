"""How far a planned run is, read from its folder."""

import csv
import fcntl
import math
from contextlib import suppress
from pathlib import Path

from configs import RunConfig
from records import checkpoint
from records.file_names import PROGRESS_FILE
from records.metrics import is_finished


def state(config: RunConfig) -> str:
    """Return "finished", "running" (a process holds its folder) or "open" (new or cut off).

    Finished is what is saved to its end: the last row comes before the last evaluation, and both
    before the last checkpoint.
    """
    if is_held(config.folder):
        return "running"
    if frames_done(config.folder) < config.total_frames:
        return "open"
    path = config.folder / checkpoint.NAME
    try:
        saved = checkpoint.load(path)
        with checkpoint.fitting(path):
            finished = is_finished(saved, config.total_frames, config.log.evaluate_frames)
    except ValueError:  # none, or a damaged one: the run tells which when it is started
        return "open"
    return "finished" if finished else "open"


def is_held(folder: Path) -> bool:
    """Whether a process trains in the run folder `folder`; see `RunFolder`."""
    try:
        with open(folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no such file, or none that can be held: the run tells when it is started
        return False
    return False


def frames_done(folder: Path) -> int:
    """Environment frames of the run's last log row; 0 if there is none."""
    rows = _rows(folder)
    return rows[-1][0] if rows else 0


def frames_per_second(folder: Path) -> float | None:
    """Mean speed since the run's first log row, which compiling delays.

    None before the second row, and where a damaged table tells none.
    """
    rows = _rows(folder)
    if len(rows) < 2:
        return None
    (first, begin), (last, end) = rows[0], rows[-1]
    return (last - first) / (end - begin) if end > begin and last > first else None


def _rows(folder: Path) -> list[tuple[int, float]]:
    """Frames and seconds of each row that can be read."""
    path, found = folder / PROGRESS_FILE, []
    # A run that was killed may leave half a row, which it cuts off when it goes on; it also tells
    # where the file is damaged.
    with suppress(OSError, csv.Error), open(path, newline="", errors="replace") as file:
        for row in csv.DictReader(file):
            with suppress(KeyError, ValueError):
                if None not in row.values() and math.isfinite(seconds := float(row["seconds"])):
                    found.append((int(row["frames"]), seconds))
    return found
