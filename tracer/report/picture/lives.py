"""The processes of a picture: from when to when each lived, and was a zombie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tracer.model.annotated import Annotated
from tracer.model.events import (
    Event,
    ExecEvent,
    ExitEvent,
    ForkEvent,
    LifetimeEvent,
    Precision,
    ProcessEvent,
    ReapEvent,
)
from tracer.model.identity import ProcessKey, ProcessSnapshot
from tracer.model.lifetime import split_lifetime
from tracer.model.report import ProcessReport, Report, ZombieReport
from tracer.model.target import Container
from tracer.model.verdicts import ReapKind


@dataclass(slots=True)
class Life:
    """One process as a picture shows it.

    Instants are CLOCK_BOOTTIME, ns; None = not known or not yet. A picture
    fills its lives while it reads the events, so they are not frozen.

    Args:
        key: Who.
        comm: What it was called last.
        ns_pid: Its pid in its own namespace.
        parent: Who started it, or had it when it was first seen.
        pidns_inum: Its PID namespace.
        container_id: Its container.
        is_init: Whether it is its namespace's PID 1.
        is_outside: It is no part of the target and only sent or got a signal.
        sent_count: Signals it sent or caused; of those, exit notifications do not count.
        execs: When it became what.
        begin_ns: Its birth; may lie before the trace's begin.
        leader_exit_ns: When its first thread ended, others living on.
        exit_ns: When its last thread ended.
        was_zombie: It was one before the trace began: since when is not known.
        zombie_from_ns: From when on it was a zombie, or is known to have been.
        reap_ns: When it was gone from the process table.
        precision: Of that.
        reap_kind: Who collected it.
        reaper_host_pid: Who did.
        reaper_comm: Its name.
        report: What the report says of it, where it does.
        zombie: The same, where it stayed a zombie.
    """

    key: ProcessKey
    comm: str
    ns_pid: int | None = None
    parent: ProcessKey | None = None
    pidns_inum: int | None = None
    container_id: str | None = None
    is_init: bool = False
    is_outside: bool = False
    sent_count: int = 0
    execs: list[tuple[int, str]] = field(default_factory=list)
    begin_ns: int | None = None
    leader_exit_ns: int | None = None
    exit_ns: int | None = None
    was_zombie: bool = False
    zombie_from_ns: int | None = None
    reap_ns: int | None = None
    precision: Precision | None = None
    reap_kind: ReapKind | None = None
    reaper_host_pid: int | None = None
    reaper_comm: str | None = None
    report: ProcessReport | None = None
    zombie: ZombieReport | None = None


class Lives:
    """Every process of a picture, found by key or by what little is known of it."""

    def __init__(self) -> None:
        self._by_key: dict[ProcessKey, Life] = {}
        self._latest: dict[int, Life] = {}

    def __iter__(self) -> Iterator[Life]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def find(self, host_pid: int, start_boot_ns: int | None) -> Life | None:
        """Give the process; by its pid alone where its start is not known (None or 0)."""
        if start_boot_ns:
            return self._by_key.get(ProcessKey(host_pid, start_boot_ns))
        return self._latest.get(host_pid)

    def outside(self, host_pid: int, start_boot_ns: int | None, comm: str) -> Life:
        """Give the process, as one from outside the target where it is not known."""
        life = self.find(host_pid, start_boot_ns)
        if life is None:
            key = ProcessKey(host_pid, start_boot_ns or 0)
            life = self._enter(Life(key, comm, begin_ns=start_boot_ns or None, is_outside=True))
        return life

    def follow(self, annotated: Annotated) -> None:
        """Take in an event of a process's life."""
        event = annotated.event
        if isinstance(event, LifetimeEvent):
            life = self._of(event.process, annotated.container)
            for part in split_lifetime(event):
                _advance(life, part, annotated)
        if not isinstance(event, ProcessEvent | ForkEvent | ExecEvent | ExitEvent | ReapEvent):
            return
        life = self._of(event.process, annotated.container)
        _advance(life, event, annotated)

    def complete(self, report: Report) -> None:
        """Add what the report concluded of them, and those it alone knows of."""
        for process in report.processes:
            key = ProcessKey(process.host_pid, process.start_boot_ns)
            life = self._by_key.get(key) or self._enter(Life(key, process.comm))
            _settle(life, process)
        for zombie in report.zombies:
            owner = self._zombie_owner(zombie)
            if owner is not None:
                owner.zombie = zombie
                owner.zombie_from_ns = owner.zombie_from_ns or zombie.begin_boot_ns
        for life in self:
            _bound(life, report)

    def keep(self, wanted: Iterable[Life]) -> None:
        """Forget all others."""
        self._by_key = {life.key: life for life in wanted}

    def _of(self, process: ProcessSnapshot, container: Container | None) -> Life:
        life = self._by_key.get(process.key)
        if life is None:
            life = self._enter(
                Life(
                    process.key,
                    process.comm,
                    parent=process.parent_key,
                    pidns_inum=process.pidns_inum,
                    begin_ns=process.start_boot_ns or None,
                )
            )
        life.is_outside = False
        life.comm = process.comm
        life.ns_pid = process.ns_pid if process.ns_pid is not None else life.ns_pid
        life.is_init = life.is_init or process.is_init
        if container is not None:
            life.container_id = container.id
        return life

    def _enter(self, life: Life) -> Life:
        self._by_key[life.key] = life
        self._latest[life.key.host_pid] = life
        return life

    def _zombie_owner(self, zombie: ZombieReport) -> Life | None:
        # A zombie is identified by pid and begin: pids are reused.
        life = self._latest.get(zombie.host_pid)
        if zombie.begin_boot_ns is None or life is None or life.exit_ns == zombie.begin_boot_ns:
            return life
        for other in self:
            if other.key.host_pid == zombie.host_pid and other.exit_ns == zombie.begin_boot_ns:
                return other
        return life


def _advance(life: Life, event: Event, annotated: Annotated) -> None:
    match event:
        case ForkEvent(process=process):
            life.begin_ns = process.start_boot_ns or event.boot_ns
        case ExecEvent(process=process):
            life.execs.append((event.boot_ns, process.comm))
        case ProcessEvent(is_zombie=True, live_threads=0):
            life.was_zombie = True
        case ProcessEvent(is_zombie=True):
            life.leader_exit_ns = event.boot_ns
        case ExitEvent(live_threads=0):
            life.exit_ns = event.boot_ns
        case ExitEvent():
            life.leader_exit_ns = event.boot_ns
        case ReapEvent():
            life.reap_ns = event.boot_ns
            life.precision = annotated.precision or event.precision
            life.reap_kind = annotated.reap_kind
            life.reaper_host_pid = annotated.reaper_host_pid
            life.reaper_comm = annotated.reaper_comm
            if annotated.zombie_ns and not life.was_zombie:
                life.zombie_from_ns = event.boot_ns - annotated.zombie_ns
        case _:
            pass


def _settle(life: Life, process: ProcessReport) -> None:
    life.report = process
    life.is_outside = False
    life.comm = process.comm
    life.ns_pid = process.ns_pid
    life.is_init = process.is_init
    life.pidns_inum = process.pidns_inum
    life.container_id = process.container_id
    life.begin_ns = life.begin_ns or process.start_boot_ns or None
    if not life.was_zombie:
        life.exit_ns = life.exit_ns or process.end_boot_ns
    life.reap_kind = life.reap_kind or process.reap_kind


def _bound(life: Life, report: Report) -> None:
    if life.was_zombie:
        # Had it ended after the hooks went live, its exit would have been seen.
        life.zombie_from_ns = report.begin_boot_ns
    # Dead, not gone, and not known to have been cleared away unseen: a zombie to the end.
    if life.exit_ns is not None and life.reap_ns is None and life.reap_kind is None:
        life.zombie_from_ns = life.zombie_from_ns or life.exit_ns
    if life.zombie_from_ns is not None:
        life.zombie_from_ns = min(life.zombie_from_ns, report.end_boot_ns)
