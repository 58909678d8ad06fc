"""What a capture file says of itself, and its columns.

A capture is one Arrow IPC stream. Its columns are the members of ``struct
zt_event``, by name; its schema's metadata holds a :class:`CaptureHeader` as
JSON. What is no kernel record (a loss, an observation, the end) travels as JSON
in the metadata of a batch of its own, between the batches of records it came
between.

Attributes:
    SCHEMA_VERSION: Of what this version writes. It is raised when a reader of
        the version before would get something wrong; a new member of the record
        is no such thing, as members are matched by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracer.capture.arrow_message import Column
from tracer.capture.event_json import event_from_json, event_to_json
from tracer.capture.typed_json import MAX_BOOT_NS, check_integer, check_text, parse_object
from tracer.errors import CaptureError
from tracer.model.events import AttachedEvent
from tracer.model.report import DETAIL, MOST_DETAIL
from tracer.wire.layout import RECORD

__all__ = [
    "EVENT_KEY",
    "SCHEMA_VERSION",
    "SEAL_KEY",
    "CaptureHeader",
    "arrow_schema",
    "batch_column",
    "batch_to_records",
    "check_columns",
    "column_values",
    "header_from_json",
    "header_to_json",
    "records_to_batch",
]

SCHEMA_VERSION = 2
EVENT_KEY = b"zomtrace.event"
SEAL_KEY = b"zomtrace.seal"

_ARROW_TYPES = {"u8": pa.uint64(), "u4": pa.uint32(), "i4": pa.int32(), "u1": pa.uint8()}
_SKIPPED = frozenset({"pad"})
_OPTIONAL = frozenset({
    "cgroup_id", "pdeath_signal", "error", "own_sigchld", "forked_ns", "exec_ns", "exit_ns",
    "notified_ns", "repeats_since_ns", "repeats", "cur_uid", "cur_cgroup_id", "cpu_limit_s",
})  # fmt: skip
"""Members that say less where a file lacks them, and nothing wrong."""
_MAX_NAME = 255
_MAX_SEQUENCE = 10**9
_MAX_UNIX_NS = 5 * 10**18
_TRACE_ID = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
_BOOT_ID = re.compile(r"[0-9a-f-]{1,64}|unknown", re.ASCII)
_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: lambda raw: raw}
"""Makes a header of version n one of version n + 1. Version 2 brought LIFETIME records."""


@dataclass(frozen=True, slots=True)
class CaptureHeader:
    """Where and how a capture was made.

    Args:
        attached: The first event of the stream: kernel, machine, hooks, clock
            offset, target with its containers.
        hostname: Of the host traced.
        boot_id: Identifies the boot: CLOCK_BOOTTIME counts within one.
        created_unix_ns: When the file was begun.
        min_zombie_ns: The live report ignored zombies shorter than this.
        detail: How many processes that were over it kept in detail.
        trace_id: The same for all files one trace wrote.
        sequence: The number of this file among them, from 0.
        writer: Which version wrote it.
    """

    attached: AttachedEvent
    hostname: str
    boot_id: str
    created_unix_ns: int
    min_zombie_ns: int
    trace_id: str
    sequence: int = 0
    writer: str = "zomtrace"
    schema_version: int = field(default=SCHEMA_VERSION)
    detail: int = DETAIL

    @property
    def kernel(self) -> str:
        """``uname -r`` of the host traced."""
        return self.attached.kernel

    @property
    def machine(self) -> str:
        """``uname -m`` of the host traced."""
        return self.attached.machine

    @property
    def utc_offset_ns(self) -> int:
        """CLOCK_REALTIME minus CLOCK_BOOTTIME when tracing began, ns."""
        return self.attached.utc_offset_ns


def header_to_json(header: CaptureHeader) -> str:
    """Write a header as the schema's metadata holds it."""
    return json.dumps(
        {
            "schema_version": header.schema_version,
            "writer": header.writer,
            "hostname": header.hostname,
            "boot_id": header.boot_id,
            "created_unix_ns": header.created_unix_ns,
            "min_zombie_ns": header.min_zombie_ns,
            "detail": header.detail,
            "trace_id": header.trace_id,
            "sequence": header.sequence,
            "attached": event_to_json(header.attached),
        }
    )


def header_from_json(text: str, *, where: str) -> CaptureHeader:
    """Read a header, of this version or an older one.

    Args:
        text: The metadata.
        where: The file, for the error.

    Raises:
        CaptureError: It is of a newer version, or does not hold what it must.
    """
    try:
        raw = parse_object(text)
        version = check_integer(raw["schema_version"], "schema_version", 1, 1 << 31)
        if version > SCHEMA_VERSION:
            writer = check_text(raw.get("writer", "a newer zomtrace"), "writer", _MAX_NAME)
            raise CaptureError(
                f"{where}: written by {writer} as capture schema"
                f" {version}; this one reads up to {SCHEMA_VERSION}",
                hint="read it with the zomtrace that wrote it, or a newer one",
            )
        for old in range(version, SCHEMA_VERSION):
            raw = _UPGRADES[old](raw)
        attached = event_from_json(raw["attached"])
        if not isinstance(attached, AttachedEvent):
            raise TypeError("its first event is not an attach")
        return CaptureHeader(
            attached=attached,
            hostname=_host_name(raw["hostname"]),
            boot_id=_matching(raw, "boot_id", _BOOT_ID),
            created_unix_ns=check_integer(
                raw["created_unix_ns"], "created_unix_ns", 0, _MAX_UNIX_NS
            ),
            min_zombie_ns=check_integer(raw["min_zombie_ns"], "min_zombie_ns", 0, MAX_BOOT_NS),
            trace_id=_matching(raw, "trace_id", _TRACE_ID),
            sequence=check_integer(raw["sequence"], "sequence", 0, _MAX_SEQUENCE),
            writer=check_text(raw["writer"], "writer", _MAX_NAME),
            schema_version=SCHEMA_VERSION,
            detail=check_integer(raw.get("detail", DETAIL), "detail", 0, MOST_DETAIL),
        )
    except KeyError as error:
        raise CaptureError(f"{where}: its header cannot be read: {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise CaptureError(f"{where}: its header cannot be read: {error}") from error


def _host_name(value: object) -> str:
    """Check a host's name: whatever its owner chose, but one that can be printed."""
    name = check_text(value, "hostname", _MAX_NAME)
    if not name.isprintable():
        raise ValueError("hostname is not a valid host name")
    return name


def _matching(raw: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = check_text(raw[name], name, _MAX_NAME)
    if pattern.fullmatch(value) is None:
        raise ValueError(f"{name} is invalid: {value!r}")
    return value


def arrow_schema(metadata: Mapping[bytes, bytes]) -> pa.Schema:
    """The columns of a capture, from the members of the wire record."""
    return pa.schema(
        [pa.field(name, _arrow_type(RECORD[name]), nullable=False) for name in _columns()],
        metadata=dict(metadata),
    )


def check_columns(columns: Sequence[Column]) -> None:
    """See that a file has the columns a decoder cannot do without, each of its type.

    Raises:
        ValueError: It has not.
    """
    found = {column.name: column for column in columns}
    for name in _columns():
        column = found.get(name)
        if column is None:
            if name not in _OPTIONAL:
                raise ValueError(f"it has no column {name}")
        elif (column.kind, column.width) != (RECORD[name].base.kind, RECORD[name].itemsize):
            raise ValueError(
                f"column {name} is of type {column.kind}{column.width}, not"
                f" {RECORD[name].base.kind}{RECORD[name].itemsize}"
            )


def records_to_batch(parts: Sequence[npt.NDArray[np.void]], schema: pa.Schema) -> pa.RecordBatch:
    """Make columns of records; one copy each, nothing per record.

    Args:
        parts: Arrays that follow one another, one at the least.
        schema: As :func:`arrow_schema` makes it.
    """
    count = sum(len(part) for part in parts)
    arrays = []
    for column in schema:
        values = np.concatenate([part[column.name] for part in parts])
        arrays.append(pa.Array.from_buffers(column.type, count, [None, pa.py_buffer(values)]))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def batch_to_records(
    batch: pa.RecordBatch, rows: npt.NDArray[np.bool_ | np.intp] | None = None
) -> npt.NDArray[np.void]:
    """Make records of columns; members the file does not have are 0.

    Args:
        batch: The columns.
        rows: Which of them, as a mask or by position; None takes all.

    Raises:
        ValueError: A column is of another type than the record's member.
    """
    if rows is None:
        count = batch.num_rows
    else:
        count = np.count_nonzero(rows) if rows.dtype == bool else len(rows)
    records = np.zeros(count, RECORD)
    for name in _columns():
        index = batch.schema.get_field_index(name)
        if index >= 0:
            values = column_values(batch, index)
            records[name] = values if rows is None else values[rows]
    return records


def column_values(batch: pa.RecordBatch, index: int) -> npt.NDArray[Any]:
    """One column as the record's member is: a view, nothing copied.

    Raises:
        ValueError: It is of another type than the record's member, or has nulls.
    """
    column = batch.column(index)
    name = batch.schema.names[index]
    wanted = RECORD[name]
    if column.type != _arrow_type(wanted) or column.null_count:
        raise ValueError(f"column {name} is {column.type} with {column.null_count} nulls")
    base = wanted.subdtype[0] if wanted.subdtype else wanted
    if batch.num_rows == 0:
        return np.zeros((0, *wanted.shape), base)
    count = batch.num_rows * (wanted.itemsize // base.itemsize)
    offset = column.offset * wanted.itemsize
    values = np.frombuffer(column.buffers()[1], base, count, offset)
    return values.reshape(batch.num_rows, *wanted.shape)


def batch_column(batch: pa.RecordBatch, name: str) -> npt.NDArray[Any]:
    """One member of a batch of records; zeros where the file does not have it.

    Raises:
        ValueError: It is of another type than the record's member, or has nulls.
    """
    index = batch.schema.get_field_index(name)
    if index >= 0:
        return column_values(batch, index)
    return np.zeros(batch.num_rows, RECORD[name])


def _columns() -> tuple[str, ...]:
    return tuple(name for name in RECORD.names or () if name not in _SKIPPED)


def _arrow_type(dtype: np.dtype[Any]) -> pa.DataType:
    # Names keep their 16 bytes, ended by NUL; of ancestors, all in one value.
    return _ARROW_TYPES.get(dtype.str[1:]) or pa.binary(dtype.itemsize)
