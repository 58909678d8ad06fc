"""Tracing without BPF: forks, execs and exits from the process connector, the rest from /proc.

There are no records of what this source cannot see: signals and their senders, reapers,
teardowns, the OOM killer. Its hook plan says so, row by row.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np

from tracer.kernel.census import Census
from tracer.kernel.known import Fields
from tracer.kernel.netlink import RECEIVE_BUFFER, ProcConnector
from tracer.model.events import OVERRUN, HookState
from tracer.model.target import KernelFilter
from tracer.procfs import clock
from tracer.wire.layout import RECORD

if TYPE_CHECKING:
    import numpy.typing as npt

CAPACITY = RECEIVE_BUFFER // 768
"""Records that wait to be read; beyond, the kernel keeps the events, then drops and says so."""

_LOOK_S = 0.1
"""How often the dead are looked at: so exact is the time of a release."""
_SHARE_OF_TIME = 50
_IDLE_S = 1.0
"""A seed that is asked for later may list dead processes while nothing happens."""
_FULL_S = 0.01
_SUSPENDED_NS = 10_000_000

HOOKS = (
    HookState(
        "exit",
        "netlink:PROC_EVENT_EXIT",
        "an exit is reported slightly late, after its parent was notified; where the main thread"
        " exited before another thread, the status is that of the last thread",
    ),
    HookState("exit_begin", None, "this source does not see how long a process took to exit"),
    HookState("reap", None, "this source does not see which process reaps"),
    HookState(
        "free",
        "procfs:/proc/PID/status",
        "reaping is found by polling: its time is up to 0.1 s late",
    ),
    HookState("signal", None, "this source does not see signals, senders or causes"),
    HookState("deliver", None, "this source does not see when a signal is delivered"),
    HookState(
        "fork",
        "netlink:PROC_EVENT_FORK",
        "a process that is gone before /proc is read is assumed to be in its parent's namespace"
        " and cgroup, and the caller of fork to be its parent; times from before a suspend may be"
        " reported as after it",
    ),
    HookState(
        "exec",
        "netlink:PROC_EVENT_EXEC",
        "the name of a program that has exited before /proc is read is unknown, shown as ?",
    ),
    HookState("teardown_begin", None, "this source does not see teardowns"),
    HookState("teardown_end", None, "this source does not see teardowns"),
    HookState("oom", None, "this source does not see the OOM killer"),
    HookState("fork_failed", None, "this source does not see failed forks"),
    HookState("seed", "procfs:/proc"),
)


UNSEEN_KINDS = frozenset(hook.name for hook in HOOKS if hook.source is None)
"""The kinds of record that this source never gives."""


class NetlinkSource:
    """Sees processes through the process connector and /proc. Use as a context manager.

    A thread of its own reads the socket, as a process that is short-lived is to be
    read about in /proc at once.

    Args:
        cgroup_v1: Tell containers apart by cgroup v1's pids controller.
        receive_buffer: Bytes of the socket's buffer.
    """

    name = "netlink"

    def __init__(self, *, cgroup_v1: bool = False, receive_buffer: int = RECEIVE_BUFFER) -> None:
        self._census = Census(cgroup_v1=cgroup_v1)
        self._receive_buffer = receive_buffer
        self._connector: ProcConnector | None = None
        self._lock = threading.Lock()
        self._pending: list[Fields] = []
        self._overruns_reported = 0
        self._overruns_seen = 0
        self._offset_ns = 0
        self._next_look_s = 0.0
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._readable = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self) -> None:
        """Nothing has to be made ready."""

    def set_filter(self, kernel_filter: KernelFilter) -> None:
        """Say whose records are wanted; may be called again any time."""
        with self._lock:
            self._census.set_filter(kernel_filter)

    def fold(self, min_zombie_ns: int | None) -> None:
        """Nothing is folded: the connector reports every event separately."""

    def attach(self) -> tuple[HookState, ...]:
        """Begin to listen: from the return on the kernel keeps every event for us.

        Returns:
            What is reported, and what is not.

        Raises:
            PrivilegeError: CAP_NET_ADMIN is missing.
            UnavailableError: There is no process connector here.
        """
        connector = ProcConnector(receive_buffer=self._receive_buffer)
        self._connector = connector.__enter__()
        self._offset_ns = clock.boot_minus_mono_ns()
        return HOOKS

    def seed(self) -> npt.NDArray[np.void]:
        """List what is there already, as PROCESS records, zombies included.

        Call after :meth:`attach`: what happens meanwhile is in the socket.
        """
        with self._lock:
            seeded = self._census.seed(clock.boot_now_ns())
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="netlink", daemon=True)
            self._thread.start()
        return _as_records(seeded)

    def read(self, timeout_s: float | None) -> npt.NDArray[np.void]:
        """Wait for records and take what is there.

        Args:
            timeout_s: How long to wait at most; 0 only looks, None waits for ever.
        """
        if timeout_s != 0:
            poll = select.poll()
            poll.register(self._readable, select.POLLIN)
            poll.poll(None if timeout_s is None else timeout_s * 1000)
        with self._lock:
            if self._failure is not None:
                raise self._failure
            taken, self._pending = self._pending, []
            if taken:
                os.eventfd_read(self._readable)
        return _as_records(taken)

    def finish(self) -> npt.NDArray[np.void]:
        """Take what is left, for the last time; the dead that are gone are released."""
        self._stop()
        if self._connector is not None:
            with self._lock:
                self._take_events(self._connector, most=None)
                self._emit(self._census.find_released(clock.boot_now_ns()))
        return self.read(0)

    def take_losses(self) -> Mapping[str, int]:
        """Return how often events were lost since the last call; how many is not known."""
        overruns = self._connector.overruns if self._connector is not None else 0
        lost, self._overruns_reported = overruns - self._overruns_reported, overruns
        return {OVERRUN: lost} if lost else {}

    @property
    def capacity(self) -> int:
        """How many records there is room for."""
        return CAPACITY

    @property
    def filled(self) -> float:
        """The share of that room that is taken."""
        return min(1.0, len(self._pending) / CAPACITY)

    def fileno(self) -> int:
        """Return a descriptor that is readable when there are records."""
        return self._readable

    def urgent_fileno(self) -> int:
        """The same: uneventful lifetimes have no ring of their own."""
        return self.fileno()

    @property
    def folded_alive(self) -> int:
        """None: see :meth:`fold`."""
        return 0

    def close(self) -> None:
        """Listen no more, for good; may be called twice."""
        self._stop()
        if self._connector is not None:
            self._connector.__exit__(None, None, None)
            self._connector = None
        if self._readable >= 0:
            os.close(self._readable)
            self._readable = -1

    def _stop(self) -> None:
        if self._thread is not None and self._connector is not None:
            self._connector.stop()
            self._thread.join()
            self._thread = None

    def _listen(self) -> None:
        connector = self._connector
        assert connector is not None  # noqa: S101
        try:
            while connector.wait(_LOOK_S if self._census.has_dead else _IDLE_S):
                if len(self._pending) >= CAPACITY:
                    time.sleep(_FULL_S)
                    continue
                with self._lock:
                    self._take_events(connector, most=CAPACITY)
                    self._look()
        except BaseException as error:  # noqa: BLE001  the trace is to fail of it
            with self._lock:
                self._failure = error
                os.eventfd_write(self._readable, 1)

    def _take_events(self, connector: ProcConnector, *, most: int | None) -> None:
        offset_ns = clock.boot_minus_mono_ns()
        if offset_ns - self._offset_ns > _SUSPENDED_NS:
            # The machine slept meanwhile; else it is the reading that wavers.
            self._offset_ns = offset_ns
        for event in connector.drain():
            self._emit(list(self._census.take(event, event.mono_ns + self._offset_ns)))
            if most is not None and len(self._pending) >= most:
                break
        if connector.overruns > self._overruns_seen:
            # Who was born or ended unseen shows in /proc.
            self._overruns_seen = connector.overruns
            self._emit(self._census.seed(clock.boot_now_ns()))

    def _look(self) -> None:
        if not self._census.has_dead or time.monotonic() < self._next_look_s:
            return
        began_s = time.monotonic()
        self._emit(self._census.find_released(clock.boot_now_ns()))
        ended_s = time.monotonic()
        self._next_look_s = ended_s + max(_LOOK_S, _SHARE_OF_TIME * (ended_s - began_s))

    def _emit(self, records: list[Fields]) -> None:
        if records:
            self._pending += records
            os.eventfd_write(self._readable, 1)


def _as_records(rows: list[Fields]) -> npt.NDArray[np.void]:
    records = np.zeros(len(rows), RECORD)
    for record, fields in zip(records, rows, strict=True):
        for name, value in fields.items():
            record[name] = value
    return records
