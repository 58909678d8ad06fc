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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracer.errors import CaptureError
from tracer.model.events import AttachedEvent
from tracer.wire.event_json import event_from_json, event_to_json
from tracer.wire.layout import RECORD

SCHEMA_VERSION = 1
HEADER_KEY = b"zomtrace.capture"
EVENT_KEY = b"zomtrace.event"
SEAL_KEY = b"zomtrace.seal"

_ARROW_TYPES = {"u8": pa.uint64(), "u4": pa.uint32(), "i4": pa.int32(), "u1": pa.uint8()}
_SKIPPED = frozenset({"pad"})
_UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Makes a header of version n one of version n + 1."""


@dataclass(frozen=True, slots=True)
class CaptureHeader:
    """Where and how a capture was made.

    Args:
        attached: The first event of the stream: kernel, machine, hooks, clock
            offset, target with its containers.
        hostname: Of the host traced.
        boot_id: Tells its boots apart: CLOCK_BOOTTIME counts within one.
        created_unix_ns: When the file was begun.
        min_zombie_ns: What the live report took for an ordinary zombie.
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
        raw = json.loads(text)
        version = raw["schema_version"]
        if not isinstance(version, int) or version < 1:
            raise ValueError(f"schema version {version!r}")
        if version > SCHEMA_VERSION:
            raise CaptureError(
                f"{where}: written by {raw.get('writer', 'a newer zomtrace')} as capture schema"
                f" {version}; this one reads up to {SCHEMA_VERSION}",
                hint="read it with the zomtrace that wrote it, or a newer one",
            )
        for old in range(version, SCHEMA_VERSION):
            raw = _UPGRADES[old](raw)
        attached = event_from_json(raw["attached"])
        if not isinstance(attached, AttachedEvent):
            raise TypeError("its first event is no attach")
        return CaptureHeader(
            attached=attached,
            hostname=str(raw["hostname"]),
            boot_id=str(raw["boot_id"]),
            created_unix_ns=int(raw["created_unix_ns"]),
            min_zombie_ns=int(raw["min_zombie_ns"]),
            trace_id=str(raw["trace_id"]),
            sequence=int(raw["sequence"]),
            writer=str(raw["writer"]),
            schema_version=SCHEMA_VERSION,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CaptureError(f"{where}: its header cannot be read: {error}") from error


def arrow_schema(metadata: Mapping[bytes, bytes]) -> pa.Schema:
    """The columns of a capture, from the members of the wire record."""
    return pa.schema(
        [pa.field(name, _arrow_type(RECORD[name]), nullable=False) for name in _columns()],
        metadata=dict(metadata),
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


def _columns() -> tuple[str, ...]:
    return tuple(name for name in RECORD.names or () if name not in _SKIPPED)


def _arrow_type(dtype: np.dtype[Any]) -> pa.DataType:
    # Names keep their 16 bytes, ended by NUL; of ancestors, all in one value.
    return _ARROW_TYPES.get(dtype.str[1:]) or pa.binary(dtype.itemsize)
