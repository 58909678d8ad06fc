"""Records in order of time, within a bounded window.

A record is stamped before its place in the ring is reserved, so two CPUs may
swap neighbours. Everything stamped before a drain began, less the window, has
its place by then; what is younger waits for the next drain.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracer.wire.layout import arrange_records

Records = npt.NDArray[np.void]

WINDOW_NS = 20_000_000
"""How long a CPU may take from stamping a record to reserving its place."""


class TimeOrder:
    """Sorts batches by ``boot_ns`` across drains.

    Attributes:
        late: Records that came later than the window allows: they were still
            passed on, after younger ones.
        oldest_late_ns: The stamp of the oldest of those, or None.
    """

    def __init__(self, window_ns: int = WINDOW_NS) -> None:
        self._window_ns = window_ns
        self._held: list[Records] = []
        self._released_until_ns = 0
        self.late = 0
        self.oldest_late_ns: int | None = None

    @property
    def is_holding(self) -> bool:
        """Whether records wait for the next drain."""
        return bool(self._held)

    def push(self, batch: Records, drain_began_ns: int) -> list[Records]:
        """Take a drained batch; give back what can have no older sibling left.

        Args:
            batch: The records drained, in ring order; given up, as it is ordered
                where it is.
            drain_began_ns: CLOCK_BOOTTIME just before the drain.

        Returns:
            Arrays that follow one another; none is empty.
        """
        if len(batch):
            self._held.append(batch)
        return self._release(drain_began_ns - self._window_ns)

    def flush(self) -> list[Records]:
        """Give back everything that is left."""
        return self._release(None)

    def _release(self, until_ns: int | None) -> list[Records]:
        if not self._held:
            return []
        parts = self._held
        stamps = np.concatenate([part["boot_ns"] for part in parts])
        if np.any(stamps[1:] < stamps[:-1]):
            order = np.argsort(stamps, kind="stable")
            arrange_records(parts, order)
            stamps = stamps[order]
        cut = (
            len(stamps)
            if until_ns is None
            else int(np.searchsorted(stamps, max(until_ns, 0), "right"))
        )
        released, self._held = _split(parts, cut)
        if cut == 0:
            return []
        late = int(np.searchsorted(stamps[:cut], self._released_until_ns, "left"))
        if late:
            self.late += late
            oldest_ns = int(stamps[0])
            if self.oldest_late_ns is None or oldest_ns < self.oldest_late_ns:
                self.oldest_late_ns = oldest_ns
        self._released_until_ns = max(self._released_until_ns, int(stamps[cut - 1]))
        return released


def _split(parts: list[Records], cut: int) -> tuple[list[Records], list[Records]]:
    before, after = [], []
    for part in parts:
        if cut:
            before.append(part[:cut])
        if cut < len(part):
            after.append(part[cut:])
        cut = max(0, cut - len(part))
    return before, after
