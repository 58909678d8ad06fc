"""Readings that verdicts rest on beside the kernel's events: who takes them, when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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

    Attributes:
        period_s: How often :meth:`look` is wanted; None = never.
    """

    period_s: float | None

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


def usual_observers() -> list[Observer]:
    """Those of every live trace."""
    from tracer.session.cgroup_evidence import CgroupEvidence
    from tracer.session.proc_evidence import ProcEvidence
    from tracer.session.sender_evidence import SenderEvidence

    return [CgroupEvidence(), ProcEvidence(), SenderEvidence()]
