"""Both rings as one: events with a record of their own, and uneventful lifetimes."""

from __future__ import annotations

import select
import time

import numpy as np
import numpy.typing as npt

from tracer.kernel.maps import BpfMap
from tracer.kernel.ring import BATCH_WAIT_S, RingReader
from tracer.wire.layout import join_records

_FILLING = 0.25


class Rings:
    """The consumer's side of several rings. Not for use by two threads at once.

    Args:
        maps: The rings; what matters most comes first.
        record: The dtype of every record.
    """

    def __init__(self, maps: list[BpfMap], record: np.dtype[np.void]) -> None:
        self._rings = [RingReader(one.fd, one.max_entries, record) for one in maps]
        self._poll = select.poll()
        for one in maps:
            self._poll.register(one.fd, select.POLLIN)

    @property
    def nothing(self) -> npt.NDArray[np.void]:
        """No records."""
        return self._rings[0].nothing

    @property
    def capacity(self) -> int:
        """How many records each has room for."""
        return self._rings[0].capacity

    @property
    def filled(self) -> float:
        """The share of the fullest that is taken."""
        return max(ring.filled for ring in self._rings)

    def wait(self, timeout_s: float | None) -> bool:
        """Sleep until there are records, then let them gather; whether there are any."""
        timeout_ms = None if timeout_s is None else max(0, int(timeout_s * 1000))
        if not self._poll.poll(timeout_ms):
            return False
        if self.filled < _FILLING:
            time.sleep(BATCH_WAIT_S)
        return True

    def drain(self) -> npt.NDArray[np.void]:
        """Copy out what is complete, ring by ring."""
        parts = [part for ring in self._rings if len(part := ring.drain())]
        return join_records(parts) if parts else self.nothing

    def close(self) -> None:
        """Unmap them."""
        for ring in self._rings:
            ring.close()
