"""Readings that verdicts rest on beside the kernel's events: who takes them, when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tracer.correlate.correlator import Correlator
from tracer.model.events import ObservationEvent
from tracer.model.target import Target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Listener = Callable[[Any], Iterable[ObservationEvent]]


class Observer(Protocol):
    """Reads /proc, a cgroup or the like while a trace runs.

    Everything it finds becomes an event, so that a replay of the events comes to
    the same conclusions. It never fails: what is gone is no observation.

    """

    @property
    def period_s(self) -> float | None:
        """How often :meth:`look` is wanted as things stand; None = not at all.

        Only events change it: where nothing happens, nobody wakes up to ask.
        """

    def begin(self, correlator: Correlator, target: Target) -> Iterable[ObservationEvent]:
        """The hooks are about to be live."""

    def listeners(self) -> Mapping[type, Listener]:
        """What to call for which type of event, once it was correlated."""

    def peek(self, records: npt.NDArray[np.void]) -> Iterable[ObservationEvent]:
        """Records were drained: read at once what will be gone in a moment."""

    def look(self) -> Iterable[ObservationEvent]:
        """A period has passed."""

    def finish(self) -> Iterable[ObservationEvent]:
        """The trace is over."""


class Rounds:
    """When each observer is to look next.

    Args:
        observers: Asked anew for their periods each time.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers
        self._looked_s = [time.monotonic()] * len(observers)

    def seconds_left(self) -> float | None:
        """How long until the next look, or None where none is wanted."""
        now_s = time.monotonic()
        left = [
            looked_s + observer.period_s - now_s
            for observer, looked_s in zip(self._observers, self._looked_s, strict=True)
            if observer.period_s is not None
        ]
        return max(0.0, min(left)) if left else None

    def take_due(self) -> list[Observer]:
        """Return those whose look is due now."""
        now_s = time.monotonic()
        due = []
        for number, observer in enumerate(self._observers):
            period_s = observer.period_s
            if period_s is not None and self._looked_s[number] + period_s <= now_s:
                self._looked_s[number] = now_s
                due.append(observer)
        return due


def usual_observers() -> list[Observer]:
    """Those of every live trace."""
    from tracer.session.cgroup_evidence import CgroupEvidence
    from tracer.session.host_evidence import HostEvidence
    from tracer.session.proc_evidence import ProcEvidence
    from tracer.session.sender_evidence import SenderEvidence

    return [CgroupEvidence(), HostEvidence(), ProcEvidence(), SenderEvidence()]
