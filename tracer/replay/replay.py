"""What a trace concluded, once more from its capture: no kernel, no privilege."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tracer.capture.file import cannot_read
from tracer.capture.names import SUFFIX
from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.correlate.window import forget_before
from tracer.diagnose.held_now import with_holder
from tracer.diagnose.summary import correlate, summarise
from tracer.errors import CaptureError, UsageError
from tracer.files.waiting import interruptibly
from tracer.model.annotated import Annotated
from tracer.model.events import (
    AttachedEvent,
    EndEvent,
    Event,
    LossEvent,
)
from tracer.model.report import MOST_DETAIL, Report

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.capture.event_json import SideEvent
    from tracer.capture.reader import CaptureReader
    from tracer.capture.schema import CaptureHeader
    from tracer.replay.selection import RecordSelection

_T = TypeVar("_T")
_CHUNK = 8192
_PIECE = 65_536


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What of a capture to look at.

    Args:
        min_zombie_ns: Zombies shorter than this are ignored; None takes what
            the live trace used.
        containers: Names, ids or beginnings of ids; with ``pidns`` nothing else
            is looked at.
        pidns: Inums of PID namespaces.
        since_boot_ns: Leave out what was over before.
        until_boot_ns: End there.
        detail: How many processes that are over are kept in detail; None takes what
            the live trace used.
        unfolded: Keep all of them, however many: for tables and pictures.
    """

    min_zombie_ns: int | None = None
    containers: tuple[str, ...] = ()
    pidns: tuple[int, ...] = ()
    since_boot_ns: int | None = None
    until_boot_ns: int | None = None
    detail: int | None = None
    unfolded: bool = False

    @property
    def selects(self) -> bool:
        """Whether only a part of the processes is wanted."""
        return bool(self.containers or self.pidns)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of what a capture of a host holds, in order.

    Args:
        lifetimes: Records of uneventful lifetimes, which no report mentions.
        places: Where each of them stands in the piece.
        annotated: All others with what was concluded of them, each with its place.
    """

    lifetimes: npt.NDArray[np.void]
    places: npt.NDArray[np.intp]
    annotated: list[tuple[int, Annotated]]


class Replay:
    """One trace from its file, or from the files it was rotated through.

    Args:
        where: A capture, a directory with the files of one trace, or those files.
        options: What of it.

    Attributes:
        header: Of its first file.
        cuts: Where files stop that were not ended, as (path, offset). Known
            once everything was read.
        correlator: The state reached, once everything was read.

    Raises:
        CaptureError: There is no capture, or it cannot be read.
    """

    def __init__(self, where: Path | Sequence[Path], options: ReplayOptions | None = None) -> None:
        self.options = options or ReplayOptions()
        self.files = find_files(where)
        self.header: CaptureHeader = self.files[0][1]
        self.cuts: list[tuple[Path, int]] = []
        self._correlator: Correlator | None = None

    @property
    def correlator(self) -> Correlator:
        """The state everything led to."""
        if self._correlator is None:
            for _ in self.annotated():
                pass
        if self._correlator is None:
            raise CaptureError(f"{self.files[0][0]}: it is empty")
        return self._correlator

    def annotated(self) -> Iterator[Annotated]:
        """Every event with what was concluded of it, as the live view got them.

        Raises:
            CaptureError: The file is corrupt; it says where.
            UsageError: Nothing happened any more since then.
        """
        correlator = self._new_correlator()
        for annotated in correlator.feed_all(self._events()):
            yield with_holder(correlator, annotated)
        since_ns = self.options.since_boot_ns
        if since_ns is not None:
            if since_ns > correlator.now_ns:
                raise UsageError("--since is later than the last event of the capture")
            forget_before(correlator, since_ns)
        self._correlator = correlator

    def pieces(self) -> Iterator[Piece] | None:
        """What :meth:`annotated` gives, but uneventful lifetimes as columns; None if not of a host.

        Raises:
            CaptureError: The file is corrupt; it says where.
        """
        is_whole = self._is_of_host and self.options.until_boot_ns is None
        return self._pieces() if is_whole else None

    def _pieces(self) -> Iterator[Piece]:
        import numpy as np

        from tracer.correlate.passing import pass_lifetimes
        from tracer.wire.decode import Decoder
        from tracer.wire.layout import RECORD, take_records
        from tracer.wire.whole_lifetimes import find_whole_lifetimes

        correlator = self._correlator = self._new_correlator()
        decoder = Decoder(self.header.machine)
        nothing = np.empty(0, RECORD)
        for item in self._items():
            if not isinstance(item, np.ndarray):
                one = correlator.feed(item)
                if one is not None:
                    held = with_holder(correlator, one)
                    yield Piece(nothing, np.empty(0, np.intp), [(0, held)])
                continue
            for start in range(0, len(item), _PIECE):
                some = item[start : start + _PIECE]
                passed = pass_lifetimes(correlator, find_whole_lifetimes(some))
                rest = np.flatnonzero(~passed)
                decoded = decoder.decode_each(take_records(some, rest))
                annotated = [
                    (place, one)
                    for place, events in zip(rest.tolist(), decoded, strict=True)
                    for one in correlator.feed_all(events)
                ]
                places = np.flatnonzero(passed)
                yield Piece(take_records(some, places), places, annotated)
                correlator.pass_time(int(some["boot_ns"][-1]))

    def conclude(self) -> Report:
        """The report: that of the live trace, where nothing is left out.

        Raises:
            CaptureError: The file is corrupt; it says where.
        """
        if self._correlator is None and self._is_of_host:
            correlator = self._new_correlator()
            for event in self._events(correlator):
                correlator.feed(event)
            self._correlator = correlator
        return summarise(self.correlator)

    @property
    def _is_of_host(self) -> bool:
        """Whether all of a host is wanted: then most of it need not even be decoded."""
        target, options = self.header.attached.target, self.options
        return (
            target.kernel_filter.everything
            and not options.selects
            and options.since_boot_ns is None
        )

    def _new_correlator(self) -> Correlator:
        min_zombie_ns = self.options.min_zombie_ns
        return correlate(
            CorrelatorOptions(
                min_zombie_ns=self.header.min_zombie_ns if min_zombie_ns is None else min_zombie_ns,
                keep_uneventful=not self.header.attached.target.kernel_filter.everything,
                detail=self._detail(),
            )
        )

    def _detail(self) -> int | None:
        if self.options.unfolded:
            return None
        # A file may say anything.
        said = min(max(1, self.header.detail), MOST_DETAIL)
        return said if self.options.detail is None else self.options.detail

    def _events(self, counting: Correlator | None = None) -> Iterator[Event]:
        """Read everything.

        Args:
            counting: Counts what a report of a host will not speak of; it is left out.
        """
        import numpy as np

        from tracer.correlate.passing import pass_lifetimes
        from tracer.replay.until import cut_records
        from tracer.wire.decode import Decoder
        from tracer.wire.whole_lifetimes import find_whole_lifetimes

        until_ns = self.options.until_boot_ns
        goes_on = False
        decoder = Decoder(self.header.machine)
        for item in self._items():
            if not isinstance(item, np.ndarray):
                if until_ns is None or item.boot_ns <= until_ns:
                    yield item
                else:
                    goes_on = True
                continue
            records = item
            if until_ns is not None:
                goes_on = goes_on or bool((item["boot_ns"] > until_ns).any())
                records = cut_records(item, until_ns)
            for start in range(0, len(records), _CHUNK):
                some = records[start : start + _CHUNK]
                if counting is not None:
                    last_ns = int(some["boot_ns"][-1])
                    some = some[~pass_lifetimes(counting, find_whole_lifetimes(some))]
                yield from decoder.decode_batch(some)
                if counting is not None:
                    counting.pass_time(last_ns)
        if goes_on and until_ns is not None:
            yield EndEvent(until_ns, "until")

    def _items(self) -> Iterator[npt.NDArray[np.void] | SideEvent]:
        selection = self._selection()
        if selection is None:
            yield from self._read(lambda reader: reader.read())
            return
        from tracer.replay.selection import CHOSEN_BY

        for item in self._read(lambda reader: reader.read(selection.choose, CHOSEN_BY)):
            if isinstance(item, AttachedEvent):
                yield selection.narrow(item)
            elif selection.wants(item):
                yield item

    def _read(
        self, read: Callable[[CaptureReader], Iterator[_T | SideEvent]]
    ) -> Iterator[_T | SideEvent]:
        """Read the files one after the other; the trace began once."""
        from tracer.capture.reader import CaptureReader

        previous: CaptureHeader | None = None
        self.cuts = []
        for path, header in self.files:
            if previous is not None and header.sequence != previous.sequence + 1:
                yield LossEvent(header.attached.boot_ns, {"file": 1}, previous.attached.boot_ns)
            with CaptureReader(path) as reader:
                for item in read(reader):
                    if previous is None or not isinstance(item, AttachedEvent):
                        yield item
                if reader.is_cut:
                    self.cuts.append((path, reader.end_offset))
            previous = header

    def _selection(self) -> RecordSelection | None:
        if not self.options.selects:
            return None
        from tracer.replay.selection import select_processes

        return select_processes(
            [path for path, _ in self.files], self.options.containers, self.options.pidns
        )


def find_files(where: Path | Sequence[Path]) -> list[tuple[Path, CaptureHeader]]:
    """Find the files of one trace, in order.

    Raises:
        CaptureError: There are none, or of several traces.
        PrivilegeError: The caller may not read them.
    """
    paths = list(where) if not isinstance(where, Path) else _paths_at(where)
    headers = read_headers(paths)
    if not headers:
        raise CaptureError(
            f"{where}: it contains no capture", hint=f"captures there end in {SUFFIX}"
        )
    traces = {header.trace_id for _, header in headers}
    if len(traces) > 1:
        raise CaptureError(
            f"{where}: captures of {len(traces)} traces",
            hint="name one file; tracer.read_dataset() reads them all into one DataFrame",
        )
    return sorted(headers, key=lambda pair: pair[1].sequence)


def _paths_at(where: Path) -> list[Path]:
    try:
        return interruptibly(lambda: _captures_at(where))
    except OSError as error:
        raise cannot_read(where, error) from error


def _captures_at(where: Path) -> list[Path]:
    if not stat.S_ISDIR(where.stat().st_mode):
        return [where]
    return sorted(where / name for name in os.listdir(where) if name.endswith(SUFFIX))


def read_headers(paths: Sequence[Path]) -> list[tuple[Path, CaptureHeader]]:
    """Read what each of some captures says of itself.

    Raises:
        CaptureError: One is no capture.
    """
    from tracer.capture.reader import CaptureReader

    headers = []
    for path in paths:
        with CaptureReader(path) as reader:
            headers.append((path, reader.header))
    return headers
