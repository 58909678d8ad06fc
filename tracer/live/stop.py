"""``zomtrace stop``: ask a container's own runtime to stop it, under trace."""

from __future__ import annotations

import os
import threading

from tracer.live.trace import Trace
from tracer.model.target import Container, Target

_AFTERWARDS_S = 3.0
"""How long the kernel may take to be done after the runtime says it is."""


class StopRequest:
    """Stops containers from a thread of its own, while the loop traces.

    Args:
        grace_s: From the stop signal to SIGKILL; None leaves it to the runtime.
    """

    def __init__(self, grace_s: float | None) -> None:
        self._grace_s = grace_s
        self._event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def check(self, target: Target) -> None:
        """See before anything is traced that we may signal the containers.

        Raises:
            PrivilegeError: A capability is missing.
            TargetNotFoundError: A container has ended meanwhile.
        """
        from tracer.containers.stop import check_may_stop

        for container in target.containers:
            check_may_stop(container)

    def begin(self, trace: Trace) -> None:
        """Start stopping what a trace traces; call it once it is attached."""

        def done() -> None:
            if self._error is not None:
                trace.end("the stop failed")
            else:
                trace.schedule.after(_AFTERWARDS_S, lambda: trace.end("the stop is over"))

        trace.watch(self._event_fd, done)
        self._thread = threading.Thread(
            target=self._stop, args=(trace.target.containers,), name="stop", daemon=True
        )
        self._thread.start()

    def finish(self) -> None:
        """Raise what went wrong, after the trace.

        Raises:
            ZomtraceError: The runtime refused or did not answer, or must not be run.
            Exception: Whatever else went wrong in the thread.
        """
        # A stop continues though the trace was interrupted, and may still end.
        if self._thread is None or not self._thread.is_alive():
            os.close(self._event_fd)
        if self._error is not None:
            raise self._error

    def _stop(self, containers: tuple[Container, ...]) -> None:
        from tracer.containers.stop import stop_container

        try:
            for container in containers:
                stop_container(container, self._grace_s)
        except Exception as error:  # noqa: BLE001  finish() raises it again
            self._error = error
        finally:
            os.eventfd_write(self._event_fd, 1)
