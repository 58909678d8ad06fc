"""All observers of a trace, asked together; their readings go to one place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tracer.live.observers.observer import Listener, Observer, PollSchedule
from tracer.model.events import Event, ObservationEvent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.correlate.correlator import Correlator
    from tracer.model.target import Target

_TURN_S = 0.1
"""How long looks may keep the loop from records, timers and Ctrl-C; then they are continued:
another user may have a thousand processes that are worth a look."""
_LAST_S = 0.5
"""How long the last looks may delay the end. What is not read by then is unknown."""


class ObserverGroup:
    """Asks observers, and takes care that one that fails loses no event.

    Args:
        observers: Who is asked.
        place: Takes each reading.
        on_failure: Takes an error of the system that a reading met with.
        clock: Reads monotonic seconds.
    """

    def __init__(
        self,
        observers: Sequence[Observer],
        place: Callable[[ObservationEvent], None],
        on_failure: Callable[[OSError], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observers = observers
        self._place = place
        self._on_failure = on_failure
        self._clock = clock
        self._schedule = PollSchedule(observers, clock)
        self._looking: dict[Observer, Iterator[ObservationEvent]] = {}
        self._listeners: dict[type, list[Listener]] = {}
        for observer in observers:
            for kind, listener in observer.listeners().items():
                self._listeners.setdefault(kind, []).append(listener)

    @property
    def seconds_left(self) -> float | None:
        """Until the next one is due, or None."""
        return 0.0 if self._looking else self._schedule.seconds_left()

    def begin(self, correlator: Correlator, target: Target) -> list[ObservationEvent]:
        """Read what is there before anything is traced."""
        return [
            reading
            for observer in self._observers
            for reading in observer.begin(correlator, target)
        ]

    def peek(self, records: npt.NDArray[np.void]) -> None:
        """Show them records as they come."""
        for observer in self._observers:
            try:
                self._place_all(observer.peek(records))
            except OSError as error:
                self._on_failure(error)

    def hear(self, event: Event) -> None:
        """Show them an event that the correlator knows."""
        for listener in self._listeners.get(type(event), ()):
            try:
                self._place_all(listener(event))
            except OSError as error:
                self._on_failure(error)

    def look(self) -> None:
        """Have those look that are due, and go on where the last turn was too short."""
        for observer in self._schedule.take_due():
            if observer not in self._looking:
                self._looking[observer] = iter(observer.look())
        self._take_readings(until_s=self._clock() + _TURN_S)

    def finish(self) -> None:
        """Have all look for the last time."""
        self._looking = {}
        until_s = self._clock() + _LAST_S
        for observer in self._observers:
            try:
                self._looking[observer] = iter(observer.finish())
            except OSError as error:
                self._on_failure(error)
        while self._looking and self._clock() < until_s:
            try:
                self._take_readings(until_s=until_s)
            except OSError as error:
                self._on_failure(error)

    def _take_readings(self, *, until_s: float) -> None:
        """Take one reading of each in turn, so that none has to wait for all of another's."""
        while self._looking:
            for observer, readings in tuple(self._looking.items()):
                del self._looking[observer]
                reading = next(readings, None)
                if reading is not None:
                    self._looking[observer] = readings
                    self._place(reading)
                if self._clock() >= until_s:
                    return

    def _place_all(self, readings: Iterable[ObservationEvent]) -> None:
        for reading in readings:
            self._place(reading)
