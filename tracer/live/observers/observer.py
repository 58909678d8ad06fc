"""Readings that verdicts rest on besides the kernel's events: who takes them, when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracer.correlate.correlator import Correlator
from tracer.model.events import ObservationEvent
from tracer.model.target import Target
from tracer.procfs.clock import BootClock, boot_now_ns

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Listener = Callable[[Any], Iterable[ObservationEvent]]


class Observer:
    """Reads /proc, a cgroup or the like while a trace runs; by itself, nothing.

    Everything it finds becomes an event, so that a replay of the events comes to
    the same conclusions. It never fails: what is gone is no observation.

    Args:
        clock: The clock of the trace's records; readings are dated by it.
    """

    def __init__(self, clock: BootClock = boot_now_ns) -> None:
        self._clock = clock

    @property
    def period_s(self) -> float | None:
        """How often :meth:`look` is wanted as things stand; None = not at all.

        Only events change it: where nothing happens, the trace does not wake up.
        """
        return None

    def begin(self, _correlator: Correlator, _target: Target, /) -> Iterable[ObservationEvent]:
        """The hooks are about to be live."""
        return ()

    def listeners(self) -> Mapping[type, Listener]:
        """What to call for which type of event, once it was correlated."""
        return {}

    def peek(self, _records: npt.NDArray[np.void], /) -> Iterable[ObservationEvent]:
        """Records were drained: read at once what will be gone in a moment."""
        return ()

    def look(self) -> Iterable[ObservationEvent]:
        """A period has passed."""
        return ()

    def finish(self) -> Iterable[ObservationEvent]:
        """The trace is over."""
        return ()


class PollSchedule:
    """When each observer is to look next.

    Args:
        observers: Asked anew for their periods each time.
        clock: Reads monotonic seconds.
    """

    def __init__(
        self, observers: Sequence[Observer], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._observers = observers
        self._clock = clock
        self._looked_s = [clock()] * len(observers)

    def seconds_left(self) -> float | None:
        """How long until the next look, or None where none is wanted."""
        now_s = self._clock()
        left = [
            looked_s + observer.period_s - now_s
            for observer, looked_s in zip(self._observers, self._looked_s, strict=True)
            if observer.period_s is not None
        ]
        return max(0.0, min(left)) if left else None

    def take_due(self) -> list[Observer]:
        """Return those whose look is due now."""
        now_s = self._clock()
        due = []
        for number, observer in enumerate(self._observers):
            period_s = observer.period_s
            if period_s is not None and self._looked_s[number] + period_s <= now_s:
                self._looked_s[number] = now_s
                due.append(observer)
        return due
