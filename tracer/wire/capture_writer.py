"""Writes one capture file: a header, then whole batches, each in one write."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tracer.errors import OutputError
from tracer.wire.capture_schema import (
    EVENT_KEY,
    HEADER_KEY,
    SEAL_KEY,
    CaptureHeader,
    arrow_schema,
    header_to_json,
    records_to_batch,
)
from tracer.wire.capture_seal import BLANK_SEAL, END_OF_STREAM, seal, split_first
from tracer.wire.event_json import SideEvent, event_to_json
from tracer.wire.layout import RECORD

_MODE = 0o600


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
        self._fd = _create(path)
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
        except BaseException:
            os.close(self._fd)
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
            os.ftruncate(self._fd, self.size)
            os.lseek(self._fd, self.size, os.SEEK_SET)
            raise OutputError(
                f"{self.path}: {error.strerror}: the capture ends after {self.size} bytes,"
                " whole up to there",
                hint="make room, or give the capture another place" if _is_full(error) else None,
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


def _create(path: Path) -> int:
    try:
        _remove_old(path)
        return os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE
        )
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def _remove_old(path: Path) -> None:
    """Make way for a new capture, but take nothing away that is none.

    Raises:
        OutputError: Something else has this name.
        OSError: It cannot be looked at or removed.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise OutputError(f"{path} is no regular file", hint="name a new file")
    with path.open("rb") as file:
        begin = file.read(64 * 1024)
    if begin and HEADER_KEY not in begin:
        raise OutputError(
            f"{path} exists and is no capture", hint="name a new file, or remove that one"
        )
    path.unlink()
