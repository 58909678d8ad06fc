"""Tables as files other programs read: Parquet, CSV and JSON lines.

The capture is read once, and no more than some ten thousand rows of it are held.
Files are their owner's alone, as captures are, and there only when they are whole.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracer.errors import OutputError
from tracer.files.outfile import NewFiles, in_directory, new_file
from tracer.report.jsonobject import dump_object
from tracer.report.jsonreport import render_report_line
from tracer.tables.capture import Capture
from tracer.tables.column import ColumnType
from tracer.tables.columns import TABLES
from tracer.wording.times import format_rfc3339

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet would compute instead of show."""
_BETWEEN = {ColumnType.STRINGS: " <- ", ColumnType.PIDS: " "}


def export_parquet(capture: Capture, directory: Path) -> None:
    """Write each table as Parquet, partitioned by host and date.

    Files are ``TABLE/host=HOST/date=YYYY-MM-DD/TRACE-N.parquet``: captures of
    many hosts can go to one directory, and one exported twice is there once. The
    date is that of a row's ``time``, in UTC; of tables without it, that of the
    trace's begin.

    Args:
        capture: What to write.
        directory: Where to; it is made.

    Raises:
        OutputError: It cannot be written to.
        CaptureError: The capture is corrupt.
    """
    at = directory
    try:
        with NewFiles() as files, ExitStack() as open_writers:
            writers: dict[Path, pq.ParquetWriter] = {}
            for name, batch in capture.all_batches():
                for date, part in _by_date(batch, capture):
                    at = _partition(directory / name, date, capture)
                    if at not in writers:
                        file = files.open(at, make_parents=True)
                        writer = pq.ParquetWriter(file, part.schema)
                        writers[at] = open_writers.enter_context(writer)
                    writers[at].write_batch(part)
    except OSError as error:
        raise _cannot_write(at, error) from error


def export_csv(capture: Capture, directory: Path) -> None:
    """Write each table as ``TABLE.csv``, safe to open in a spreadsheet.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    Times are RFC 3339, null is an empty cell, lists are joined.

    Args:
        capture: What to write.
        directory: Where to; it is made.

    Raises:
        OutputError: It cannot be written to.
        CaptureError: The capture is corrupt.
    """
    at = directory
    try:
        with NewFiles() as files, ExitStack() as texts:
            sheets = {}
            for name in TABLES:
                at = directory / f"{name}.csv"
                text = TextIOWrapper(files.open(at, make_parents=True), "utf-8", newline="")
                # The file below is closed by whom it belongs to.
                texts.callback(text.detach)
                sheets[name] = csv.writer(text)
                sheets[name].writerow([column.name for column in TABLES[name]])
            for name, batch in capture.all_batches():
                at = directory / f"{name}.csv"
                sheets[name].writerows(zip(*_cells(name, batch), strict=True))
    except OSError as error:
        raise _cannot_write(at, error) from error


def export_jsonl(capture: Capture, path: Path) -> None:
    """Write the lines that ``--json`` printed live, the report last.

    Args:
        capture: What to write.
        path: A file, or a directory that gets ``events.jsonl``.

    Raises:
        OutputError: It cannot be written to.
        CaptureError: The capture is corrupt.
    """
    try:
        path = in_directory(path, "events.jsonl")
        with new_file(path) as file:
            for line in capture.json_lines():
                file.write(f"{dump_object(dict(line))}\n".encode())
            file.write(f"{render_report_line(capture.report())}\n".encode())
    except OSError as error:
        raise _cannot_write(path, error) from error


def neutralise(text: str) -> str:
    """Make text no spreadsheet takes for a formula.

    >>> neutralise("=1+1"), neutralise("worker")
    ("'=1+1", 'worker')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _by_date(batch: pa.RecordBatch, capture: Capture) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Cut a batch by the day its rows are of; its boot comes first in each."""
    header = capture.header
    boots = pa.array([header.boot_id] * batch.num_rows, pa.string())
    whole = pa.RecordBatch.from_arrays([boots, *batch.columns], names=["boot", *batch.schema.names])
    if "time" not in batch.schema.names:
        yield format_rfc3339(header.attached.boot_ns + header.utc_offset_ns)[:10], whole
        return
    dates = pc.strftime(batch.column("time"), format="%Y-%m-%d")
    days = pc.unique(dates).to_pylist()
    for day in days:
        yield day, whole if len(days) == 1 else whole.filter(pc.equal(dates, day))


def _partition(table: Path, date: str, capture: Capture) -> Path:
    header = capture.header
    name = f"{header.trace_id}-{header.sequence}-0.parquet"
    return table / f"host={quote(header.hostname, safe='')}" / f"date={date}" / name


def _cells(name: str, batch: pa.RecordBatch) -> Iterator[list[str]]:
    """Give the cells of a batch, column by column."""
    for column, array in zip(TABLES[name], batch.columns, strict=True):
        write = _cell_writer(column.type)
        yield ["" if value is None else write(value) for value in _values(array)]


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        # Python's datetime has no nanoseconds.
        column = column.cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values


def _cell_writer(kind: ColumnType) -> Callable[[Any], str]:
    between = _BETWEEN.get(kind)
    if kind is ColumnType.TIME:
        return format_rfc3339
    if kind is ColumnType.BOOL:
        return lambda value: "true" if value else "false"
    if between is not None:
        return lambda values: neutralise(between.join(map(str, values)))
    if kind in (ColumnType.STRING, ColumnType.CATEGORY):
        return neutralise
    return str


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written: {error.strerror or error}")
