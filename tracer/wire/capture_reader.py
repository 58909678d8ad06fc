"""Reads one capture file, in the order it was written, up to its last whole batch."""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracer.errors import CaptureError
from tracer.wire.capture_schema import (
    EVENT_KEY,
    HEADER_KEY,
    CaptureHeader,
    batch_to_records,
    header_from_json,
)
from tracer.wire.capture_seal import (
    BrokenMessageError,
    IncompleteError,
    SealedMessage,
    walk_messages,
)
from tracer.wire.event_json import SideEvent, event_from_json
from tracer.wire.layout import CONSTANTS, KIND_NAMES
from tracer.wire.record_columns import RecordColumns, batch_column

_MAX_VALUES = {
    "info": CONSTANTS["ZT_INFO_POINTER"],
    "result": 4,
    "action": CONSTANTS["ZT_ACTION_UNKNOWN"],
}
_MAX_BOOT_NS = 1 << 62
_RECOVERY = "the batches before it can be read: cut the file there, `head -c {offset} FILE`"

Columns = Callable[[str], npt.NDArray[Any]]
Selection = Callable[[Columns, int], npt.NDArray[np.bool_] | None]
"""Picks records by their columns before they are made; None takes all."""


class CaptureReader:
    """One capture file.

    Args:
        path: The file.

    Attributes:
        header: What it says of itself.
        is_cut: Whether it stops without having been ended: its recorder was
            killed, ran out of disk, or still writes. Known once it was read.
        end_offset: Where reading ended.

    Raises:
        CaptureError: It is no capture, is corrupt at its beginning, or of a
            newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_cut = False
        self.end_offset = 0
        try:
            with path.open("rb") as file:
                self._map: mmap.mmap | bytes = (
                    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                    if path.stat().st_size
                    else b""
                )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise CaptureError(f"{path}: cannot be read: {reason}") from error
        self._data = memoryview(self._map)
        try:
            self.header = self._read_header()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._data.release()
        if isinstance(self._map, mmap.mmap):
            self._map.close()

    def read(
        self, select: Selection | None = None, names: tuple[str, ...] | None = None
    ) -> Iterator[npt.NDArray[np.void] | SideEvent]:
        """Give what the trace saw: arrays of records, and events between them.

        Args:
            select: Picks the records wanted.
            names: The columns it picks by, all of them: a batch of which it
                picks nothing is not unpacked any further.

        Raises:
            CaptureError: The file is corrupt; it says where.
        """
        for batch, metadata, message in self._batches(names):
            text = metadata.get(EVENT_KEY)
            if text is not None:
                yield self._event(text, message.offset)
            elif batch.num_rows:
                try:
                    mask = _choose(batch, select)
                    if mask is not None and not mask.any():
                        continue
                    whole = batch if names is None else self._unpack(message)
                    chosen = batch_to_records(whole, mask)
                    _check_values(chosen)
                except (ValueError, pa.ArrowException, OSError) as error:
                    raise self._corrupt(message.offset, str(error)) from error
                yield chosen

    def columns(self, names: tuple[str, ...]) -> Iterator[dict[str, npt.NDArray[Any]] | SideEvent]:
        """Give some columns of the records, batch by batch, and the events between them.

        Raises:
            CaptureError: The file is corrupt; it says where.
        """
        for batch, metadata, message in self._batches(names):
            text = metadata.get(EVENT_KEY)
            if text is not None:
                yield self._event(text, message.offset)
            elif batch.num_rows:
                try:
                    yield {name: batch_column(batch, name) for name in names}
                except ValueError as error:
                    raise self._corrupt(message.offset, str(error)) from error

    def read_columns(self) -> Iterator[RecordColumns | SideEvent]:
        """Give what :meth:`read` gives, no record of it made yet.

        Raises:
            CaptureError: The file is corrupt; it says where.
        """
        for batch, metadata, message in self._batches():
            text = metadata.get(EVENT_KEY)
            if text is not None:
                yield self._event(text, message.offset)
            elif batch.num_rows:
                columns = RecordColumns([batch])
                try:
                    # None is made, but each column has to be of the right type for it.
                    batch_to_records(batch, np.zeros(0, np.intp))
                    _check_values(columns)
                except ValueError as error:
                    raise self._corrupt(message.offset, str(error)) from error
                yield columns

    def _read_header(self) -> CaptureHeader:
        try:
            first = next(walk_messages(self._data), None)
        except (BrokenMessageError, IncompleteError) as error:
            raise CaptureError(
                f"{self.path}: no capture: no whole header at byte {error.offset}",
                hint="zomtrace record -w FILE, or -w FILE with any trace, makes one",
            ) from error
        if first is None:
            raise self._corrupt(0, "it ends before its header")
        try:
            self._schema_message = bytes(self._data[: first.size])
            schema = pa.ipc.read_schema(pa.py_buffer(self._schema_message))
        except (pa.ArrowException, OSError) as error:
            raise self._corrupt(0, str(error)) from error
        self._names = schema.names
        text = (schema.metadata or {}).get(HEADER_KEY)
        if text is None:
            raise CaptureError(f"{self.path}: an Arrow stream, but no capture of zomtrace")
        return header_from_json(text.decode("utf-8", "replace"), where=str(self.path))

    def _batches(
        self, names: tuple[str, ...] | None = None
    ) -> Iterator[tuple[pa.RecordBatch, dict[bytes, bytes], SealedMessage]]:
        source = _CheckedSource(self._data)
        options = pa.ipc.IpcReadOptions(use_threads=False)
        if names is not None:
            options.included_fields = [
                index for index, name in enumerate(self._names) if name in names
            ]
        try:
            stream = pa.ipc.open_stream(pa.PythonFile(source, "r"), options=options)
            while True:
                try:
                    batch, metadata = stream.read_next_batch_with_custom_metadata()
                except StopIteration:
                    break
                yield batch, dict(metadata or {}), source.message
        except BrokenMessageError as error:
            raise self._corrupt(error.offset, error.reason) from error
        except (pa.ArrowException, OSError) as error:
            raise self._corrupt(source.message.offset, str(error).splitlines()[0]) from error
        self.is_cut, self.end_offset = source.is_cut, source.end_offset

    def _unpack(self, message: SealedMessage) -> pa.RecordBatch:
        """Read one message that was checked, with all its columns."""
        body = self._data[message.offset : message.offset + message.size]
        stream = pa.BufferReader(b"".join((self._schema_message, body)))
        options = pa.ipc.IpcReadOptions(use_threads=False)
        return pa.ipc.open_stream(stream, options=options).read_next_batch()

    def _event(self, text: bytes, offset: int) -> SideEvent:
        try:
            return event_from_json(json.loads(text))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._corrupt(offset, f"an event that cannot be read: {error!r}") from error

    def _corrupt(self, offset: int, reason: str) -> CaptureError:
        hint = _RECOVERY.format(offset=offset) if offset else None
        return CaptureError(f"{self.path}: corrupt at byte {offset}: {reason}", hint=hint)


class _CheckedSource:
    """The stream as Arrow reads it: only bytes whose checksum was right."""

    closed = False

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._messages = walk_messages(data)
        self._position = self._end = 0
        self.message = SealedMessage(0, 0)
        self.is_cut = False
        self.end_offset = 0

    def read(self, size: int = -1) -> bytes:
        """Read on; a message is checked before its first byte is given."""
        if self._position == self._end:
            try:
                message = next(self._messages)
            except StopIteration:
                self.end_offset = len(self._data)
                return b""
            except IncompleteError as error:
                self.is_cut, self.end_offset = True, error.offset
                return b""
            self.message = message
            self._position, self._end = message.offset, message.offset + message.size
        begin = self._position
        self._position = self._end if size < 0 else min(self._end, begin + size)
        return bytes(self._data[begin : self._position])


def _choose(batch: pa.RecordBatch, select: Selection | None) -> npt.NDArray[np.bool_] | None:
    if select is None:
        return None
    return select(lambda name: batch_column(batch, name), batch.num_rows)


def _check_values(records: npt.NDArray[np.void] | RecordColumns) -> None:
    """Refuse what no kernel side writes, before the decoder meets it."""
    if not len(records):
        return
    kinds = np.unique(records["kind"])
    unknown = [int(kind) for kind in kinds if int(kind) not in KIND_NAMES]
    if unknown:
        raise ValueError(f"a record of kind {unknown[0]}, which does not exist")
    for name, most in _MAX_VALUES.items():
        if int(records[name].max()) > most:
            raise ValueError(f"a record whose {name} is {int(records[name].max())}")
    if int(records["boot_ns"].max()) > _MAX_BOOT_NS:
        raise ValueError("a record from beyond the clock's end")
