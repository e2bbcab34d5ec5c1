"""Files of rows that a killed run may leave half-written: CSV tables and TensorBoard events."""

import csv
import io
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from agents.files import append_file, replace_file


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
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    append_file(path, text.getvalue().encode())


def cut_rows(path: Path, frames: int) -> None:
    """Keep the complete rows of the CSV file `path` whose first column is at most `frames`.

    A file without any such row is removed.
    """
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True)
    columns = lines[0].count(",") if lines else 0
    kept = [
        line
        for line in lines[1:]
        if line.endswith("\n") and line.count(",") == columns and int(line.split(",")[0]) <= frames
    ]
    if kept:
        replace_file(path, "".join([lines[0], *kept]).encode())
    else:
        path.unlink()


class EventFile:
    """TensorBoard's event file, one scalar per number in a row.

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
            Summary.Value(tag=key, simple_value=value)
            for key, value in row.items()
            if key != "frames" and value is not None
        ]
        self._append(Event(step=frames, summary=Summary(value=values), wall_time=time.time()))

    def _append(self, event: Event) -> None:
        record = io.BytesIO()
        RecordWriter(record).write(event.SerializeToString())
        append_file(self.path, record.getvalue())
