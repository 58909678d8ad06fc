"""Whether the inits of a target are still there, known without a single event."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tracer.errors import TargetNotFoundError
from tracer.model.target import Container
from tracer.procfs import process as procfs
from tracer.procfs.patience import NoAnswerError

if TYPE_CHECKING:
    from tracer.live.trace import Trace

_RECHECK_S = 0.25
"""Between looks at whether an init that has ended is reaped by now."""

_LAST_EVENTS_S = 1.0
"""How long the events of a target's end may take to come after it."""


class InitWatch:
    """Ends a trace whose targets are gone although no event showed it.

    A container can end before the hooks are live, and the record of its end can
    be lost; the pidfd of its init shows it anyway. Use as a context manager,
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
        if procfs.is_unreaped(pidfd):
            trace.schedule.after(_RECHECK_S, partial(self._ended, trace, pidfd))
            return
        self._gone.add(pidfd)
        if len(self._gone) == len(self._pidfds):
            self._end_unless_members_live_on(trace)

    def _end_unless_members_live_on(self, trace: Trace) -> None:
        if all(container.has_own_pidns for container in self._pidfds.values()):
            # Init is reaped last: its namespace is empty.
            trace.schedule.after(_LAST_EVENTS_S, partial(trace.end, "target ended"))
            return
        known = {scope.container for scope in trace.correlator.scopes}
        if not any(container in known for container in self._pidfds.values()):
            trace.schedule.after(_LAST_EVENTS_S, partial(trace.end, "target ended"))


def _open_init(container: Container) -> int:
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(container.init_host_pid)
        try:
            if _is_still_the_init(container, pidfd):
                return pidfd
        except BaseException:
            os.close(pidfd)
            raise
        os.close(pidfd)
    raise TargetNotFoundError(f"{container.label} exited before the trace could begin")


def _is_still_the_init(container: Container, pidfd: int) -> bool:
    """Whether a pidfd, made of the init's number just now, is of the init."""
    host_pid = container.init_host_pid
    try:
        status = procfs.ask_while_there(pidfd, lambda: procfs.read_status(host_pid))
    except NoAnswerError as error:
        raise TargetNotFoundError(
            f"{container.label} cannot be traced, host pid {host_pid}: {error}"
        ) from error
    return status is not None and container.is_init(status.key)
