"""Records from the source to the correlator: pulled, ordered, kept until worked off."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from tracer.errors import TargetNotFoundError
from tracer.model.events import HookState, LossEvent
from tracer.model.target import Container, KernelFilter

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_TICK_NS = 10_000_000
CHUNK = 512
"""How many records are worked off at a time: some 50 ms of work where the machine is busy,
while the ring holds half a second of a storm."""
_MOST_RECORDS_A_S = 1_000_000
"""Signals sent in a loop by two processors make 800,000."""
_MAX_BACKLOG = 60_000
"""Of 272 bytes each: what a trace may take in memory has a limit, too."""
_LOSSES_S = 0.25
"""How long what was lost may go unreported: to read all the counters takes 30 system calls."""


class Source(Protocol):
    """Where records come from.

    Either :class:`tracer.kernel.source.BpfSource` or
    :class:`tracer.kernel.netlink_source.NetlinkSource`.
    """

    @property
    def name(self) -> str:
        """What the first event of a trace calls it."""

    def set_filter(self, kernel_filter: KernelFilter) -> None:
        """Choose what the kernel side lets through."""

    def fold(self, min_zombie_ns: int | None) -> None:
        """Emit one record per uneventful lifetime; None: no longer."""

    def attach(self) -> tuple[HookState, ...]:
        """Switch the hooks on."""

    def seed(self) -> npt.NDArray[np.void]:
        """Give a record of each process that is there."""

    def read(self, timeout_s: float | None) -> npt.NDArray[np.void]:
        """Drain what is there."""

    def finish(self) -> npt.NDArray[np.void]:
        """Drain for the last time; dead processes that no longer exist count as released."""

    def take_losses(self) -> Mapping[str, int]:
        """Give the losses since the last call, by kind."""

    @property
    def capacity(self) -> int:
        """How many records there is room for."""

    @property
    def filled(self) -> float:
        """The share of the room for records that is taken."""

    def fileno(self) -> int:
        """Readable when there is something to drain."""

    def urgent_fileno(self) -> int:
        """Readable when that is more than uneventful lifetimes."""

    @property
    def folded_alive(self) -> int:
        """Living processes that nothing was emitted for yet."""


class RecordQueue:
    """The records of one trace between the ring and the correlator.

    The ring holds about a second of a storm, memory holds minutes: what cannot be
    worked off at once waits here, up to some bound (25 MB). Beyond that the kernel
    side drops, and counts. :mod:`tracer.live.drain_policy` decides when the ring is
    emptied.

    Args:
        source: Where records come from.
        clock: Reads CLOCK_BOOTTIME, ns.
        peek: Shown each batch as it comes out of the ring, unordered.

    Attributes:
        passed_ns: Every record of before is in the backlog, or has been taken from it.
    """

    def __init__(
        self,
        source: Source,
        clock: Callable[[], int],
        peek: Callable[[npt.NDArray[np.void]], None],
    ) -> None:
        from tracer.wire.sorter import WINDOW_NS, TimeOrder

        self._window_ns = WINDOW_NS
        self._source = source
        self._clock = clock
        self._peek = peek
        self._order = TimeOrder()
        self._late_reported = 0
        self._counted_ns: int | None = None
        self._backlog: deque[npt.NDArray[np.void]] = deque()
        self._backlog_records = 0
        self._spilled: deque[tuple[npt.NDArray[np.void], int]] = deque()
        self._spilled_records = 0
        self._is_finished = False
        self._init_starts: dict[int, int] = {}
        self._losses_due_s: float | None = None
        self.passed_ns = 0

    @property
    def is_finished(self) -> bool:
        """Whether the ring was emptied for the last time."""
        return self._is_finished

    @property
    def has_backlog(self) -> bool:
        """Whether records wait to be worked off."""
        return bool(self._backlog)

    @property
    def is_holding(self) -> bool:
        """Whether records wait for older siblings, or for the next :meth:`pull`."""
        return self._order.is_holding or bool(self._spilled)

    @property
    def losses_due_in_s(self) -> float | None:
        """When to ask for losses; None: nothing has come since, and so was nothing lost."""
        due_s = self._losses_due_s
        return None if due_s is None else max(0.0, due_s - time.monotonic())

    def identify(self, seed: npt.NDArray[np.void], containers: Iterable[Container]) -> None:
        """Learn the exact start of containers' inits from a seed.

        The filter goes by the namespace's inode, which the kernel gives to the
        next namespace as soon as this one is gone; from here on records of
        any later namespace with that inode are left out.

        Raises:
            TargetNotFoundError: A container's init is not there any more.
        """
        for container in containers:
            found = seed[seed["host_pid"] == container.init_host_pid]
            if len(found) == 0 or not _is_same_start(container, int(found[0]["start_boot_ns"])):
                raise TargetNotFoundError(
                    f"{container.label} exited before it could be traced",
                    hint="start the trace before the stop",
                )
            if container.has_own_pidns:
                self._init_starts[container.pidns_inum] = int(found[0]["start_boot_ns"])

    def add_seed(self, seed: npt.NDArray[np.void]) -> None:
        """Put a seed's records among those of the ring, by time."""
        self._order.push(self._without_strangers(seed), 0)

    def pull(self) -> int:
        """Empty the ring, and sort in what was spilled; nothing after :meth:`finish`.

        Returns:
            How many records there were.
        """
        return self._take_in_spilled() + self._empty_ring(self._take_in)

    @property
    def room_lasts_s(self) -> float:
        """How soon the ring can be full at the soonest."""
        source = self._source
        return (1 - source.filled) * source.capacity / _MOST_RECORDS_A_S

    def spill(self) -> None:
        """Empty the ring and do nothing else yet.

        For use while an event is handled: the records are neither shown to observers
        nor sorted before the next :meth:`pull`.
        """
        self._empty_ring(self._spill)

    def _empty_ring(self, take: Callable[[npt.NDArray[np.void], int], None]) -> int:
        if self._is_finished or self._backlog_records + self._spilled_records > _MAX_BACKLOG:
            return 0
        # The clock first: what is stamped before it has its place by now.
        began_ns = self._clock()
        batch = self._source.read(0.0)
        take(batch, began_ns)
        return len(batch)

    def _spill(self, batch: npt.NDArray[np.void], began_ns: int) -> None:
        self._spilled.append((batch, began_ns))
        self._spilled_records += len(batch)

    def finish(self) -> int:
        """Empty the ring for the last time, and hold nothing back any longer.

        Returns:
            The instant until which everything was seen.
        """
        began_ns = self._clock()
        last, counted = _split_counted(self._source.finish())
        # What a storm goes on to do was not asked for: it could keep the end away.
        self._is_finished = True
        self._take_in(last, began_ns)
        self._keep([*self._order.flush(), *([counted] if len(counted) else [])])
        newest_ns = int(last["boot_ns"].max()) if len(last) else 0
        self.passed_ns = max(began_ns, newest_ns)
        return self.passed_ns

    def _take_in(self, batch: npt.NDArray[np.void], began_ns: int) -> None:
        self._spill(batch, began_ns)
        self._take_in_spilled()

    def _take_in_spilled(self) -> int:
        number = 0
        while self._spilled:
            batch, began_ns = self._spilled.popleft()
            self._spilled_records -= len(batch)
            number += len(batch)
            self._take_in_one(batch, began_ns)
        return number

    def _take_in_one(self, batch: npt.NDArray[np.void], began_ns: int) -> None:
        if len(batch) and self._losses_due_s is None:
            self._losses_due_s = time.monotonic() + _LOSSES_S
        records = self._without_strangers(batch)
        if len(records):
            self._peek(records)
            records = _without_hints(records)
        self._keep(self._order.push(records, began_ns))
        self.passed_ns = max(self.passed_ns, began_ns - self._window_ns)

    def take_chunk(self, most: int = CHUNK) -> npt.NDArray[np.void]:
        """Take the oldest records of the backlog, a bounded number of them."""
        from tracer.wire.layout import join_records

        records = join_records(self._take_parts(most))
        chunk, rest = records[:most], records[most:]
        if len(rest):
            self._backlog.appendleft(rest)
            self._backlog_records += len(rest)
        return chunk

    def _take_parts(self, enough: int) -> list[npt.NDArray[np.void]]:
        """Take the oldest records of the backlog, none copied, until there are enough."""
        parts = [self.take_part()]
        number = len(parts[0])
        while self._backlog and number < enough:
            parts.append(self.take_part())
            number += len(parts[-1])
        return parts

    def take_part(self) -> npt.NDArray[np.void]:
        """Take the oldest records of the backlog, as many as came at once."""
        part = self._backlog.popleft()
        self._backlog_records -= len(part)
        return part

    def take_losses(self) -> LossEvent | None:
        """Give what was lost since the last call, by kind; ``late`` came too late."""
        self._losses_due_s = None
        # What was stamped that long before the counters are read has been counted.
        counted_ns = self._clock() - self._window_ns
        lost = {kind: number for kind, number in self._source.take_losses().items() if number}
        since_ns, self._counted_ns = self._counted_ns, counted_ns
        order = self._order
        if order.late > self._late_reported:
            oldest_ns, order.oldest_late_ns = order.oldest_late_ns, None
            if oldest_ns is not None and (
                not lost or (since_ns is not None and oldest_ns < since_ns)
            ):
                since_ns = oldest_ns
            lost["late"] = order.late - self._late_reported
            self._late_reported = order.late
        return LossEvent(self._clock(), lost, since_ns) if lost else None

    def _keep(self, parts: Iterable[npt.NDArray[np.void]]) -> None:
        for part in parts:
            self._backlog.append(part)
            self._backlog_records += len(part)

    def _without_strangers(self, records: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        keep = None
        for inum, start_boot_ns in self._init_starts.items():
            starts = records["init_start_boot_ns"]
            strange = (records["pidns_inum"] == inum) & (starts != start_boot_ns) & (starts != 0)
            if strange.any():
                keep = ~strange if keep is None else keep & ~strange
        return records if keep is None else records[keep]


def _split_counted(
    records: npt.NDArray[np.void],
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void]]:
    """Split off the counts of past signals that come at the end: they are out of order."""
    from tracer.wire.layout import CONSTANTS

    is_counted = (records["flags"] & CONSTANTS["ZT_F_FOLDED"]) != 0
    is_counted &= records["kind"] == CONSTANTS["ZT_KIND_SIGNAL"]
    return records[~is_counted], records[is_counted]


def _without_hints(records: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    """Leave out the execs that a LIFETIME includes: they were for those who read /proc."""
    from tracer.wire.layout import CONSTANTS, take_records

    is_hint = (records["flags"] & CONSTANTS["ZT_F_FOLDED"]) != 0
    is_hint &= records["kind"] == CONSTANTS["ZT_KIND_EXEC"]
    return take_records(records, ~is_hint) if is_hint.any() else records


def _is_same_start(container: Container, start_boot_ns: int) -> bool:
    # A container's start comes from /proc, in ticks.
    known = container.init_start_boot_ns
    return known is None or abs(known - start_boot_ns) <= _TICK_NS
