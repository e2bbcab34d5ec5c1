"""Files of rows that a killed run may leave half-written: CSV tables and TensorBoard events."""

import csv
import io
import math
import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from records.whole_files import append_file, replace_file


def append_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append `rows` to the CSV file `path`; the first row of a new file decides its columns.

    None, or a key that a later row lacks, becomes an empty cell. All rows or none are appended.
    Raises OSError, and ValueError where a row has a key that the file has no column for.
    """
    if not rows:
        return
    columns, header = tuple(rows[0]), True
    if path.exists():
        with open(path, newline="") as file:
            columns, header = tuple(next(csv.reader(file))), False
    unknown = [key for row in rows for key in row if key not in columns]
    if unknown:
        raise ValueError(
            f"{path} has no column {unknown[0]!r}: a metric must be there from the first row on "
            "(nan where not measured), or the file is another run's."
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    append_file(path, text.getvalue().encode())


def cut_rows(path: Path, frames: int) -> None:
    """Keep the rows of the CSV file `path` whose first column is at most `frames`.

    A file without any such row is removed. What a crash left at the end, cut short or never
    written out, goes with the later rows. Raises ValueError: there is such a line before a row
    that must stay, or there are lines and none is a row, so that the file is damaged.
    """
    if not path.exists():
        return
    text = path.read_text(errors="replace")
    header, *lines = text.splitlines(keepends=True) or [""]
    at = [_row_frames(line, header.count(",")) for line in lines]
    kept = [line for line, own in zip(lines, at, strict=True) if own is not None and own <= frames]
    last = max((n for n, own in enumerate(at) if own is not None and own <= frames), default=-1)
    if all(own is None for own in at) and any(line.endswith("\n") for line in lines):
        raise ValueError(
            f"{path} is damaged: none of its lines is a row of the columns that its first line "
            "names. Mend or remove the file, and the same command continues."
        )
    if last >= 0 and not header.startswith("frames"):
        raise ValueError(f"{path} is damaged: its first line must name the columns, frames first.")
    if None in at[: last + 1]:
        raise ValueError(
            f"{path} is damaged: line {at.index(None) + 2} is not a row of it. Remove that line, "
            "and the same command continues."
        )
    if kept:
        replace_file(path, "".join([header, *kept]).encode())
    else:
        path.unlink()


def _row_frames(line: str, commas: int) -> int | None:
    """Return the frames of a row, None for what is not a whole row."""
    first = line.split(",")[0]
    whole = line.endswith("\n") and line.count(",") == commas
    return int(first) if whole and re.fullmatch("[0-9]{1,18}", first) else None


class EventFile:
    """TensorBoard's event file, one scalar per number in a row; nan, not measured, is no point.

    TensorBoard shows scalars in groups by what precedes "/": a name without it is put into
    rollout/, time/ or train/, as Stable-Baselines3's are.

    torch's SummaryWriter writes from a thread, where a full disk ends in a traceback that the
    program cannot catch; this one writes in `write`. Events of an earlier process beyond `frames`
    are marked as superseded.
    """

    def __init__(self, folder: Path, frames: int) -> None:
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
        self.path = folder / name
        self._append(Event(file_version="brain.Event:2", wall_time=time.time()))
        start = SessionLog(status=SessionLog.START)
        self._append(Event(step=frames + 1, session_log=start, wall_time=time.time()))

    def write(self, frames: int, row: Mapping[str, Any]) -> None:
        """Write the numbers in `row` at step `frames`. Raises OSError."""
        values = [
            Summary.Value(tag=_tag(key), simple_value=value)
            for key, value in row.items()
            if key != "frames" and value is not None and not math.isnan(value)
        ]
        self._append(Event(step=frames, summary=Summary(value=values), wall_time=time.time()))

    def _append(self, event: Event) -> None:
        record = io.BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        append_file(self.path, record.getvalue())


def _tag(name: str) -> str:
    """Return the name of a scalar in TensorBoard."""
    if "/" in name:
        return name
    if name in ("seconds", "frames_per_second"):
        return f"time/{name}"
    of_episodes = name.startswith(("episodes", "return_", "length_", "success_"))
    return f"{'rollout' if of_episodes else 'train'}/{name}"
