"""What a trace concluded, once more from its capture: no kernel, no privilege."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tracer.correlate.correlator import Correlator, CorrelatorOptions
from tracer.correlate.summary import summarise
from tracer.correlate.window import forget_before
from tracer.errors import CaptureError
from tracer.model.annotated import Annotated
from tracer.model.events import (
    AttachedEvent,
    EndEvent,
    Event,
    LossEvent,
)
from tracer.model.report import Report

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.session.pieces import Piece
    from tracer.session.selection import RecordSelection
    from tracer.wire.capture_reader import CaptureReader, Selection
    from tracer.wire.capture_schema import CaptureHeader
    from tracer.wire.event_json import SideEvent

_T = TypeVar("_T")
SUFFIX = ".arrows"
_CHUNK = 8192
_SIEVED_BYTES = 4_000_000
"""Less than this is quicker decoded than searched."""


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What of a capture to look at.

    Args:
        min_zombie_ns: Zombies shorter than this are ordinary; None takes what
            the live trace was told.
        containers: Names, ids or beginnings of ids; with ``pidns`` nothing else
            is looked at.
        pidns: Inums of PID namespaces.
        since_boot_ns: Leave out what was over before.
        until_boot_ns: End there.
    """

    min_zombie_ns: int | None = None
    containers: tuple[str, ...] = ()
    pidns: tuple[int, ...] = ()
    since_boot_ns: int | None = None
    until_boot_ns: int | None = None

    @property
    def selects(self) -> bool:
        """Whether only a part of the processes is wanted."""
        return bool(self.containers or self.pidns)


class Replay:
    """One trace from its file, or from the files it was rotated through.

    Args:
        where: A capture, a directory with the files of one trace, or those files.
        options: What of it.

    Attributes:
        header: Of its first file.
        sieves: Whether ordinary lives of a host may be passed over.
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
        self.sieves = True
        self.cuts: list[tuple[Path, int]] = []
        self._correlator: Correlator | None = None

    @property
    def correlator(self) -> Correlator:
        """The state everything led to."""
        if self._correlator is None:
            for _ in self.annotated():
                pass
        if self._correlator is None:
            raise CaptureError(f"{self.files[0][0]}: nothing in it")
        return self._correlator

    def annotated(self) -> Iterator[Annotated]:
        """Every event with what was concluded of it, as the live view got them.

        Raises:
            CaptureError: The file is corrupt; it says where.
        """
        correlator = self._new_correlator()
        yield from correlator.feed_all(self._events())
        if self.options.since_boot_ns is not None:
            forget_before(correlator, self.options.since_boot_ns)
        self._correlator = correlator

    def pieces(self) -> Iterator[Piece] | None:
        """The same for columns to be made of, much sooner for a busy host.

        Returns:
            None where only :meth:`annotated` will do: a trace that is not of a whole
            host, a part of one, or too short to be worth it.

        Raises:
            CaptureError: The file is corrupt; it says where.
        """
        return self._pieces() if self._may_sieve() else None

    def _pieces(self) -> Iterator[Piece]:
        from tracer.session.pieces import read_pieces
        from tracer.wire.capture_reader import CaptureReader

        correlator = self._new_correlator()
        items = self._read(CaptureReader.read_columns)
        yield from read_pieces(items, correlator, self.header.machine)
        self._correlator = correlator

    def conclude(self) -> Report:
        """The report: that of the live trace, where nothing is left out.

        Raises:
            CaptureError: The file is corrupt; it says where.
        """
        if self._correlator is None and self._may_sieve():
            self._conclude_extraordinary()
        return summarise(self.correlator)

    def _may_sieve(self) -> bool:
        options, target = self.options, self.header.attached.target
        return (
            self.sieves
            and target.kernel_filter.everything
            and not options.selects
            and options.since_boot_ns is None
            and options.until_boot_ns is None
            and sum(path.stat().st_size for path, _ in self.files) >= _SIEVED_BYTES
        )

    def _conclude_extraordinary(self) -> None:
        from tracer.session.ordinary_lives import CHOSEN_BY
        from tracer.session.sieve import find_ordinary_lives

        correlator = self._new_correlator()
        sieve = find_ordinary_lives(
            [path for path, _ in self.files], correlator.options.min_zombie_ns
        )
        if sieve is None:
            return
        for event in self._events(sieve.choose, CHOSEN_BY):
            correlator.feed(event)
        sieve.settle(correlator)
        self._correlator = correlator

    def _new_correlator(self) -> Correlator:
        min_zombie_ns = self.options.min_zombie_ns
        return Correlator(
            CorrelatorOptions(
                min_zombie_ns=self.header.min_zombie_ns if min_zombie_ns is None else min_zombie_ns,
                keep_uneventful=not self.header.attached.target.kernel_filter.everything,
            )
        )

    def _events(
        self, choose: Selection | None = None, names: tuple[str, ...] | None = None
    ) -> Iterator[Event]:
        import numpy as np

        from tracer.wire.decode import Decoder

        until_ns = self.options.until_boot_ns
        goes_on = False
        decoder = Decoder(self.header.machine)
        for item in self._items(choose, names):
            if not isinstance(item, np.ndarray):
                if until_ns is None or item.boot_ns <= until_ns:
                    yield item
                else:
                    goes_on = True
                continue
            records = item if until_ns is None else item[item["boot_ns"] <= until_ns]
            goes_on = goes_on or len(records) < len(item)
            for start in range(0, len(records), _CHUNK):
                yield from decoder.decode_batch(records[start : start + _CHUNK])
        if goes_on and until_ns is not None:
            yield EndEvent(until_ns, "until")

    def _items(
        self, choose: Selection | None, names: tuple[str, ...] | None
    ) -> Iterator[npt.NDArray[np.void] | SideEvent]:
        selection = self._selection()
        if selection is None:
            yield from self._read(lambda reader: reader.read(choose, names))
            return
        from tracer.session.selection import CHOSEN_BY

        for item in self._read(lambda reader: reader.read(selection.choose, CHOSEN_BY)):
            if isinstance(item, AttachedEvent):
                yield selection.narrow(item)
            elif selection.wants(item):
                yield item

    def _read(
        self, read: Callable[[CaptureReader], Iterator[_T | SideEvent]]
    ) -> Iterator[_T | SideEvent]:
        """Read the files one after the other; the trace began once."""
        from tracer.wire.capture_reader import CaptureReader

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
        from tracer.session.selection import select_processes

        return select_processes(
            [path for path, _ in self.files], self.options.containers, self.options.pidns
        )


def find_files(where: Path | Sequence[Path]) -> list[tuple[Path, CaptureHeader]]:
    """Find the files of one trace, in order.

    Raises:
        CaptureError: There are none, or of several traces.
    """
    if not isinstance(where, Path):
        paths = list(where)
    elif where.is_dir():
        paths = sorted(where.glob(f"*{SUFFIX}"))
    else:
        paths = [where]
    headers = read_headers(paths)
    if not headers:
        raise CaptureError(f"{where}: no capture in it", hint=f"captures there end in {SUFFIX}")
    traces = {header.trace_id for _, header in headers}
    if len(traces) > 1:
        raise CaptureError(
            f"{where}: captures of {len(traces)} traces",
            hint="name one file; tracer.read_dataset() reads them all into one DataFrame",
        )
    return sorted(headers, key=lambda pair: pair[1].sequence)


def read_headers(paths: Sequence[Path]) -> list[tuple[Path, CaptureHeader]]:
    """Read what each of some captures says of itself.

    Raises:
        CaptureError: One is no capture.
    """
    from tracer.wire.capture_reader import CaptureReader

    headers = []
    for path in paths:
        with CaptureReader(path) as reader:
            headers.append((path, reader.header))
    return headers
