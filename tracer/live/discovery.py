"""The names of containers, for a trace that was not given any."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tracer.errors import ZomtraceError
from tracer.live.observers.observer import Observer
from tracer.live.runtime_thread import RuntimeThread
from tracer.model.events import ContainerEvent, ObservationEvent
from tracer.procfs.clock import BootClock, boot_now_ns
from tracer.wire.header import CONSTANTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.live.trace import Trace
    from tracer.model.target import Container

_MOST_INITS = 4_096
"""The engines are queried again where one is seen after this many others."""
_F_INIT = CONSTANTS["ZT_F_INIT"]
_LOOKS_AFTER_S = (0.3, 1.2, 3.0)
"""When to query the engines about a new init: they list it once it has started."""


class ContainerDiscovery(Observer):
    """Names containers as their inits appear; an observer of a host-wide trace.

    An engine that cannot be queried leaves its containers without a name, nothing else.

    Args:
        survey: Lists the running containers.
        clock: See :class:`Observer`.
    """

    def __init__(
        self, survey: Callable[[], Iterable[Container]], clock: BootClock = boot_now_ns
    ) -> None:
        super().__init__(clock)
        self._survey = survey
        self._known: set[tuple[str, int]] = set()
        self._inits: dict[tuple[int, int], None] = {}
        self._thread = RuntimeThread("discovery", self._search)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.close()

    def serve(self, trace: Trace) -> None:
        """Begin; what is found becomes events of the trace."""
        self._thread.start(
            trace, lambda container: trace.add_event(ContainerEvent(self._clock(), container))
        )
        self._thread.wake()

    def peek(self, records: npt.NDArray[np.void], /) -> Iterable[ObservationEvent]:
        """Look for inits that did not exist before."""
        inits = records[(records["flags"] & _F_INIT).nonzero()]
        inits = inits[inits["pidns_level"] > 0]
        new = set(zip(inits["host_pid"].tolist(), inits["start_boot_ns"].tolist(), strict=True))
        if not new <= self._inits.keys():
            self._inits |= dict.fromkeys(sorted(new))
            while len(self._inits) > _MOST_INITS:
                del self._inits[next(iter(self._inits))]
            self._thread.wake()
        return ()

    def _search(self) -> None:
        self._look_around()
        for delay_s in _LOOKS_AFTER_S:
            if self._thread.wait(delay_s):
                return
            self._look_around()

    def _look_around(self) -> None:
        try:
            containers = list(self._survey())
        except (ZomtraceError, OSError):
            return
        new = [each for each in containers if (each.id, each.init_host_pid) not in self._known]
        # A container that has stopped does not come back under the same pid.
        self._known = {(each.id, each.init_host_pid) for each in containers}
        self._thread.report(new)
