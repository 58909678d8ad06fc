"""Keeps what a live trace sees in capture files, as it sees it."""

from __future__ import annotations

import platform
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tracer.capture.names import CaptureDirectory, capture_name
from tracer.errors import OutputError, UsageError
from tracer.files.place import find_place, open_directory
from tracer.model.events import AttachedEvent, EndEvent
from tracer.model.report import DETAIL

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.capture.event_json import SideEvent
    from tracer.capture.schema import CaptureHeader
    from tracer.capture.writer import CaptureWriter

    Records = npt.NDArray[np.void]

FLUSH_S = 0.5
"""How long records may be held before they are in the file."""
_BATCH_RECORDS = 4_096


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """Where to, and how much.

    Args:
        path: A file, or a directory (one that exists, or ends with a slash)
            that gets files named after host, time and trace.
        rotate_bytes: Begin another file when one has grown so far.
        rotate_s: Start a new file after this long.
        keep: How many of this host's files the directory may hold; the oldest
            go first, and never one that is being written. None keeps all.
    """

    path: str
    rotate_bytes: int | None = None
    rotate_s: float | None = None
    keep: int | None = None

    @property
    def rotates(self) -> bool:
        """Whether one trace may make several files."""
        return self.rotate_bytes is not None or self.rotate_s is not None


class Recorder:
    """Writes one trace to a capture file, or to one after another.

    Records are gathered for up to half a second, or until there are enough for a
    good batch; then they are in the file, whatever becomes of this process. A
    file that cannot be written any more ends the recording, not the trace.

    Args:
        options: Where to.
        min_zombie_ns: The report ignores zombies shorter than this.
        on_failure: Called once when nothing more can be written.
        detail: How many processes that are over the report keeps in detail.

    Attributes:
        position: How many of the records begun have been worked off.
        failure: Why the recording ended early, or None.
        records: Records written.
        paths: The files written, in order.

    Raises:
        UsageError: A single file is to be rotated.
        OutputError: The place cannot be written to.
    """

    def __init__(
        self,
        options: RecordOptions,
        min_zombie_ns: int,
        on_failure: Callable[[OutputError], None],
        detail: int = DETAIL,
    ) -> None:
        self._options = options
        self._min_zombie_ns = min_zombie_ns
        self._on_failure = on_failure
        self._detail = detail
        self._directory = _directory_of(options)
        self._hostname = _hostname()
        self._trace_id = uuid.uuid4().hex
        self._captures = _captures_of(self._directory, options, self._hostname)
        self._attached: AttachedEvent | None = None
        self._writer: CaptureWriter | None = None
        self._in_hand: Records | None = None
        self._taken = 0
        self._has_ended = False
        self._held: list[Records] = []
        self._held_records = 0
        self._held_since = 0.0
        self._begun_at = 0.0
        self.position = 0
        self.failure: OutputError | None = None
        self.records = 0
        self.bytes = 0
        self.paths: list[Path] = []

    def prepare(self) -> None:
        """Import what writing needs: while the programs compile, it is free."""
        from tracer.capture import writer as capture_writer  # noqa: F401

    def begin(self, records: Records) -> None:
        """Take records as the decoder gets them.

        While they are worked off, :attr:`position` says how many have been: an
        event that comes meanwhile has its place behind those.
        """
        self._in_hand, self._taken, self.position = records, 0, 0

    def pass_until(self, boot_ns: int) -> None:
        """Say that what comes next has its place behind the records until an instant."""
        if self._in_hand is not None:
            behind = int(self._in_hand["boot_ns"].searchsorted(boot_ns, "right"))
            self.position = max(self.position, behind)

    def end(self) -> None:
        """Say that the records last begun are worked off."""
        if self._in_hand is not None:
            self._take_until(len(self._in_hand))
            self._in_hand = None
        if self._held_records >= _BATCH_RECORDS:
            self._flush()

    def _take_until(self, position: int) -> None:
        if self._in_hand is None or position <= self._taken:
            return
        if self._attached is None or self.failure is not None:
            return
        if not self._held:
            self._held_since = time.monotonic()
        self._held.append(self._in_hand[self._taken : position])
        self._held_records += position - self._taken
        self._taken = position

    def add_event(self, event: SideEvent) -> None:
        """Take an event that is no record, behind the records so far."""
        if isinstance(event, AttachedEvent) and self._attached is None:
            self._attached = event
            self._try(self._begin_file)
            return
        self._has_ended = isinstance(event, EndEvent)
        self._take_until(self.position)
        self._flush()
        self._try(lambda: self._write_event(event))

    @property
    def is_holding(self) -> bool:
        """Whether something is not in the file yet: call :meth:`tick` in time."""
        return bool(self._held)

    def tick(self) -> bool:
        """Write what has been held for long enough.

        Returns:
            Whether a new file was begun, which wants the processes that are
            there now: it is to be understood without the ones before it.
        """
        if self._held and time.monotonic() >= self._held_since + FLUSH_S:
            self._flush()
        if self._writer is None or self.failure is not None or not self._is_due():
            return False
        self._flush()
        self._try(self._next_file)
        return self.failure is None

    def close(self) -> None:
        """End the last file; what was written is whole in any case.

        A trace that was broken off leaves a file without an end.
        """
        self._flush()
        self._try(lambda: self._end_file(is_whole=self._has_ended))

    def finish(self) -> None:
        """Close, and say what went wrong.

        Raises:
            OutputError: The recording ended before the trace did.
        """
        self.close()
        if self.failure is not None:
            raise self.failure

    def _flush(self) -> None:
        held, self._held, self._held_records = self._held, [], 0

        def write() -> None:
            # Where the disk is full, a batch is what is lost.
            for batch in _batches(held):
                if self._writer is not None:
                    self._writer.write_records(*batch)
                    self.records += sum(len(part) for part in batch)

        if held:
            self._try(write)

    def _write_event(self, event: SideEvent) -> None:
        if self._writer is not None:
            self._writer.write_event(event)

    def _is_due(self) -> bool:
        options, writer = self._options, self._writer
        if writer is None:
            return False
        if options.rotate_bytes is not None and writer.size >= options.rotate_bytes:
            return True
        return (
            options.rotate_s is not None and time.monotonic() - self._begun_at >= options.rotate_s
        )

    def _next_file(self) -> None:
        from tracer.procfs import clock

        attached = self._attached
        if attached is None:
            return
        self._end_file()
        # The wall clock may have been set since: each file has its own offset.
        self._attached = replace(
            attached, boot_ns=clock.boot_now_ns(), utc_offset_ns=clock.utc_offset_ns()
        )
        self._begin_file()

    def _end_file(self, *, is_whole: bool = True) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            self.bytes += writer.size
            writer.close(is_whole=is_whole)

    def _begin_file(self) -> None:
        from tracer.capture.schema import CaptureHeader

        if self._attached is None:
            return
        header = CaptureHeader(
            attached=self._attached,
            hostname=self._hostname,
            boot_id=_boot_id(),
            created_unix_ns=time.time_ns(),
            min_zombie_ns=self._min_zombie_ns,
            detail=self._detail,
            trace_id=self._trace_id,
            sequence=len(self.paths),
            writer=f"zomtrace {_version()}",
        )
        self._writer = self._make_file(header)
        self._begun_at = time.monotonic()
        self.paths.append(self._writer.path)
        self._writer.write_event(self._attached)
        self._remove_oldest()

    def _make_file(self, header: CaptureHeader) -> CaptureWriter:
        from tracer.capture.writer import CaptureWriter

        directory = self._directory
        if directory is None:
            return CaptureWriter(Path(self._options.path), header)

        def make(name_id: str) -> CaptureWriter:
            name = capture_name(header.hostname, header.created_unix_ns, name_id, header.sequence)
            return CaptureWriter(directory / name, header)

        try:
            return make(header.trace_id)
        except OutputError as error:
            # Whoever can make files there knows from the first file what the next will be
            # called, and may have taken the name: this one no one can foresee.
            try:
                return make(uuid.uuid4().hex)
            except OutputError:
                raise error from error.__cause__

    def _remove_oldest(self) -> None:
        keep = self._options.keep
        if keep is not None and self._captures is not None:
            self._captures.remove_oldest(keep, [path.name for path in self.paths])

    def _try(self, action: Callable[[], None]) -> None:
        if self.failure is not None:
            return
        try:
            action()
        except OutputError as error:
            self._fail(error)
        except OSError as error:
            self._fail(OutputError(f"{self._options.path}: {error.strerror}"))

    def _fail(self, error: OutputError) -> None:
        self.failure = error
        self._held.clear()
        writer, self._writer = self._writer, None
        if writer is not None:
            self.bytes += writer.size
            with suppress(OSError):
                writer.close(is_whole=False)
        self._on_failure(error)


def _batches(held: list[Records]) -> Iterator[list[Records]]:
    """Cut what is held into batches for the file, without a copy."""
    batch: list[Records] = []
    room = _BATCH_RECORDS
    for part in held:
        begin = 0
        while begin < len(part):
            batch.append(part[begin : begin + room])
            begin += len(batch[-1])
            room -= len(batch[-1])
            if not room:
                yield batch
                batch, room = [], _BATCH_RECORDS
    if batch:
        yield batch


def _directory_of(options: RecordOptions) -> Path | None:
    path = Path(options.path)
    if not options.path:
        raise UsageError("-w is empty", hint="name a file, or a directory with a trailing slash")
    try:
        if options.path.endswith("/"):
            with open_directory(path, make=True, mode=0o700):
                return path
        with find_place(path) as place:
            if place.is_directory:
                return path
    except (FileNotFoundError, NotADirectoryError) as error:
        message = f"{path}: {path.parent} is not a directory"
        raise OutputError(message, hint="create it first") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    if options.rotates:
        raise UsageError(
            "--rotate writes several files: -w must name a directory",
            hint=f"use -w {options.path}/",
        )
    return None


def _captures_of(
    directory: Path | None, options: RecordOptions, hostname: str
) -> CaptureDirectory | None:
    if directory is None or options.keep is None:
        return None
    try:
        return CaptureDirectory(directory, hostname)
    except OSError as error:
        raise OutputError(f"{directory}: cannot be read: {error.strerror}") from error


def _hostname() -> str:
    """This host's name, whatever it is, as text that can be printed."""
    return "".join(char if char.isprintable() else "_" for char in platform.node())


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("zomtrace")
    except PackageNotFoundError:
        return "unknown"
