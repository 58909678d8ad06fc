"""Whether the inits of a target are still there, known without a single event."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tracer.errors import TargetNotFoundError
from tracer.kernel import procfs
from tracer.model.target import Container

if TYPE_CHECKING:
    from tracer.session.trace import Trace

_RECHECK_S = 0.25
"""Between looks at whether an init that has ended is reaped by now."""

_LAST_EVENTS_S = 1.0
"""How long the events of a target's end may take to come after it."""


class InitWatch:
    """Ends a trace whose targets are gone although no event told so.

    A container can end before the hooks are live, and the record of its end can
    be lost; the descriptor of its init tells anyhow. Use as a context manager,
    entered before the hooks are attached.

    Args:
        containers: The targets.

    Raises:
        TargetNotFoundError: One has ended since it was looked up.
    """

    def __init__(self, containers: Sequence[Container]) -> None:
        self._pidfds: dict[int, Container] = {}
        self._gone: set[int] = set()
        try:
            for container in containers:
                self._pidfds[_open_init(container)] = container
        except TargetNotFoundError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the inits."""
        while self._pidfds:
            os.close(self._pidfds.popitem()[0])

    def begin(self, trace: Trace) -> None:
        """Watch them from within a trace's loop."""
        for pidfd in self._pidfds:
            trace.watch(pidfd, partial(self._ended, trace, pidfd))

    def _ended(self, trace: Trace, pidfd: int) -> None:
        try:
            # Reaches a zombie too: it fails only once that is reaped.
            signal.pidfd_send_signal(pidfd, 0)
        except ProcessLookupError:
            self._gone.add(pidfd)
            if len(self._gone) == len(self._pidfds):
                self._end_unless_members_live_on(trace)
        else:
            trace.schedule.after(_RECHECK_S, partial(self._ended, trace, pidfd))

    def _end_unless_members_live_on(self, trace: Trace) -> None:
        if all(container.has_own_pidns for container in self._pidfds.values()):
            # Init is reaped last: its namespace is empty.
            trace.schedule.after(_LAST_EVENTS_S, partial(trace.end, "target ended"))
            return
        met = {scope.container for scope in trace.correlator.scopes}
        if not any(container in met for container in self._pidfds.values()):
            trace.schedule.after(_LAST_EVENTS_S, partial(trace.end, "target ended"))


def _open_init(container: Container) -> int:
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(container.init_host_pid)
        # The descriptor is of whoever has that pid now: see that it is still the init.
        status = procfs.read_status(container.init_host_pid)
        if status is not None and container.init_start_boot_ns in (None, status.start_boot_ns):
            return pidfd
        os.close(pidfd)
    raise TargetNotFoundError(f"{container.label} ended before the trace could begin")
