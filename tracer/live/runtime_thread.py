"""A thread that queries container runtimes, in parallel to the loop of a trace."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracer.live.trace import Trace
    from tracer.model.target import Container

_EXITS_WITHIN_S = 0.05
"""A runtime may delay the thread for longer, but not the end of a trace."""


class RuntimeThread:
    """Runs a search for containers in its own thread, so that a slow runtime delays no event.

    What it finds is handled in the loop of the trace. Close it in any case.

    Args:
        name: The thread's name.
        search: Runs in the thread each time it is woken; has to return soon once
            :attr:`is_over`.
    """

    def __init__(self, name: str, search: Callable[[], None]) -> None:
        self._search = search
        self._event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._found: deque[Container] = deque()
        self._wake = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    @property
    def is_over(self) -> bool:
        """Whether the trace has ended."""
        return self._is_over.is_set()

    def start(self, trace: Trace, on_found: Callable[[Container], object]) -> None:
        """Start the thread.

        Args:
            trace: Its loop handles what is found.
            on_found: Called in that loop with each container.
        """

        def deliver() -> None:
            os.eventfd_read(self._event_fd)
            while self._found:
                on_found(self._found.popleft())

        trace.follow(self._event_fd, deliver)
        self._thread.start()

    def wake(self) -> None:
        """Have the thread search."""
        self._wake.set()

    def wait(self, delay_s: float) -> bool:
        """Wait, within a search; whether the trace has ended meanwhile."""
        return self._is_over.wait(delay_s)

    def report(self, containers: Iterable[Container]) -> None:
        """Give containers that a search found to the loop of the trace."""
        self._found.extend(containers)
        if self._found and not self.is_over:
            os.eventfd_write(self._event_fd, 1)

    def close(self) -> None:
        """End the thread, or leave it behind where a runtime does not answer."""
        self._is_over.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_EXITS_WITHIN_S)
        if not self._thread.is_alive():
            os.close(self._event_fd)

    def _work(self) -> None:
        while not self.is_over:
            self._wake.wait()
            self._wake.clear()
            if not self.is_over:
                self._search()
