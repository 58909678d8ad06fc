"""All observers of a trace, asked together; their readings go to one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from tracer.live.observers.observer import Listener, Observer, PollSchedule
from tracer.model.events import Event, ObservationEvent

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.correlate.correlator import Correlator
    from tracer.model.target import Target


class ObserverGroup:
    """Asks observers, and takes care that one that fails loses no event.

    Args:
        observers: Who is asked.
        place: Takes each reading.
        on_failure: Takes an error of the system that a reading met with.
    """

    def __init__(
        self,
        observers: Sequence[Observer],
        place: Callable[[ObservationEvent], None],
        on_failure: Callable[[OSError], None],
    ) -> None:
        self._observers = observers
        self._place = place
        self._on_failure = on_failure
        self._schedule = PollSchedule(observers)
        self._listeners: dict[type, list[Listener]] = {}
        for observer in observers:
            for kind, listener in observer.listeners().items():
                self._listeners.setdefault(kind, []).append(listener)

    @property
    def seconds_left(self) -> float | None:
        """Until the next one is due, or None."""
        return self._schedule.seconds_left()

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
        """Have those look that are due."""
        for observer in self._schedule.take_due():
            self._place_all(observer.look())

    def finish(self) -> None:
        """Have all look for the last time."""
        for observer in self._observers:
            try:
                self._place_all(observer.finish())
            except OSError as error:
                self._on_failure(error)

    def _place_all(self, readings: Iterable[ObservationEvent]) -> None:
        for reading in readings:
            self._place(reading)
