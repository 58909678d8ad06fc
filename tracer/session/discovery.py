"""Which containers there are, for a trace that was not given any."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tracer.errors import ZomtraceError
from tracer.kernel.clock import boot_now_ns
from tracer.model.events import ContainerEvent, ObservationEvent
from tracer.session.observer import Listener
from tracer.wire.header import CONSTANTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from tracer.correlate.correlator import Correlator
    from tracer.model.target import Container, Target
    from tracer.session.trace import Trace

_F_INIT = CONSTANTS["ZT_F_INIT"]
_LOOKS_AFTER_S = (0.3, 1.2, 3.0)
"""When to ask the engines about a new init: they list it once it has started."""


class ContainerDiscovery:
    """Names containers as their inits appear; an observer of a host-wide trace.

    Engines are asked from a thread of its own: a slow one holds nothing up. What
    cannot be asked leaves containers without a name, nothing else.

    Args:
        survey: Lists the running containers.
    """

    def __init__(self, survey: Callable[[], Iterable[Container]]) -> None:
        self._survey = survey
        self._event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._found: deque[Container] = deque()
        self._known: set[tuple[str, int]] = set()
        self._inits: set[tuple[int, int]] = set()
        self._wake = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="discovery", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)
        if not self._thread.is_alive():
            os.close(self._event_fd)

    def serve(self, trace: Trace) -> None:
        """Begin; what is found becomes events of the trace."""

        def deliver() -> None:
            os.eventfd_read(self._event_fd)
            while self._found:
                trace.tell(ContainerEvent(boot_now_ns(), self._found.popleft()))

        trace.follow(self._event_fd, deliver)
        self._wake.set()
        self._thread.start()

    @property
    def period_s(self) -> None:
        """Never."""

    def begin(
        self,
        correlator: Correlator,  # noqa: ARG002
        target: Target,  # noqa: ARG002
    ) -> Iterable[ObservationEvent]:
        """Nothing to read."""
        return ()

    def listeners(self) -> Mapping[type, Listener]:
        """Records are enough."""
        return {}

    def peek(self, records: npt.NDArray[np.void]) -> Iterable[ObservationEvent]:
        """Look for inits that were not there before."""
        inits = records[(records["flags"] & _F_INIT).nonzero()]
        inits = inits[inits["pidns_level"] > 0]
        new = set(zip(inits["host_pid"].tolist(), inits["start_boot_ns"].tolist(), strict=True))
        if not new <= self._inits:
            self._inits |= new
            self._wake.set()
        return ()

    def look(self) -> Iterable[ObservationEvent]:
        """Nothing to read."""
        return ()

    def finish(self) -> Iterable[ObservationEvent]:
        """Nothing to read."""
        return ()

    def _work(self) -> None:
        while not self._is_over.is_set():
            self._wake.wait()
            self._wake.clear()
            self._look_around()
            for delay_s in _LOOKS_AFTER_S:
                if self._is_over.wait(delay_s):
                    return
                self._look_around()

    def _look_around(self) -> None:
        if self._is_over.is_set():
            return
        try:
            containers = list(self._survey())
        except (ZomtraceError, OSError):
            return
        new = [each for each in containers if (each.id, each.init_host_pid) not in self._known]
        self._known |= {(each.id, each.init_host_pid) for each in new}
        if new and not self._is_over.is_set():
            self._found.extend(new)
            os.eventfd_write(self._event_fd, 1)
