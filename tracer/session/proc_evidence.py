"""What /proc says of those a verdict blames: asleep in which call, waiting or not.

Parents of zombies that grow old, the threads that live on after a leader, an
init that does not end on its stop signal, and whoever holds a namespace's
teardown up. Each is read once it is worth it, while
the trace runs: at the end of a container all of them are gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tracer.containers.cgroup import controller_directories
from tracer.containers.cgroup_limits import read_is_frozen
from tracer.correlate.correlator import Correlator
from tracer.correlate.zombies import responsible_for
from tracer.kernel.clock import boot_now_ns
from tracer.kernel.procfs import open_process
from tracer.kernel.zombies import read_live_threads, read_zombie_parent
from tracer.model.events import (
    ExitEvent,
    ObservationEvent,
    ProcessEvent,
    ReapEvent,
    SignalEvent,
)
from tracer.model.identity import ProcessKey
from tracer.model.target import Target
from tracer.session.masking import show_command
from tracer.session.observer import Listener

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_TICK_NS = 10_000_000
_HELD_UP_NS = 1_000_000_000
"""A teardown longer than this waits for somebody."""
_ANSWERS_WITHIN_NS = 300_000_000
"""An init that has not ended this long after its stop signal is looked at."""
_PERIOD_S = 0.5
_MOST = 256
"""So many processes of each kind are read in one trace."""


class ProcEvidence:
    """Reads parents, live threads and holders when they begin to matter."""

    def __init__(self) -> None:
        self._correlator: Correlator | None = None
        self._min_zombie_ns = 0
        self._dead_since: dict[ProcessKey, int] = {}
        self._settled: dict[ProcessKey, int] = {}
        """Zombies whose parent has been read: they matter again when it ends."""
        self._leaders_since: dict[ProcessKey, int] = {}
        self._inits_since: dict[ProcessKey, int] = {}
        self._asked_since: dict[ProcessKey, int] = {}
        """Inits that were sent their stop signal and live."""
        self._told: dict[str, set[ProcessKey]] = {
            "parent": set(),
            "threads": set(),
            "holder": set(),
        }

    @property
    def period_s(self) -> float | None:
        """Only while somebody may come to matter by mere time."""
        pending = self._dead_since or self._leaders_since or self._inits_since or self._asked_since
        return _PERIOD_S if pending else None

    def begin(self, correlator: Correlator, target: Target) -> Iterator[ObservationEvent]:  # noqa: ARG002
        """Nothing is old yet."""
        self._correlator = correlator
        self._min_zombie_ns = correlator.options.min_zombie_ns
        yield from ()

    def listeners(self) -> Mapping[type, Listener]:
        """Deaths and releases."""
        return {
            ProcessEvent: self._on_process,
            ExitEvent: self._on_exit,
            ReapEvent: self._on_reap,
            SignalEvent: self._on_signal,
        }

    def peek(self, records: npt.NDArray[np.void]) -> Iterator[ObservationEvent]:  # noqa: ARG002
        """Nothing here is over in a moment."""
        yield from ()

    def look(self) -> Iterator[ObservationEvent]:
        """Read whoever has come to matter."""
        now_ns = boot_now_ns()
        yield from self._parents(now_ns - self._min_zombie_ns)
        yield from self._leaders(now_ns - self._min_zombie_ns)
        yield from self._inits(now_ns - _ANSWERS_WITHIN_NS)
        yield from self._holders(now_ns - _HELD_UP_NS)

    def finish(self) -> Iterator[ObservationEvent]:
        """Read once more."""
        yield from self.look()

    def _on_process(self, event: ProcessEvent) -> Iterator[ObservationEvent]:
        if event.is_zombie:
            # Since when is not known: it may well be old.
            since = self._leaders_since if event.live_threads else self._dead_since
            since[event.process.key] = 0
        yield from ()

    def _on_exit(self, event: ExitEvent) -> Iterator[ObservationEvent]:
        key = event.process.key
        if event.live_threads:
            self._leaders_since[key] = event.boot_ns
        else:
            self._leaders_since.pop(key, None)
            self._dead_since[key] = event.boot_ns
            self._asked_since.pop(key, None)
            if key in self._told["parent"]:
                self._dead_since.update(self._settled)
                self._settled.clear()
            if event.process.is_init:
                self._inits_since[key] = event.boot_ns
        yield from ()

    def _on_reap(self, event: ReapEvent) -> Iterator[ObservationEvent]:
        for since in (self._dead_since, self._settled, self._leaders_since, self._inits_since):
            since.pop(event.process.key, None)
        yield from ()

    def _on_signal(self, event: SignalEvent) -> Iterator[ObservationEvent]:
        key = event.process.key
        if self._correlator is not None and not event.is_notification:
            stops = [scope.asked_stop for scope in self._correlator.scopes.led_by(key)]
            if any(stop is not None and stop.stop_signal is event for stop in stops):
                self._asked_since[key] = event.boot_ns
        yield from ()

    def _inits(self, until_ns: int) -> Iterator[ObservationEvent]:
        for key in _older(self._asked_since, until_ns):
            del self._asked_since[key]
            values = _read_init(key)
            if values is not None:
                yield ObservationEvent(boot_now_ns(), "proc", key, values)

    def _parents(self, until_ns: int) -> Iterator[ObservationEvent]:
        told = self._told["parent"]
        old = _older(self._dead_since, until_ns)
        for key in old:
            state = self._correlator.table.get(key) if self._correlator is not None else None
            parent = responsible_for(state) if state is not None else None
            if parent is None:
                continue
            self._settled[key] = self._dead_since.pop(key)
            if parent in told or len(told) >= _MOST:
                continue
            told.add(parent)
            # What is a zombie after this instant was one at it.
            read_ns = boot_now_ns()
            values = _read_parent(parent)
            if values is not None:
                values["zombie_host_pids"] = [
                    one.host_pid for one in old[:_MOST] if _is_zombie_of(one, parent)
                ]
                yield ObservationEvent(read_ns, "proc", parent, values)

    def _leaders(self, until_ns: int) -> Iterator[ObservationEvent]:
        told = self._told["threads"]
        for key in _older(self._leaders_since, until_ns):
            del self._leaders_since[key]
            if key in told or len(told) >= _MOST:
                continue
            told.add(key)
            values = _read_threads(key)
            if values is not None:
                yield ObservationEvent(boot_now_ns(), "proc", key, values)

    def _holders(self, until_ns: int) -> Iterator[ObservationEvent]:
        told = self._told["holder"]
        if self._correlator is None:
            return
        for init in _older(self._inits_since, until_ns):
            for scope in self._correlator.scopes.led_by(init):
                for key in sorted(scope.unreleased - {init} - told):
                    if len(told) >= _MOST:
                        return
                    told.add(key)
                    values = _read_holder(key)
                    if values is not None:
                        yield ObservationEvent(boot_now_ns(), "proc", key, values)


def _older(since: Mapping[ProcessKey, int], until_ns: int) -> list[ProcessKey]:
    return [key for key, since_ns in since.items() if since_ns <= until_ns]


def _is_same(start_boot_ns: int, key: ProcessKey) -> bool:
    return not key.start_boot_ns or abs(start_boot_ns - key.start_boot_ns) <= _TICK_NS


def _is_zombie_of(key: ProcessKey, parent: ProcessKey) -> bool:
    directory = open_process(key.host_pid)
    if directory is None:
        return False
    with directory:
        status = directory.status()
    return (
        status is not None
        and status.is_zombie
        and status.parent_host_pid == parent.host_pid
        and _is_same(status.start_boot_ns, key)
    )


def _read_parent(key: ProcessKey) -> dict[str, Any] | None:
    parent = read_zombie_parent(key.host_pid)
    if parent is None or not _is_same(parent.start_boot_ns, key):
        return None
    return {
        "reading": "parent",
        "comm": parent.comm,
        "cmdline": show_command(parent.cmdline),
        "state": parent.state,
        "is_waiting": parent.is_waiting,
        "sigchld": parent.sigchld.value,
        "syscall": parent.syscall,
        "wchan": parent.wchan,
        "threads": parent.threads,
    }


def _read_threads(key: ProcessKey) -> dict[str, Any] | None:
    directory = open_process(key.host_pid)
    if directory is None:
        return None
    with directory:
        status = directory.status()
        if status is None or not _is_same(status.start_boot_ns, key):
            return None
        threads = read_live_threads(directory, status)
    return {"reading": "threads", "threads": [asdict(thread) for thread in threads]}


def _read_init(key: ProcessKey) -> dict[str, Any] | None:
    directory = open_process(key.host_pid)
    if directory is None:
        return None
    with directory:
        status = directory.status()
        if status is None or status.is_zombie or not _is_same(status.start_boot_ns, key):
            return None
        blocked = directory.blocked_in()
        raw_cgroup = directory.read("cgroup")
    directories = controller_directories(raw_cgroup, "freezer") if raw_cgroup is not None else ()
    tracer = None
    if status.tracer_host_pid is not None and (tracing := open_process(status.tracer_host_pid)):
        with tracing:
            named = tracing.status()
        tracer = {
            "host_pid": status.tracer_host_pid,
            "comm": named.comm if named is not None else None,
        }
    return {
        "reading": "init",
        "state": status.state,
        "syscall": blocked.syscall,
        "wchan": blocked.wchan,
        "is_frozen": read_is_frozen(directories),
        "tracer": tracer,
    }


def _read_holder(key: ProcessKey) -> dict[str, Any] | None:
    directory = open_process(key.host_pid)
    if directory is None:
        return None
    with directory:
        status = directory.status()
        if status is None or not _is_same(status.start_boot_ns, key):
            return None
        blocked = directory.blocked_in()
        raw_cgroup = directory.read("cgroup")
    values: dict[str, Any] = {
        "reading": "holder",
        "state": status.state,
        "syscall": blocked.syscall,
        "wchan": blocked.wchan,
        "is_frozen": None,
    }
    if raw_cgroup is not None:
        values["is_frozen"] = read_is_frozen(controller_directories(raw_cgroup, "freezer"))
    if status.is_zombie and status.parent_host_pid:
        parent = read_zombie_parent(status.parent_host_pid)
        if parent is not None:
            values["parent"] = {
                "host_pid": parent.host_pid,
                "comm": parent.comm,
                "state": parent.state,
                "is_waiting": parent.is_waiting,
                "syscall": parent.syscall,
            }
    return values
