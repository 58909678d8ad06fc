"""Captures of other versions: older ones are read, newer ones refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.support.captures import header_of
from tests.support.made_host import MadeHost
from tracer.capture import schema as capture_schema
from tracer.capture.reader import CaptureReader
from tracer.capture.schema import (
    SEAL_KEY,
    header_from_json,
    header_to_json,
)
from tracer.capture.seal import BLANK_SEAL, seal, split_first
from tracer.errors import CaptureError
from tracer.model.capture_mark import HEADER_KEY
from tracer.model.events import (
    AttachedEvent,
)

HOST = MadeHost(short_lived=7, killed=1, leaked=1, containers=1, workers=2)


def read_all(path: Path) -> tuple[list[Any], bool, int]:
    """Everything in a file, whether it was cut, and where."""
    with CaptureReader(path) as reader:
        items = list(reader.read())
        return items, reader.is_cut, reader.end_offset


def with_header(changes: dict[str, Any]) -> str:
    """A header with other values."""
    return json.dumps({**json.loads(header_to_json(header_of(HOST))), **changes})


def test_a_newer_version_is_refused_by_name() -> None:
    text = with_header({"schema_version": 3, "writer": "zomtrace 9.0"})
    with pytest.raises(CaptureError, match=r"f: written by zomtrace 9.0 as capture schema 3"):
        header_from_json(text, where="f")


def test_an_older_version_is_brought_up_to_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def upgrade(raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "hostname": raw.pop("host")}

    monkeypatch.setattr(capture_schema, "SCHEMA_VERSION", 3)
    monkeypatch.setitem(capture_schema._UPGRADES, 2, upgrade)
    raw = json.loads(header_to_json(header_of(HOST)))
    raw["host"] = raw.pop("hostname")
    assert header_from_json(json.dumps(raw), where="f").hostname == "web-1"


def test_fields_a_newer_minor_version_added_are_passed_over() -> None:
    text = with_header({"weather": "fine"})
    assert header_from_json(text, where="f") == header_of(HOST)


@pytest.mark.parametrize("gone", ["attached", "hostname", "trace_id", "schema_version"])
def test_a_header_that_lacks_something_is_reported_so(gone: str) -> None:
    raw = json.loads(header_to_json(header_of(HOST)))
    del raw[gone]
    with pytest.raises(CaptureError, match=gone):
        header_from_json(json.dumps(raw), where="f")


def test_members_an_older_record_did_not_have_are_zero(tmp_path: Path) -> None:
    """A capture of a version whose record had no cgroup_id and one member more."""
    path = tmp_path / "old.arrows"
    records = next(HOST.records())[:5]
    batch = capture_schema.records_to_batch([records], capture_schema.arrow_schema({}))
    batch = batch.drop_columns(["cgroup_id"]).append_column(
        pa.field("retired", pa.int32()), pa.array(range(5), pa.int32())
    )
    header = header_to_json(header_of(HOST)).encode()
    schema = batch.schema.with_metadata({HEADER_KEY: header, SEAL_KEY: BLANK_SEAL})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(batch.cast(schema), custom_metadata={SEAL_KEY: BLANK_SEAL})
    first, rest = split_first(sink.getvalue().to_pybytes())
    path.write_bytes(seal(first) + seal(rest[:-8]) + rest[-8:])
    (read,), is_cut, _ = read_all(path)
    assert not is_cut
    assert set(read["cgroup_id"].tolist()) == {0}
    assert np.array_equal(read["host_pid"], records["host_pid"])


def test_the_header_holds_everything_of_the_attach() -> None:
    event = header_of(HOST).attached
    assert isinstance(event, AttachedEvent)
    assert header_from_json(header_to_json(header_of(HOST)), where="f") == header_of(HOST)
