"""``--follow``: a container that ends and starts again is the same target."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from tracer.containers.init_process import open_init
from tracer.errors import BpfUnavailableError, ZomtraceError
from tracer.live.runtime_thread import RuntimeThread
from tracer.model.target import Container

if TYPE_CHECKING:
    from tracer.live.trace import Trace

_LOOK_EVERY_S = 0.25
"""How often the runtimes are queried while a container is missing."""


class Following:
    """Traces the next run of a container as soon as it exists.

    What happens between the start of the next run and its discovery is not seen;
    the processes that exist then are.

    Args:
        containers: The targets, as they run now.
        find_again: Finds the next run of a container that has ended; None while there
            is none.
        on_notice: Gets a message when a container stops and when it is back.
    """

    def __init__(
        self,
        containers: Sequence[Container],
        find_again: Callable[[Container], Container | None],
        on_notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._running = {container.id: container for container in containers}
        self._find_again = find_again
        self._on_notice = on_notice
        self._missing: dict[str, Container] = {}
        self._thread = RuntimeThread("following", self._search)
        self._pidfds: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.close()
        while self._pidfds:
            os.close(self._pidfds.popitem()[1])

    def serve(self, trace: Trace) -> None:
        """Begin, within a trace's loop."""

        def found(container: Container) -> None:
            try:
                is_traced = trace.add_container(container)
            except BpfUnavailableError as error:
                # One container that leaves a thousand runs behind does not end the trace.
                self._on_notice(f"{container.label} is back, but not traced: {error.message}")
                return
            if is_traced:
                self._on_notice(f"{container.label} is back (host pid {container.init_host_pid})")
                self._running[container.id] = container
                self._await_end(trace, container)
            else:
                self._miss(container)

        for container in tuple(self._running.values()):
            self._await_end(trace, container)
        self._thread.start(trace, found)

    def _await_end(self, trace: Trace, container: Container) -> None:
        try:
            pidfd = open_init(container)
        except ZomtraceError:
            self._miss(container)
            return

        def ended() -> None:
            os.close(self._pidfds.pop(container.id))
            self._on_notice(f"{container.label} stopped; waiting for it to start again")
            self._miss(container)

        self._pidfds[container.id] = pidfd
        trace.watch(pidfd, ended)

    def _miss(self, container: Container) -> None:
        self._running.pop(container.id, None)
        self._missing[container.id] = container
        self._thread.wake()

    def _search(self) -> None:
        while self._missing and not self._thread.wait(_LOOK_EVERY_S):
            for key, gone in tuple(self._missing.items()):
                container = self._find(gone)
                if container is not None and self._missing.pop(key, None) is not None:
                    self._thread.report([container])

    def _find(self, gone: Container) -> Container | None:
        with suppress(ZomtraceError):
            return self._find_again(gone)
        return None
