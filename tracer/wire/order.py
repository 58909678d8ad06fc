"""Records in order of time, within a bounded window.

A record is stamped before its place in the ring is reserved, so two CPUs may
swap neighbours. Everything stamped before a drain began, less the window, has
its place by then; what is younger waits for the next drain.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracer.wire.layout import join_records, place_records

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
        self._held: list[npt.NDArray[np.void]] = []
        self._released_until_ns = 0
        self.late = 0
        self.oldest_late_ns: int | None = None

    @property
    def is_holding(self) -> bool:
        """Whether records wait for the next drain."""
        return bool(self._held)

    def push(self, batch: npt.NDArray[np.void], drain_began_ns: int) -> npt.NDArray[np.void] | None:
        """Take a drained batch; give back what can have no older sibling left.

        Args:
            batch: The records drained, in ring order.
            drain_began_ns: CLOCK_BOOTTIME just before the drain.
        """
        if len(batch):
            self._held.append(batch)
        return self._release(drain_began_ns - self._window_ns)

    def flush(self) -> npt.NDArray[np.void] | None:
        """Give back everything that is left."""
        return self._release(None)

    def _release(self, until_ns: int | None) -> npt.NDArray[np.void] | None:
        if not self._held:
            return None
        stamps = np.concatenate([part["boot_ns"] for part in self._held])
        if np.all(stamps[1:] >= stamps[:-1]):
            held = join_records(self._held)
        else:
            order = np.argsort(stamps, kind="stable")
            held, stamps = place_records(self._held, order), stamps[order]
        cut = (
            len(held)
            if until_ns is None
            else int(np.searchsorted(stamps, max(until_ns, 0), "right"))
        )
        self._held = [held[cut:]] if cut < len(held) else []
        if cut == 0:
            return None
        late = int(np.searchsorted(stamps[:cut], self._released_until_ns, "left"))
        if late:
            self.late += late
            oldest_ns = int(stamps[0])
            if self.oldest_late_ns is None or oldest_ns < self.oldest_late_ns:
                self.oldest_late_ns = oldest_ns
        self._released_until_ns = max(self._released_until_ns, int(stamps[cut - 1]))
        return held[:cut]
