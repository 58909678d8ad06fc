"""How full the host's table of tasks is: the limit of all who have none of their own.

Emitted only once the table is half full: most hosts never come near.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tracer.correlate.correlator import Correlator
from tracer.live.observers.observer import Listener, Observer
from tracer.model.events import ForkFailedEvent, ObservationEvent
from tracer.model.target import Target
from tracer.procfs.clock import BootClock, boot_now_ns
from tracer.procfs.task_table import TaskTable, read_task_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_PERIOD_S = 10.0
_HURRIED_PERIOD_S = 1.0
_AT_MOST_EVERY_NS = 100_000_000


class HostEvidence(Observer):
    """Reads how many tasks there are and may be on the host."""

    def __init__(self, clock: BootClock = boot_now_ns) -> None:
        super().__init__(clock)
        self._is_idle = False
        self._told: TaskTable | None = None
        self._not_before_ns = 0

    @property
    def period_s(self) -> float | None:
        """None where nothing happened since the last look: then nothing was forked."""
        if self._is_idle:
            return None
        return _HURRIED_PERIOD_S if self._told is not None else _PERIOD_S

    def begin(self, _correlator: Correlator, _target: Target, /) -> Iterator[ObservationEvent]:
        """Read the baseline."""
        yield from self._read()

    def listeners(self) -> Mapping[type, Listener]:
        """Failed forks: the table may be what is full."""
        return {ForkFailedEvent: self._on_fork_failed}

    def peek(self, records: npt.NDArray[np.void], /) -> Iterable[ObservationEvent]:
        """Something goes on."""
        self._is_idle = self._is_idle and len(records) == 0
        return ()

    def look(self) -> Iterator[ObservationEvent]:
        """Read what has changed."""
        self._is_idle = True
        yield from self._read()

    def finish(self) -> Iterator[ObservationEvent]:
        """Read what it came to."""
        yield from self._read()

    def _on_fork_failed(self, event: ForkFailedEvent) -> Iterator[ObservationEvent]:
        if event.errno == errno.EAGAIN and event.boot_ns >= self._not_before_ns:
            self._not_before_ns = self._clock() + _AT_MOST_EVERY_NS
            yield from self._read()

    def _read(self) -> Iterator[ObservationEvent]:
        table = read_task_table()
        if table is None or table.tasks * 2 < table.limit or table == self._told:
            return
        self._told = table
        values = {
            "reading": "host",
            "tasks": table.tasks,
            "limit": table.limit,
            "limit_name": table.name,
        }
        yield ObservationEvent(self._clock(), "proc", None, values)
