"""``--follow``: a container that ends and starts again is the same target."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tracer.errors import ZomtraceError
from tracer.model.target import Container

if TYPE_CHECKING:
    from tracer.session.trace import Trace

_LOOK_EVERY_S = 0.25
"""How often the runtimes are asked while somebody is missing."""


class Following:
    """Traces the next run of a container as soon as it is there.

    Runtimes are asked from a thread of its own: a slow one holds nothing up. What
    happens between the start of the next run and its being found is not seen;
    what is there then is.

    Args:
        containers: The targets, as they run now.
        resolve: Finds the running container that answers to a name or id.
        on_notice: Told in words of an end and of a return.
    """

    def __init__(
        self,
        containers: Sequence[Container],
        resolve: Callable[[str], Container],
        on_notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._running = {container.id: container for container in containers}
        self._resolve = resolve
        self._on_notice = on_notice
        self._missing: dict[str, Container] = {}
        self._found: deque[Container] = deque()
        self._event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._wake = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="following", daemon=True)
        self._pidfds: dict[str, int] = {}

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
        while self._pidfds:
            os.close(self._pidfds.popitem()[1])
        if not self._thread.is_alive():
            os.close(self._event_fd)

    def serve(self, trace: Trace) -> None:
        """Begin, within a trace's loop."""

        def deliver() -> None:
            os.eventfd_read(self._event_fd)
            while self._found:
                container = self._found.popleft()
                if trace.add_container(container):
                    self._on_notice(f"{container.label} is back (host pid"
                                    f" {container.init_host_pid})")  # fmt: skip
                    self._running[container.id] = container
                    self._await_end(trace, container)
                else:
                    self._miss(container)

        trace.follow(self._event_fd, deliver)
        for container in tuple(self._running.values()):
            self._await_end(trace, container)
        self._thread.start()

    def _await_end(self, trace: Trace, container: Container) -> None:
        try:
            pidfd = os.pidfd_open(container.init_host_pid)
        except ProcessLookupError:
            self._miss(container)
            return

        def ended() -> None:
            os.close(self._pidfds.pop(container.id))
            self._on_notice(f"{container.label} ended; waiting for it to start again")
            self._miss(container)

        self._pidfds[container.id] = pidfd
        trace.watch(pidfd, ended)

    def _miss(self, container: Container) -> None:
        self._running.pop(container.id, None)
        self._missing[container.id] = container
        self._wake.set()

    def _work(self) -> None:
        while not self._is_over.is_set():
            self._wake.wait()
            self._wake.clear()
            while self._missing and not self._is_over.wait(_LOOK_EVERY_S):
                for key, gone in tuple(self._missing.items()):
                    container = self._find(gone)
                    if container is not None and self._missing.pop(key, None) is not None:
                        self._found.append(container)
                        os.eventfd_write(self._event_fd, 1)

    def _find(self, gone: Container) -> Container | None:
        # A name may have been given to a new container; an id never is.
        for name in dict.fromkeys((gone.name, gone.id)):
            if name is None:
                continue
            with suppress(ZomtraceError):
                container = self._resolve(name)
                if (container.init_host_pid, container.init_start_boot_ns) != (
                    gone.init_host_pid,
                    gone.init_start_boot_ns,
                ):
                    return container
        return None
