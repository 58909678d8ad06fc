"""The command lines of those that are PID 1: what a container ran, by more than a name.

The kernel reports 15 characters of a name, and ``python3`` runs anything. The command line
is read as the program is executed, or where it runs already, soon after it is met: a user
may have thousands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tracer.live.observers.observer import Listener, Observer
from tracer.live.observers.sender import read_command
from tracer.model.events import ObservationEvent, ProcessEvent
from tracer.model.identity import ProcessKey
from tracer.procfs.clock import BootClock, boot_now_ns
from tracer.wire.header import CONSTANTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_EXEC = CONSTANTS["ZT_KIND_EXEC"]
_INIT_NS_PID = 1
_MOST_A_DRAIN = 64
_MOST = 65_536
"""So many are read in one trace."""


class InitEvidence(Observer):
    """Reads the command line of each PID 1 below the host's own.

    Args:
        clock: See :class:`Observer`.
    """

    def __init__(self, clock: BootClock = boot_now_ns) -> None:
        super().__init__(clock)
        self._read = 0
        self._met: deque[ProcessKey] = deque()

    @property
    def period_s(self) -> float | None:
        """At once where any has been met."""
        return 0.0 if self._met else None

    def listeners(self) -> Mapping[type, Listener]:
        """Those that are there when tracing begins."""
        return {ProcessEvent: self._on_process}

    def peek(self, records: npt.NDArray[np.void], /) -> Iterator[ObservationEvent]:
        """Read those that have just executed a program."""
        is_init = (
            (records["kind"] == _EXEC)
            & (records["ns_pid"] == _INIT_NS_PID)
            & (records["pidns_level"] > 0)
        )
        for record in records[is_init][-_MOST_A_DRAIN:]:
            key = ProcessKey(int(record["host_pid"]), int(record["start_boot_ns"]))
            yield from self._observe(key)

    def look(self) -> Iterator[ObservationEvent]:
        """Read those that were met."""
        while self._met:
            yield from self._observe(self._met.popleft())

    def finish(self) -> Iterator[ObservationEvent]:
        """Read those that there was no time for."""
        return self.look()

    def _on_process(self, event: ProcessEvent) -> Iterable[ObservationEvent]:
        snapshot = event.process
        is_below = snapshot.is_init and snapshot.pidns_level
        if is_below and not event.is_zombie and len(self._met) < _MOST:
            self._met.append(snapshot.key)
        return ()

    def _observe(self, key: ProcessKey) -> Iterator[ObservationEvent]:
        if self._read >= _MOST:
            return
        self._read += 1
        values = read_command(key.host_pid, key.start_boot_ns)
        if values is not None:
            yield ObservationEvent(self._clock(), "proc", key, values)
