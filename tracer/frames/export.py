"""Tables as files other programs read: Parquet, CSV and JSON lines."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tracer.errors import OutputError
from tracer.frames.capture import Capture
from tracer.frames.columns import TABLES, ColumnType
from tracer.report.jsonobject import dump_object
from tracer.report.jsonreport import render_report_line
from tracer.report.times import format_rfc3339

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
    header = capture.header
    for name in TABLES:
        batches = (_with_partition(batch, capture) for batch in capture.batches(name))
        first = next(batches, None)
        if first is None:
            continue
        reader = pa.RecordBatchReader.from_batches(first.schema, _chain(first, batches))
        partitioning = ds.partitioning(
            pa.schema([("host", pa.string()), ("date", pa.string())]), flavor="hive"
        )
        try:
            ds.write_dataset(
                reader,
                directory / name,
                format="parquet",
                partitioning=partitioning,
                basename_template=f"{header.trace_id}-{header.sequence}-{{i}}.parquet",
                existing_data_behavior="overwrite_or_ignore",
            )
        except OSError as error:
            raise _cannot_write(directory, error) from error


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
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(directory, error) from error
    for name, columns in TABLES.items():
        path = directory / f"{name}.csv"
        writers = [_cell_writer(column.type) for column in columns]
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file)
                writer.writerow([column.name for column in columns])
                for batch in capture.batches(name):
                    values = [_values(column) for column in batch.columns]
                    for row in zip(*values, strict=True):
                        writer.writerow(
                            [
                                "" if value is None else write(value)
                                for write, value in zip(writers, row, strict=True)
                            ]
                        )
        except OSError as error:
            raise _cannot_write(path, error) from error


def export_jsonl(capture: Capture, path: Path) -> None:
    """Write the lines that ``--json`` printed live, the report last.

    Args:
        capture: What to write.
        path: A file, or a directory that gets ``events.jsonl``.

    Raises:
        OutputError: It cannot be written to.
        CaptureError: The capture is corrupt.
    """
    if path.is_dir():
        path /= "events.jsonl"
    try:
        with path.open("w", encoding="utf-8") as file:
            _write_lines(capture, file)
    except OSError as error:
        raise _cannot_write(path, error) from error


def neutralise(text: str) -> str:
    """Make text no spreadsheet takes for a formula.

    >>> neutralise("=1+1"), neutralise("worker")
    ("'=1+1", 'worker')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _write_lines(capture: Capture, file: IO[str]) -> None:
    for line in capture.json_lines():
        file.write(dump_object(dict(line)) + "\n")
    file.write(render_report_line(capture.report()) + "\n")


def _with_partition(batch: pa.RecordBatch, capture: Capture) -> pa.RecordBatch:
    header = capture.header
    names = batch.schema.names
    if "time" in names:
        dates = pc.strftime(batch.column("time"), format="%Y-%m-%d")
    else:
        begin = format_rfc3339(header.attached.boot_ns + header.utc_offset_ns)
        dates = pa.array([begin[:10]] * batch.num_rows, pa.string())
    hosts = pa.array([header.hostname] * batch.num_rows, pa.string())
    boots = pa.array([header.boot_id] * batch.num_rows, pa.string())
    return pa.RecordBatch.from_arrays(
        [boots, *batch.columns, hosts, dates], names=["boot", *names, "host", "date"]
    )


def _chain(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


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
