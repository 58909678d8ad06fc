"""What /proc says of those a verdict blames: asleep in which call, waiting or not.

Parents of zombies that grow old, the threads that live on after a leader, an
init that does not end on its stop signal, and the process that holds a namespace's
teardown up. Each is read once it is worth it, while
the trace runs: at the end of a container all of them are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain, islice
from typing import Any

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import responsible_for
from tracer.live.observers.observer import Listener, Observer
from tracer.masking.masking import show_command
from tracer.model.events import (
    ExitEvent,
    ObservationEvent,
    ProcessEvent,
    ReapEvent,
    SignalEvent,
)
from tracer.model.identity import ProcessKey
from tracer.model.target import Target
from tracer.procfs.cgroup import controller_directories
from tracer.procfs.cgroup_limits import read_is_frozen
from tracer.procfs.clock import BootClock, boot_now_ns
from tracer.procfs.process import open_process
from tracer.procfs.zombies import read_live_threads, read_zombie_parent

_HELD_UP_NS = 1_000_000_000
"""A teardown longer than this waits for a process."""
_ANSWERS_WITHIN_NS = 300_000_000
"""An init that has not ended this long after its stop signal is looked at."""
_PERIOD_S = 0.5
_MOST = 256
"""So many processes of each kind are read in one trace."""
_MOST_NAMES = 1024
_MOST_LEFT = 4096


class ProcEvidence(Observer):
    """Reads parents, live threads and holders when they begin to matter.

    Args:
        clock: See :class:`Observer`.
        show_commands: Whether command lines may be kept.
    """

    def __init__(self, clock: BootClock = boot_now_ns, *, show_commands: bool = True) -> None:
        super().__init__(clock)
        self._show_commands = show_commands
        self._correlator: Correlator | None = None
        self._min_zombie_ns = 0
        self._dead_since: dict[ProcessKey, int] = {}
        self._settled: dict[ProcessKey, int] = {}
        """Zombies whose parent has been read: they matter again when it ends."""
        self._leaders_since: dict[ProcessKey, int] = {}
        self._inits_since: dict[ProcessKey, int] = {}
        self._asked_since: dict[ProcessKey, int] = {}
        """Inits that were sent their stop signal and live."""
        self._emitted: dict[str, set[ProcessKey]] = {
            "parent": set(),
            "threads": set(),
            "holder": set(),
        }

    @property
    def period_s(self) -> float | None:
        """Only while a process may become of interest through the passage of time alone."""
        pending = self._dead_since or self._leaders_since or self._inits_since or self._asked_since
        return _PERIOD_S if pending else None

    def begin(self, correlator: Correlator, _target: Target, /) -> Iterable[ObservationEvent]:
        """Nothing is old yet."""
        self._correlator = correlator
        self._min_zombie_ns = correlator.options.min_zombie_ns
        return ()

    def listeners(self) -> Mapping[type, Listener]:
        """Deaths and releases."""
        return {
            ProcessEvent: self._on_process,
            ExitEvent: self._on_exit,
            ReapEvent: self._on_reap,
            SignalEvent: self._on_signal,
        }

    def look(self) -> Iterator[ObservationEvent]:
        """Read the processes that have become of interest."""
        now_ns = self._clock()
        yield from self._parents(now_ns - self._min_zombie_ns)
        yield from self._leaders(now_ns - self._min_zombie_ns)
        yield from self._inits(now_ns - _ANSWERS_WITHIN_NS)
        yield from self._holders(now_ns - _HELD_UP_NS)

    def finish(self) -> Iterator[ObservationEvent]:
        """Read once more, and what those that run are called by now."""
        yield from self.look()
        yield from self._left()
        yield from self._names()

    def _left(self) -> Iterator[ObservationEvent]:
        # Where records were lost, a release may be among them: who is there still is seen.
        if self._correlator is None or not self._correlator.losses.totals:
            return
        by_parent: dict[ProcessKey, list[ProcessKey]] = {}
        for key in islice(chain(self._settled, self._dead_since), _MOST_LEFT):
            state = self._correlator.table.get(key)
            parent = responsible_for(state) if state is not None else None
            if parent is not None:
                by_parent.setdefault(parent, []).append(key)
        for parent, keys in by_parent.items():
            read_ns = self._clock()
            left = [key.host_pid for key in keys if _is_zombie_of(key, parent)]
            if left:
                values = {"reading": "zombies", "zombie_host_pids": left}
                yield ObservationEvent(read_ns, "proc", parent, values)

    def _names(self) -> Iterator[ObservationEvent]:
        # No hook sees prctl(PR_SET_NAME); the record of an end brings the name along.
        if self._correlator is None:
            return
        running = [state for state in self._correlator.table if state.is_alive]
        running.sort(key=lambda state: not state.led)
        for state in running[:_MOST_NAMES]:
            comm = _read_name(state.key)
            if comm is not None and comm != state.comm:
                yield ObservationEvent(
                    self._clock(), "proc", state.key, {"reading": "name", "comm": comm}
                )

    def _on_process(self, event: ProcessEvent) -> Iterable[ObservationEvent]:
        if event.is_zombie:
            # Since when is not known: it may well be old.
            since = self._leaders_since if event.live_threads else self._dead_since
            since[event.process.key] = 0
        return ()

    def _on_exit(self, event: ExitEvent) -> Iterable[ObservationEvent]:
        key = event.process.key
        if event.live_threads:
            self._leaders_since[key] = event.boot_ns
        else:
            self._leaders_since.pop(key, None)
            self._dead_since[key] = event.boot_ns
            self._asked_since.pop(key, None)
            if key in self._emitted["parent"]:
                self._dead_since.update(self._settled)
                self._settled.clear()
            if event.process.is_init:
                self._inits_since[key] = event.boot_ns
        return ()

    def _on_reap(self, event: ReapEvent) -> Iterable[ObservationEvent]:
        for since in (self._dead_since, self._settled, self._leaders_since, self._inits_since):
            since.pop(event.process.key, None)
        return ()

    def _on_signal(self, event: SignalEvent) -> Iterable[ObservationEvent]:
        key = event.process.key
        if self._correlator is not None and not event.is_notification:
            stops = [scope.asked_stop for scope in self._correlator.scopes.led_by(key)]
            if any(stop is not None and stop.stop_signal is event for stop in stops):
                self._asked_since[key] = event.boot_ns
        return ()

    def _inits(self, until_ns: int) -> Iterator[ObservationEvent]:
        for key in _older(self._asked_since, until_ns):
            if self._asked_since.pop(key, None) is None:
                # It ended between two readings.
                continue
            values = _read_init(key)
            if values is not None:
                yield ObservationEvent(self._clock(), "proc", key, values)

    def _parents(self, until_ns: int) -> Iterator[ObservationEvent]:
        emitted = self._emitted["parent"]
        if self._correlator is None:
            return
        by_parent: dict[ProcessKey, list[ProcessKey]] = {}
        for key in _older(self._dead_since, until_ns):
            state = self._correlator.table.get(key)
            parent = responsible_for(state) if state is not None else None
            if state is not None and parent is not None:
                # The table's own key: there may be thousands.
                self._settled[state.key] = self._dead_since.pop(key)
                by_parent.setdefault(parent, []).append(key)
        for parent, keys in by_parent.items():
            if parent in emitted or len(emitted) >= _MOST:
                continue
            emitted.add(parent)
            # What is a zombie after this instant was one at it.
            read_ns = self._clock()
            values = _read_parent(parent, show_commands=self._show_commands)
            if values is not None:
                values["zombie_host_pids"] = [
                    key.host_pid for key in keys[:_MOST] if _is_zombie_of(key, parent)
                ]
                yield ObservationEvent(read_ns, "proc", parent, values)

    def _leaders(self, until_ns: int) -> Iterator[ObservationEvent]:
        emitted = self._emitted["threads"]
        for key in _older(self._leaders_since, until_ns):
            since_ns = self._leaders_since.pop(key, None)
            if since_ns is None or key in emitted or len(emitted) >= _MOST:
                continue
            emitted.add(key)
            values = _read_threads(key)
            if values is not None:
                yield ObservationEvent(self._clock(), "proc", key, values)

    def _holders(self, until_ns: int) -> Iterator[ObservationEvent]:
        emitted = self._emitted["holder"]
        if self._correlator is None:
            return
        for init in _older(self._inits_since, until_ns):
            for scope in self._correlator.scopes.led_by(init):
                for key in sorted(scope.unreleased - {init} - emitted):
                    if len(emitted) >= _MOST:
                        return
                    emitted.add(key)
                    values = _read_holder(key)
                    if values is not None:
                        yield ObservationEvent(self._clock(), "proc", key, values)


def _older(since: Mapping[ProcessKey, int], until_ns: int) -> list[ProcessKey]:
    return [key for key, since_ns in since.items() if since_ns <= until_ns]


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
        and key.same_process(status.key)
    )


def _read_name(key: ProcessKey) -> str | None:
    directory = open_process(key.host_pid)
    if directory is None:
        return None
    with directory:
        status = directory.status()
    if status is None or status.is_zombie or not key.same_process(status.key):
        return None
    return status.comm


def _read_parent(key: ProcessKey, *, show_commands: bool) -> dict[str, Any] | None:
    parent = read_zombie_parent(key.host_pid)
    if parent is None or not key.same_process(ProcessKey(parent.host_pid, parent.start_boot_ns)):
        return None
    return {
        "reading": "parent",
        "comm": parent.comm,
        "cmdline": show_command(parent.cmdline or ()) if show_commands else None,
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
        if status is None or not key.same_process(status.key):
            return None
        threads = read_live_threads(directory, status)
    shown = [asdict(thread) for thread in threads]
    return {"reading": "threads", "threads": shown, "others": max(len(shown), status.threads - 1)}


def _read_init(key: ProcessKey) -> dict[str, Any] | None:
    directory = open_process(key.host_pid)
    if directory is None:
        return None
    with directory:
        status = directory.status()
        if status is None or status.is_zombie or not key.same_process(status.key):
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
        if status is None or not key.same_process(status.key):
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
