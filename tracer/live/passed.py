"""Lifetimes that were counted by columns, shown in their place among the events."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tracer.live.pending_readings import PendingReadings
from tracer.model.identity import PidnsKey
from tracer.model.target import Container

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ContainerOf = Callable[[PidnsKey], Container | None]


class PassedSink(Protocol):
    """Shows lifetimes that no events are made for."""

    def begin(self, lifetimes: npt.NDArray[np.void], container_of: ContainerOf) -> None:
        """Take LIFETIME records, in order of time; none of the last ones is left."""

    def show(self, number: int) -> None:
        """Show so many more of them."""


class PassedLifetimes:
    """Those of one batch of records that were counted.

    Args:
        sink: Shows them.
        pending: Holds readings that belong between them.
        places: Where they stand in the batch.
        times: When each was emitted, ascending.
    """

    def __init__(
        self, sink: PassedSink, pending: PendingReadings, places: list[int], times: list[int]
    ) -> None:
        self._sink = sink
        self._pending = pending
        self._places = places
        self._times = times
        self._shown = 0

    def show_before(self, place: int, boot_ns: int) -> None:
        """Show those that stand before a place, and the readings of before an instant."""
        end = bisect_left(self._places, place, self._shown)
        while (due_ns := self._pending.due_ns) is not None and due_ns < boot_ns:
            # A reading comes after all that was stamped by then.
            self._show_until(bisect_right(self._times, due_ns, self._shown, end))
            self._pending.pass_until(due_ns)
        self._show_until(end)

    def show_rest(self) -> None:
        """Show those that are left."""
        if self._shown < len(self._places):
            self.show_before(self._places[-1] + 1, self._times[-1])

    def _show_until(self, end: int) -> None:
        if end > self._shown:
            self._sink.show(end - self._shown)
            self._shown = end
