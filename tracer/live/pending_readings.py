"""Readings that wait until the stream of records reaches their time."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import replace

from tracer.model.events import ObservationEvent


class PendingReadings:
    """Emits readings of /proc and cgroups in order of time with the records.

    A reading is taken now, while the records in hand may be of a minute ago: set
    against those it would say what has not happened yet.

    Args:
        emit: Takes each reading once the records have reached its time.
    """

    def __init__(self, emit: Callable[[ObservationEvent], None]) -> None:
        self._emit = emit
        self._waiting: list[tuple[int, int, ObservationEvent]] = []
        self._sequence = itertools.count()
        self._is_over = False

    @property
    def due_ns(self) -> int | None:
        """The time of the oldest reading that waits; None: none does."""
        return self._waiting[0][0] if self._waiting else None

    def add(self, reading: ObservationEvent) -> None:
        """Take a reading; nothing after :meth:`close`."""
        if not self._is_over:
            heapq.heappush(self._waiting, (reading.boot_ns, next(self._sequence), reading))

    def pass_until(self, boot_ns: int) -> None:
        """Say that every record up to an instant has been worked off.

        What is read because a reading was emitted waits in turn.
        """
        while self._waiting and self._waiting[0][0] <= boot_ns:
            self._emit(heapq.heappop(self._waiting)[2])

    def close(self, boot_ns: int) -> None:
        """Note that the last records were drained at an instant.

        What waits belongs at their end; what is read later is left out, as there will
        be no records of what came before it.
        """
        self._is_over = True
        self._waiting = [
            (at_ns, number, replace(reading, boot_ns=at_ns))
            for read_ns, number, reading in self._waiting
            for at_ns in (min(read_ns, boot_ns),)
        ]
        heapq.heapify(self._waiting)
