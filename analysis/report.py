"""What the commands that compare runs leave: a figure, and tables in Markdown and CSV beside it."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from analysis.figure import check_figure_path, save_figure
from analysis.statistics import Estimate
from records.whole_files import (
    check_replaceable,
    naming,
    replace_file,
    replaced_when_complete,
)

NOTHING = "–"


def number(value: float) -> str:
    """A cell for `value`; a dash for NaN."""
    return NOTHING if math.isnan(value) else f"{value:.2f}"


def with_interval(estimate: Estimate) -> str:
    """A cell such as "3.10 (2.80 to 3.50)", or the number alone where there is no interval."""
    if not estimate.has_interval:
        return number(estimate.value)
    return f"{number(estimate.value)} ({number(estimate.low)} to {number(estimate.high)})"


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in r)} |" for r in lines)


def check_report_path(out: Path) -> None:
    """Raise ValueError or OSError unless `save_report` can write `out` and the files beside it."""
    check_figure_path(out)
    for path in _tables(out):
        check_replaceable(path)


def save_report(
    out: Path, figure: Figure, text: str, records: Sequence[Mapping[str, Any]]
) -> list[Path]:
    """Write the figure as `out`, `text` as .md and `records` as .csv beside it; return the paths.

    Records are rows of equal keys; numbers are written with six digits, NaN and None as nothing.
    Raises ValueError for an ending that is no figure's, OSError.
    """
    save_figure(figure, out)
    text_path, table_path = _tables(out)
    replace_file(text_path, f"{text}\n".encode())
    write_csv(table_path, list(records[0]), (map(_cell, record.values()) for record in records))
    return [out, text_path, table_path]


def _tables(out: Path) -> tuple[Path, Path]:
    return out.with_suffix(".md"), out.with_suffix(".csv")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file whose cells `str` makes; missing folders are made. Raises OSError."""
    with (
        naming(path),
        replaced_when_complete(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        if value.is_integer():
            return int(value)
        return "" if math.isnan(value) else f"{value:.6g}"
    return value
