"""Captures made to do harm: each one ends at once, in little memory and with one line."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.forging import WEB, Parts, join, reseal, split, web_parts
from tests.support.measured import run
from tracer.capture.reader import CaptureReader
from tracer.capture.schema import arrow_schema
from tracer.errors import CaptureError
from tracer.wire.header import CONSTANTS

LIFETIME = CONSTANTS["ZT_KIND_LIFETIME"]
RELEASED = CONSTANTS["ZT_F_RELEASED"]
PROMISED_KB = 150_000
PROMISED_S = 1.0
SLACK_S = 5.0
"""Machines that run tests are busy; it is seconds or minutes that are told apart."""


def wide_field(name: str, kind: pa.DataType) -> pa.Schema:
    """The columns of a capture and one more."""
    return arrow_schema({}).append(pa.field(name, kind))


def batch_of(schema: pa.Schema, rows: int, **columns: pa.Array) -> pa.RecordBatch:
    """Zeros, but for some columns."""
    arrays = []
    for member in schema:
        if member.name in columns:
            arrays.append(columns[member.name])
        elif pa.types.is_fixed_size_binary(member.type):
            zeros = pa.py_buffer(bytes(rows * member.type.byte_width))
            arrays.append(pa.Array.from_buffers(member.type, rows, [None, zeros]))
        else:
            arrays.append(pa.array(np.zeros(rows, member.type.to_pandas_dtype()), member.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def with_batch(schema: pa.Schema, batch: pa.RecordBatch, compression: str | None = "lz4") -> Parts:
    """A capture that begins well and has such a batch."""
    web = web_parts()
    return replace(web, items=[web.items[0], batch], schema=schema, compression=compression)


def few_columns(compression: str) -> Parts:
    """Eight million rows of one byte each, zeros."""
    schema = pa.schema([arrow_schema({}).field("kind")])
    return with_batch(
        schema, batch_of(schema, 8_000_000, kind=pa.array(np.ones(8_000_000), pa.uint32())),
        compression,
    )  # fmt: skip


def many_rows(compression: str) -> Parts:
    """A million rows of every column, zeros."""
    schema = arrow_schema({})
    return with_batch(schema, batch_of(schema, 1_000_000), compression)


def nested(depth: int) -> Parts:
    """A column of lists in lists."""
    kind: pa.DataType = pa.int8()
    for _ in range(depth):
        kind = pa.list_(kind)
    schema = wide_field("more", kind)
    return with_batch(schema, batch_of(schema, 3, more=pa.nulls(3, kind)))


def strings() -> Parts:
    """One row of a string that is 200 MB of one letter."""
    schema = wide_field("more", pa.large_string())
    return with_batch(
        schema, batch_of(schema, 1, more=pa.array(["x" * 200_000_000], pa.large_string()))
    )


def dictionary() -> Parts:
    """A column whose values are in a message of their own."""
    kind = pa.dictionary(pa.int32(), pa.string())
    schema = wide_field("more", kind)
    more = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array(["x" * 50_000_000]))
    return with_batch(schema, batch_of(schema, 1, more=more))


def wide() -> Parts:
    """A column of two gigabytes a row, which has none."""
    schema = wide_field("more", pa.binary(2_000_000_000))
    return with_batch(schema, batch_of(schema, 0))


def many_columns() -> Parts:
    """More columns than a record has members."""
    schema = arrow_schema({})
    for number in range(4_000):
        schema = schema.append(pa.field(f"more{number}", pa.int32()))
    return with_batch(schema, batch_of(schema, 0))


def twice() -> Parts:
    """A column that is there twice."""
    schema = wide_field("kind", pa.uint32())
    arrays = [*batch_of(arrow_schema({}), 1).columns, pa.array([1], pa.uint32())]
    return with_batch(schema, pa.RecordBatch.from_arrays(arrays, schema=schema))


def retyped(kind: pa.DataType) -> Parts:
    """A column of another type than the record's member."""
    schema = arrow_schema({})
    schema = schema.set(schema.get_field_index("flags"), pa.field("flags", kind))
    flags = pa.array([None] if pa.types.is_string(kind) else [0], kind)
    return with_batch(schema, batch_of(schema, 1, flags=flags))


def nulls() -> Parts:
    """A column with a null."""
    schema = arrow_schema({})
    schema = schema.set(schema.get_field_index("flags"), pa.field("flags", pa.uint32()))
    return with_batch(schema, batch_of(schema, 2, flags=pa.array([1, None], pa.uint32())))


def header_text(text: bytes) -> Parts:
    """A header of such a text."""
    return replace(web_parts(), header=text)


def header_field(name: str, value: object) -> Parts:
    """A header with such a field."""
    web = web_parts()
    assert isinstance(web.header, dict)
    return replace(web, header={**web.header, name: value})


def event(value: bytes | dict[str, Any]) -> Parts:
    """A capture with such an event."""
    web = web_parts()
    return replace(web, items=[*web.items[:1], value, *web.items[1:]])


def observation(**values: object) -> Parts:
    """A capture with such an observation."""
    source = str(values.pop("source", "proc"))
    return event(
        {"event": "observation", "boot_ns": 1, "source": source, "about": [1, 2], "values": values}
    )


HOSTILE: dict[str, tuple[Callable[[], Parts], str]] = {
    "one column of eight million rows": (lambda: few_columns("zstd"), "no column boot_ns"),
    "the same in LZ4": (lambda: few_columns("lz4"), "no column boot_ns"),
    "a million rows": (lambda: many_rows("lz4"), "1000000 rows"),
    "a million rows in zstd": (lambda: many_rows("zstd"), "rows"),
    "zstd at all": (lambda: replace(web_parts(), compression="zstd"), "is not compressed with LZ4"),
    "lists in lists": (lambda: nested(60), "nested"),
    "a string of 200 MB": (strings, "a type that no member of a record has"),
    "a dictionary of 50 MB": (dictionary, "is nested or dictionary-encoded"),
    "a column of 2 GB": (wide, "a type that no member of a record has"),
    "4,000 columns": (many_columns, "columns"),
    "a column twice": (twice, "'kind' twice"),
    "a column of other width": (lambda: retyped(pa.uint64()), "flags is of type u8, not u4"),
    "a column of other type": (lambda: retyped(pa.int32()), "flags is of type i4, not u4"),
    "a column of strings": (lambda: retyped(pa.string()), "a type that no member of a record has"),
    "a null": (nulls, "have nulls"),
    "a deep header": (lambda: header_text(b'{"attached":' + b"[" * 900_000), "nested too deep"),
    "a header of lists": (lambda: header_text(b"[" + b"[]," * 900_000 + b"[]]"), "a JSON object"),
    "no header": (lambda: header_text(b"\xff\xfe"), "its header cannot be read"),
    "NaN in the header": (lambda: header_field("min_zombie_ns", float("nan")), "NaN is not JSON"),
    "a huge number": (lambda: header_text(b'{"schema_version":' + b"9" * 100_000 + b"}"), "header"),
    "a path for a trace": (lambda: header_field("trace_id", "../../etc/x"), "trace_id is invalid"),
    "a path for a boot": (lambda: header_field("boot_id", "/etc"), "boot_id is invalid"),
    "a path for a number": (lambda: header_field("sequence", "../x"), "must be an integer"),
    "a negative number": (lambda: header_field("sequence", -1), "sequence is out of bounds"),
    "an escape for a host": (lambda: header_field("hostname", "a\x1b[2J"), "not a valid host name"),
    "a long host": (lambda: header_field("hostname", "a" * 70_000), "hostname has 70000"),
    "a long writer": (
        lambda: replace(
            header_field("writer", "w" * 70_000),
            header={**header_field("writer", "w" * 70_000).header, "schema_version": 9},  # type: ignore[dict-item]
        ),
        "writer has 70000",
    ),
    "no target": (lambda: header_field("attached", {"event": "attached"}), "is missing"),
    "an event of no kind": (lambda: event({"event": "x"}), "kind that does not exist"),
    "an event that is a list": (lambda: event(b"[]"), "not a JSON object"),
    "a deep event": (lambda: event(b'{"a":' * 500_000), "nested too deep"),
    "an event without its time": (lambda: event({"event": "end", "reason": "x"}), "without"),
    "an event in the far future": (
        lambda: event({"event": "end", "boot_ns": 1 << 62, "reason": "x"}), "out of bounds",
    ),
    "an event at a true": (
        lambda: event({"event": "end", "boot_ns": True, "reason": "x"}), "must be an integer",
    ),
    "a loss of a text": (
        lambda: event({"event": "loss", "boot_ns": 1, "lost": {"exit": "x"}}), "must be an integer",
    ),
    "a loss of less than nothing": (
        lambda: event({"event": "loss", "boot_ns": 1, "lost": {"exit": -4}}), "out of bounds",
    ),
    "a deep observation": (
        lambda: observation(x=json.loads("[" * 90 + "]" * 90)), "nested too deep",
    ),
    "levels that are none": (
        lambda: observation(source="cgroup", controller="pids", levels=7), "levels must be a list",
    ),
    "a level without its path": (
        lambda: observation(source="cgroup", controller="pids", levels=[{}]), "without",
    ),
    "zombies that are none": (
        lambda: observation(reading="parent", zombie_host_pids=3), "must be a list",
    ),
    "a parent that is none": (lambda: observation(reading="holder", parent=1), "must be an object"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_capture_ends_at_once_with_one_line(name: str, tmp_path: Path) -> None:
    make, expected = HOSTILE[name]
    path = make().write(tmp_path / "bad.arrows")
    status, said, seconds, memory_kb = run("report", path)
    assert status == 69, said
    assert len(said.splitlines()) <= 2, said
    assert said.startswith(f"zomtrace: {path}: ")
    assert expected in said
    assert max(map(len, said.splitlines())) < 600
    assert memory_kb < PROMISED_KB
    assert seconds < PROMISED_S + SLACK_S


def a_record(**members: object) -> Parts:
    """A capture with one record changed."""
    web = web_parts()
    position = next(at for at, item in enumerate(web.items) if isinstance(item, np.ndarray))
    records = web.items[position].copy()
    for name, value in members.items():
        records[0][name] = value
    web.items[position] = records
    return web


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"kind": 99}, "kind 99"),
        ({"kind": 0}, "kind 0"),
        ({"host_pid": 1 << 31}, "host_pid"),
        ({"si_pid": 0xFFFFFFFF}, "si_pid"),
        ({"boot_ns": 1 << 62}, "boot_ns"),
        ({"start_boot_ns": (1 << 64) - 1}, "start_boot_ns"),
        ({"sig": -7}, "sig is -7"),
        ({"sig": 65}, "sig is 65"),
        ({"exit_code": 0x7F}, "a nonexistent signal"),
        ({"exit_code": 1 << 20}, "exit_code"),
        ({"error": 5}, "error is 5"),
        ({"info": 200}, "info is 200"),
        ({"result": 9}, "result is 9"),
        ({"exec_ns": 1 << 62}, "exec_ns"),
        ({"notified_ns": (1 << 64) - 1}, "notified_ns"),
        ({"repeats_since_ns": 1 << 63}, "repeats_since_ns"),
        ({"kind": LIFETIME}, "a lifetime record without its fork"),
        ({"kind": LIFETIME, "forked_ns": 1, "flags": RELEASED}, "a finished lifetime record"),
    ],
)
def test_a_record_no_kernel_writes_is_refused(
    tmp_path: Path, members: dict[str, int], expected: str
) -> None:
    path = a_record(**members).write(tmp_path / "bad.arrows")
    with CaptureReader(path) as reader, pytest.raises(CaptureError, match=expected) as refused:
        list(reader.read())
    assert f"{path}: corrupt at byte " in refused.value.message


# Messages that ask for more than they hold.


def batch_messages() -> tuple[list[bytes], int]:
    """The messages of the real capture, and which one has the most rows."""
    messages = split(WEB.read_bytes())
    return messages, max(range(1, len(messages)), key=lambda at: len(messages[at]))


def buffers_at(message: bytes) -> list[int]:
    """Where a batch keeps the place and the length of its buffers, those with any."""
    (length,) = struct.unpack_from("<I", message, 4)
    body = len(message) - 8 - length
    found = []
    for at in range(8, 8 + length - 16, 8):
        place, size = struct.unpack_from("<qq", message, at)
        if 8 < size < body and 0 <= place < body and place % 8 == 0 and place + size <= body:
            found.append(at)
    return found


def refused(tmp_path: Path, messages: list[bytes]) -> str:
    """What is said of a capture of these messages."""
    path = join(tmp_path / "bad.arrows", messages)
    status, said, _, memory_kb = run("report", path)
    assert status == 69, said
    assert memory_kb < PROMISED_KB
    return said


def test_a_buffer_that_says_it_is_larger_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    messages, at = batch_messages()
    message = bytearray(messages[at])
    (length,) = struct.unpack_from("<I", message, 4)
    (place,) = struct.unpack_from("<q", message, buffers_at(bytes(message))[0])
    struct.pack_into("<q", message, 8 + length + place, 1 << 40)
    messages[at] = reseal(bytes(message))
    assert f"{1 << 40} bytes for" in refused(tmp_path, messages)


def test_buffers_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    messages, at = batch_messages()
    message = bytearray(messages[at])
    first, second, *_ = buffers_at(bytes(message))
    message[second : second + 16] = message[first : first + 16]
    messages[at] = reseal(bytes(message))
    assert "its buffer overlaps another one" in refused(tmp_path, messages)


@pytest.mark.parametrize("place", [-8, 1 << 40])
def test_a_buffer_outside_its_message_is_refused(tmp_path: Path, place: int) -> None:
    messages, at = batch_messages()
    message = bytearray(messages[at])
    struct.pack_into("<q", message, buffers_at(bytes(message))[1], place)
    messages[at] = reseal(bytes(message))
    assert "its buffer overlaps another one" in refused(tmp_path, messages)


def test_a_second_schema_in_the_stream_is_refused(tmp_path: Path) -> None:
    messages, at = batch_messages()
    messages.insert(at, messages[0])
    assert "not a batch of records" in refused(tmp_path, messages)


def test_metadata_of_many_entries_is_refused(tmp_path: Path) -> None:
    parts = replace(
        web_parts(), metadata={b"k%d" % number: b"x" * 1_000 for number in range(1_000)}
    )
    assert "entries of metadata" in refused(tmp_path, parts.messages())


def test_a_small_file_of_many_events_is_only_as_long_as_it_is(tmp_path: Path) -> None:
    web = web_parts()
    parts = replace(web, items=[*web.items[:1], *[b"{}"] * 3_000])
    assert "without 'event'" in refused(tmp_path, parts.messages())


def test_a_capture_of_today_is_read_as_ever(tmp_path: Path) -> None:
    """What the forge makes of the real capture unchanged is that capture."""
    again = web_parts().write(tmp_path / "web.arrows")
    reports = [
        subprocess.run(
            [sys.executable, "-m", "tracer.cli.main", "report", path, "--json"],
            capture_output=True, check=True,
        ).stdout
        for path in (WEB, again)
    ]  # fmt: skip
    assert reports[0] == reports[1]
    assert json.loads(reports[0])["stops"]


def test_nothing_leaves_the_directory_of_an_export(tmp_path: Path) -> None:
    """Names a header can still have are quoted in a path."""
    path = header_field("hostname", "../../../etc/passwd").write(tmp_path / "odd.arrows")
    before = set(tmp_path.rglob("*"))
    status, said, _, _ = run("export", path, "-f", "parquet", "-O", tmp_path / "a" / "b")
    assert status == 0, said
    made = set(tmp_path.rglob("*")) - before
    assert made
    assert all(each.is_relative_to(tmp_path / "a") for each in made)
    hosts = {part for each in made for part in each.parts if part.startswith("host=")}
    assert hosts == {"host=..%2F..%2F..%2Fetc%2Fpasswd"}
