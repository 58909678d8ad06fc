"""Every exit on the host with its wait status, from a source that is not BPF."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from tests.support.waiting import wait_for
from tracer.kernel.netlink import ConnectorExec, ConnectorExit, ConnectorFork, ProcConnector


class ExitOracle:
    """Collects the process connector's events in a thread while in ``with``.

    Attributes:
        exits: The exits of thread-group leaders, in order.
        thread_exits: Those of the other threads.
        forks: New processes, in order; threads are left out.
        execs: Programs started.
    """

    def __init__(self) -> None:
        self.exits: list[ConnectorExit] = []
        self.thread_exits: list[ConnectorExit] = []
        self.forks: list[ConnectorFork] = []
        self.execs: list[ConnectorExec] = []
        self._connector = ProcConnector()
        self._thread = threading.Thread(target=self._collect, name="exit-oracle")

    def __enter__(self) -> Self:
        self._connector.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connector.stop()
        self._thread.join()
        self._connector.__exit__(kind, value, traceback)
        if value is None:
            assert self._connector.overruns == 0, "the oracle itself lost events"

    def statuses(self) -> dict[int, int]:
        """Map host pid -> raw wait status; the latest where a pid was reused."""
        return {event.host_pid: event.status.raw for event in list(self.exits)}

    def wait_for_exit(self, host_pid: int, *, within_s: float = 60.0) -> ConnectorExit:
        """Wait until a process has exited, and return its (first) exit."""
        return wait_for(
            lambda: next((one for one in list(self.exits) if one.host_pid == host_pid), None),
            f"process {host_pid} exits",
            within_s=within_s,
        )

    def _collect(self) -> None:
        for event in self._connector:
            match event:
                case ConnectorExit() if event.host_pid == event.host_tid:
                    self.exits.append(event)
                case ConnectorExit():
                    self.thread_exits.append(event)
                case ConnectorFork() if event.child_host_pid == event.child_host_tid:
                    self.forks.append(event)
                case ConnectorExec():
                    self.execs.append(event)
