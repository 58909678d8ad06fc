"""Captures as somebody hostile would make them: anything in them, and right seals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracer.capture.schema import (
    EVENT_KEY,
    SEAL_KEY,
    arrow_schema,
    records_to_batch,
)
from tracer.capture.seal import (
    _SEAL,
    BLANK_SEAL,
    END_OF_STREAM,
    seal,
    split_first,
    walk_messages,
)
from tracer.model.capture_mark import HEADER_KEY
from tracer.wire.layout import RECORD

WEB = Path(__file__).parents[2] / "docs/session/web.capture"
"""A real capture, of a docker stop."""

Item = Any
"""Records, a batch of columns, an event, or an event's text as it is."""


@dataclass
class Parts:
    """What a capture is put together of.

    Args:
        header: As parsed, or a text as it is.
        items: What follows it.
        schema: The columns.
        metadata: More of the schema's.
        compression: Of the bodies.
        is_whole: Whether it is ended.
    """

    header: dict[str, Any] | bytes
    items: list[Item] = field(default_factory=list)
    schema: pa.Schema = field(default_factory=lambda: arrow_schema({}))
    metadata: dict[bytes, bytes] = field(default_factory=dict)
    compression: str | None = "lz4"
    is_whole: bool = True

    def messages(self) -> list[bytes]:
        """Sealed messages, the schema first."""
        header = self.header if isinstance(self.header, bytes) else json.dumps(self.header).encode()
        schema = self.schema.with_metadata(
            {**self.metadata, HEADER_KEY: header, SEAL_KEY: BLANK_SEAL}
        )
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression=self.compression, use_threads=False)
        ends = []
        with pa.ipc.new_stream(sink, schema, options=options) as stream:
            for item in self.items:
                ends.append(sink.tell())
                self._write(stream, schema, item)
            ends.append(sink.tell())
        data = sink.getvalue().to_pybytes()
        first, _ = split_first(data)
        begins = [len(first), *ends[1:]] if self.items else [len(first)]
        pieces = [data[begin:end] for begin, end in zip(begins, ends[1:], strict=False)]
        return [seal(first), *(seal(piece) for piece in pieces)]

    def write(self, path: Path) -> Path:
        """Write the capture."""
        return join(path, self.messages(), is_whole=self.is_whole)

    def _write(self, stream: Any, schema: pa.Schema, item: Item) -> None:
        metadata = {SEAL_KEY: BLANK_SEAL}
        if isinstance(item, np.ndarray):
            batch = records_to_batch([item], schema)
        elif isinstance(item, dict | bytes):
            batch = pa.RecordBatch.from_pylist([], schema=schema)
            metadata[EVENT_KEY] = item if isinstance(item, bytes) else json.dumps(item).encode()
        else:
            batch = pa.RecordBatch.from_arrays(item.columns, schema=schema)
        stream.write_batch(batch, custom_metadata=metadata)


def join(path: Path, messages: Sequence[bytes], *, is_whole: bool = True) -> Path:
    """Write messages as one file."""
    path.write_bytes(b"".join(messages) + (END_OF_STREAM if is_whole else b""))
    return path


def split(data: bytes) -> list[bytes]:
    """The messages of a capture."""
    return [message.data for message in walk_messages(memoryview(data))]


def reseal(message: bytes) -> bytes:
    """Seal a message anew that was changed; as it is where its seal is gone."""
    found = _SEAL.search(message)
    if found is None:
        return message
    return seal(message[: found.start()] + BLANK_SEAL + message[found.end() :])


def web_parts() -> Parts:
    """The real capture, taken apart."""
    data = WEB.read_bytes()
    with pa.ipc.open_stream(pa.py_buffer(data)) as stream:
        parts = Parts(json.loads(stream.schema.metadata[HEADER_KEY]))
        while True:
            try:
                batch, metadata = stream.read_next_batch_with_custom_metadata()
            except StopIteration:
                return parts
            text = dict(metadata or {}).get(EVENT_KEY)
            if text is not None:
                parts.items.append(json.loads(text))
            else:
                parts.items.append(_records(batch))


def _records(batch: pa.RecordBatch) -> npt.NDArray[np.void]:
    records = np.zeros(batch.num_rows, RECORD)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        member = RECORD[name]
        base = member.subdtype[0] if member.subdtype else member
        count = batch.num_rows * member.itemsize // base.itemsize
        values = np.frombuffer(column.buffers()[1], base, count)
        records[name] = values.reshape(batch.num_rows, *member.shape)
    return records
