"""Reads one capture file, in the order it was written, up to its last whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracer.capture.arrow_message import Column, RefusedMessageError, check_batch, check_schema
from tracer.capture.event_json import SideEvent, event_from_json
from tracer.capture.file import CaptureFile
from tracer.capture.record_bounds import check_values
from tracer.capture.schema import (
    EVENT_KEY,
    CaptureHeader,
    batch_column,
    batch_to_records,
    check_columns,
    header_from_json,
)
from tracer.capture.seal import (
    BrokenMessageError,
    IncompleteError,
    SealedMessage,
    Source,
    walk_messages,
)
from tracer.capture.typed_json import parse_object
from tracer.errors import CaptureError
from tracer.model.capture_mark import HEADER_KEY

_PREFIX_BYTES = 8
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
        self._data = CaptureFile(path)
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
        self._data.close()

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
                    check_values(_Columns(whole))
                    chosen = batch_to_records(whole, mask)
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

    def _read_header(self) -> CaptureHeader:
        try:
            first = next(walk_messages(self._data), None)
        except (BrokenMessageError, IncompleteError) as error:
            raise CaptureError(
                f"{self.path}: not a capture: no complete header at byte {error.offset}",
                hint="create one with zomtrace record -w FILE, or add -w FILE to any trace",
            ) from error
        if first is None:
            raise self._corrupt(0, "it ends before the end of its header")
        try:
            columns = check_schema(first.data[_PREFIX_BYTES:])
            self._schema_message = first.data
            schema = pa.ipc.read_schema(pa.py_buffer(first.data))
        except (ValueError, pa.ArrowException, OSError) as error:
            raise self._corrupt(0, str(error)) from error
        self._columns = columns
        text = (schema.metadata or {}).get(HEADER_KEY)
        if text is None:
            raise CaptureError(f"{self.path}: an Arrow stream, but not a capture of zomtrace")
        header = header_from_json(text.decode("utf-8", "replace"), where=str(self.path))
        try:
            check_columns(columns)
        except ValueError as error:
            raise self._corrupt(0, str(error)) from error
        return header

    def _batches(
        self, names: tuple[str, ...] | None = None
    ) -> Iterator[tuple[pa.RecordBatch, dict[bytes, bytes], SealedMessage]]:
        source = _CheckedSource(self._data, self._columns)
        options = pa.ipc.IpcReadOptions(use_threads=False)
        if names is not None:
            options.included_fields = [
                index for index, column in enumerate(self._columns) if column.name in names
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
        stream = pa.BufferReader(self._schema_message + message.data)
        options = pa.ipc.IpcReadOptions(use_threads=False)
        return pa.ipc.open_stream(stream, options=options).read_next_batch()

    def _event(self, text: bytes, offset: int) -> SideEvent:
        try:
            return event_from_json(parse_object(text))
        except KeyError as error:
            raise self._corrupt(offset, f"an event without {error}") from error
        except (TypeError, ValueError) as error:
            raise self._corrupt(offset, f"an event that cannot be read: {error}") from error

    def _corrupt(self, offset: int, reason: str) -> CaptureError:
        hint = _RECOVERY.format(offset=offset) if offset else None
        return CaptureError(f"{self.path}: corrupt at byte {offset}: {reason}", hint=hint)


class _CheckedSource:
    """The stream as Arrow reads it: only messages that were checked."""

    closed = False

    def __init__(self, data: Source, columns: tuple[Column, ...]) -> None:
        self._data = data
        self._columns = columns
        self._messages = walk_messages(data)
        self._position = 0
        self.message = SealedMessage(0, 0, 0, b"")
        self.is_cut = False
        self.end_offset = 0

    def read(self, size: int = -1) -> bytes:
        """Read on; a message is checked before its first byte is given."""
        if self._position == self.message.size:
            try:
                message = next(self._messages)
            except StopIteration:
                self.end_offset = len(self._data)
                return b""
            except IncompleteError as error:
                self.is_cut, self.end_offset = True, error.offset
                return b""
            if message.offset:
                self._check(message)
            self.message, self._position = message, 0
        begin = self._position
        self._position = self.message.size if size < 0 else min(self.message.size, begin + size)
        return self.message.data[begin : self._position]

    def _check(self, message: SealedMessage) -> None:
        try:
            check_batch(message.data, message.metadata_size, self._columns)
        except RefusedMessageError as error:
            raise BrokenMessageError(message.offset, str(error)) from error


class _Columns:
    """A batch of records, by member; no record of it is made yet."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return batch_column(self._batch, name)


def _choose(batch: pa.RecordBatch, select: Selection | None) -> npt.NDArray[np.bool_] | None:
    if select is None:
        return None
    return select(lambda name: batch_column(batch, name), batch.num_rows)
