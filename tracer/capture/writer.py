"""Writes one capture file: a header, then whole batches, each in one write."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracer.capture.event_json import SideEvent, event_to_json
from tracer.capture.lock import is_being_written, lock_for_writing
from tracer.capture.schema import (
    EVENT_KEY,
    SEAL_KEY,
    CaptureHeader,
    arrow_schema,
    header_to_json,
    records_to_batch,
)
from tracer.capture.seal import (
    BLANK_SEAL,
    END_OF_STREAM,
    MAX_EVENT_BYTES,
    seal,
    split_first,
)
from tracer.errors import OutputError
from tracer.files.outfile import is_capture_at, new_part
from tracer.files.place import Place, find_place
from tracer.model.capture_mark import HEADER_KEY
from tracer.wire.layout import RECORD

_MODE = 0o600
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class CaptureWriter:
    """One capture file, from its header to its end.

    The file is the user's alone (mode 0600). What stands in it is whole: a batch
    that could not be written to its end is cut off again.

    Args:
        path: A new file, or an earlier capture to be replaced.
        header: What the file says of itself.

    Raises:
        OutputError: The file cannot be made, or is something else than a capture.
    """

    def __init__(self, path: Path, header: CaptureHeader) -> None:
        self.path = path
        self.size = 0
        made = _CaptureFileMade(path)
        self._fd = made.fd
        try:
            self._schema = arrow_schema(
                {
                    HEADER_KEY: header_to_json(header).encode(),
                    SEAL_KEY: BLANK_SEAL,
                }
            )
            self._sink = _Collector()
            self._stream = pa.ipc.new_stream(
                pa.PythonFile(self._sink, "w"),
                self._schema,
                # A pool of threads for such short columns costs thrice the work.
                options=pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False),
            )
            self._empty = records_to_batch([np.zeros(0, RECORD)], self._schema)
            first = self._encode(self._empty, {})
            message, _ = split_first(first)
            self._append(seal(message))
            made.settle()
        except BaseException:
            made.discard()
            raise

    def write_records(self, *parts: npt.NDArray[np.void]) -> None:
        """Write a batch of records.

        Args:
            parts: Arrays that follow one another, one at the least.

        Raises:
            OutputError: It could not be written; the file ends before it.
        """
        batch = records_to_batch(parts, self._schema)
        self._append(seal(self._encode(batch, {SEAL_KEY: BLANK_SEAL})))

    def write_event(self, event: SideEvent) -> None:
        """Write what is no record, behind the records written so far.

        Raises:
            OutputError: It could not be written; the file ends before it.
        """
        text = json.dumps(event_to_json(event)).encode()
        if len(text) > MAX_EVENT_BYTES:
            raise OutputError(
                f"{self.path}: an event of {len(text)} bytes is too large to be stored"
            )
        message = self._encode(self._empty, {SEAL_KEY: BLANK_SEAL, EVENT_KEY: text})
        self._append(seal(message))

    def close(self, *, is_whole: bool = True) -> None:
        """Close the file.

        Args:
            is_whole: Mark its end, so that a reader knows that nothing is missing.

        Raises:
            OutputError: The mark could not be written.
        """
        if self._fd < 0:
            return
        try:
            if is_whole:
                self._append(END_OF_STREAM)
        finally:
            os.close(self._fd)
            self._fd = -1

    def _encode(self, batch: pa.RecordBatch, metadata: dict[bytes, bytes]) -> bytes:
        self._stream.write_batch(batch, custom_metadata=metadata)
        return self._sink.take()

    def _append(self, message: bytes) -> None:
        view = memoryview(message)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._fd, self.size)
                os.lseek(self._fd, self.size, os.SEEK_SET)
            raise OutputError(
                f"{self.path}: {error.strerror}: the capture ends after {self.size} bytes"
                " and is complete up to there",
                hint="free some space, or write the capture elsewhere" if _is_full(error) else None,
            ) from error
        self.size += len(message)


class _Collector:
    """What Arrow writes, until it is taken."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return

    def take(self) -> bytes:
        joined = b"".join(self._parts)
        self._parts.clear()
        return joined


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _CaptureFileMade:
    """A new file that has its name for good once a header is in it.

    An earlier capture of that name is there until then.

    Args:
        path: Where to.

    Raises:
        OutputError: It cannot be made, or something else has this name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory_fd = -1
        self.fd = -1
        try:
            with find_place(path) as place:
                self._make(place)
        except OSError as error:
            raise _cannot_write(path, error) from error

    def _make(self, place: Place) -> None:
        if place.open_already is not None or not (place.found is None or place.is_file):
            raise OutputError(f"{self._path} is not a regular file", hint="name a new file")
        self._name = self._temporary = place.name
        if place.found is None:
            self.fd = os.open(place.name, _NEW, _MODE, dir_fd=place.directory_fd)
        else:
            self._check_replaceable(place, place.found)
            self.fd, self._temporary = new_part(place.directory_fd)
        self._directory_fd = os.dup(place.directory_fd)
        lock_for_writing(self.fd)

    def _check_replaceable(self, place: Place, found: os.stat_result) -> None:
        if found.st_size and not is_capture_at(place):
            raise OutputError(
                f"{self._path} exists and is not a capture",
                hint="name a new file, or remove the existing one",
            )
        if is_being_written(place.name, place.directory_fd):
            raise OutputError(
                f"{self._path} is being written by another zomtrace", hint="name another file"
            )

    def settle(self) -> None:
        """Give it its name, in place of an earlier capture.

        Raises:
            OutputError: It cannot get it.
        """
        at = self._directory_fd
        try:
            if self._temporary != self._name:
                os.rename(self._temporary, self._name, src_dir_fd=at, dst_dir_fd=at)
        except OSError as error:
            raise _cannot_write(self._path, error) from error
        os.close(at)

    def discard(self) -> None:
        """Remove it: no header came into it."""
        with suppress(OSError):
            os.unlink(self._temporary, dir_fd=self._directory_fd)
        os.close(self._directory_fd)
        os.close(self.fd)


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written: {error.strerror}")
