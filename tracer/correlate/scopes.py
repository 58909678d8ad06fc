"""Scopes: what can be stopped as one, and who belongs to it.

A scope is a PID namespace with its init, or a container that shares a
namespace (``--pid=host``, a pod) and is told from its neighbours by cgroup.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tracer.correlate.state import ProcessState
from tracer.correlate.stops import StopState
from tracer.model.identity import PidnsKey, ProcessKey, ProcessSnapshot
from tracer.model.signals import SIGTERM
from tracer.model.target import Container

_TICK_NS = 10_000_000


@dataclass(slots=True)
class Scope:
    """One PID namespace, or one container in a shared namespace.

    Args:
        pidns: The namespace; for a shared one, the one it shares.
        init: PID 1, or the process the runtime started.
        is_shared: Told from its neighbours by cgroup.
        unreleased: The members still in the process table, init included.
    """

    pidns: PidnsKey
    init: ProcessKey
    is_shared: bool
    container: Container | None = None
    parent_pidns_inum: int | None = None
    unreleased: set[ProcessKey] = field(default_factory=set)
    stops: list[StopState] = field(default_factory=list)
    init_exit_ns: int | None = None
    teardown_begin_ns: int | None = None
    teardown_end_ns: int | None = None
    init_notified_ns: int | None = None

    @property
    def stop_signo(self) -> int:
        """The signal a runtime stops it with."""
        return self.container.stop_signo if self.container else SIGTERM

    @property
    def open_stop(self) -> StopState | None:
        """The stop under way, or None."""
        return self.stops[-1] if self.stops and not self.stops[-1].is_closed else None

    @property
    def teardown_from_ns(self) -> int | None:
        """From when on releases belong to the teardown, or None."""
        if self.is_shared:
            return None
        return self.teardown_begin_ns or self.init_exit_ns

    @property
    def label(self) -> str:
        """How to call it in a sentence."""
        return self.container.label if self.container else f"pidns {self.pidns.inum}"


class ScopeTable:
    """Every scope met so far, and the nesting of their namespaces."""

    def __init__(self) -> None:
        self._by_pidns: dict[PidnsKey, Scope] = {}
        self._shared: list[Scope] = []
        self._containers: list[Container] = []
        self._newest_by_inum: dict[int, PidnsKey] = {}
        self._with_open_stops: list[Scope] = []

    @property
    def with_open_stops(self) -> tuple[Scope, ...]:
        """The scopes being stopped right now."""
        return tuple(self._with_open_stops)

    def stop_opened(self, scope: Scope) -> None:
        """Note that a stop of a scope began."""
        self._with_open_stops.append(scope)

    def stop_closed(self, scope: Scope) -> None:
        """Note that the stop of a scope ended."""
        if scope in self._with_open_stops:
            self._with_open_stops.remove(scope)

    def __iter__(self) -> Iterator[Scope]:
        yield from self._by_pidns.values()
        yield from self._shared

    @property
    def containers(self) -> tuple[Container, ...]:
        """The containers that were named as targets."""
        return tuple(self._containers)

    def add_container(self, container: Container) -> None:
        """Learn of a container; its scope gets it when its init is met."""
        self._containers = [c for c in self._containers
                            if (c.id, c.init_host_pid) != (container.id, container.init_host_pid)]
        self._containers.append(container)
        for scope in self:
            if _is_init_of(container, scope.init):
                scope.container = container

    def meet(self, state: ProcessState) -> None:
        """Enter a process into the scopes it belongs to."""
        snapshot = state.snapshot
        pidns = snapshot.pidns_key
        if pidns is not None and snapshot.is_init and (snapshot.pidns_level or 0) > 0:
            self._add_pidns(pidns, snapshot)
        for container in self._containers:
            if not container.has_own_pidns and _is_init_of(container, snapshot.key):
                self._add_shared(container, snapshot)
        for scope in self.of(snapshot):
            scope.unreleased.add(snapshot.key)

    def release(self, state: ProcessState) -> list[Scope]:
        """Take a released process out; the scopes it was in."""
        scopes = [scope for scope in self if state.key in scope.unreleased]
        for scope in scopes:
            scope.unreleased.discard(state.key)
        return scopes

    def of(self, snapshot: ProcessSnapshot) -> Iterator[Scope]:
        """The scopes a process belongs to, innermost first."""
        pidns = snapshot.pidns_key
        seen: set[PidnsKey] = set()
        while pidns is not None and pidns not in seen:
            seen.add(pidns)
            scope = self._by_pidns.get(pidns)
            if scope is None:
                break
            yield scope
            outer = scope.parent_pidns_inum
            pidns = self._newest_by_inum.get(outer) if outer is not None else None
        for scope in self._shared:
            container = scope.container
            if container is not None and snapshot.cgroup_id == container.cgroup_id:
                yield scope

    def led_by(self, key: ProcessKey) -> list[Scope]:
        """The scopes whose init a process is."""
        return [scope for scope in self if scope.init == key]

    def container_of(self, snapshot: ProcessSnapshot) -> Container | None:
        """The container a process belongs to, or None."""
        container = None
        for scope in self.of(snapshot):
            container = container or scope.container
        return container

    def _add_pidns(self, pidns: PidnsKey, init: ProcessSnapshot) -> None:
        if pidns in self._by_pidns:
            return
        scope = Scope(pidns=pidns, init=init.key, is_shared=False,
                      parent_pidns_inum=init.parent_pidns_inum)
        if scope.parent_pidns_inum == pidns.inum:
            scope.parent_pidns_inum = None
        for container in self._containers:
            if container.has_own_pidns and _is_init_of(container, init.key):
                scope.container = container
        self._by_pidns[pidns] = scope
        self._newest_by_inum[pidns.inum] = pidns

    def _add_shared(self, container: Container, init: ProcessSnapshot) -> None:
        if any(scope.init == init.key for scope in self._shared):
            return
        pidns = init.pidns_key or PidnsKey(container.pidns_inum, 0)
        self._shared.append(
            Scope(pidns=pidns, init=init.key, is_shared=True, container=container)
        )


def _is_init_of(container: Container, key: ProcessKey) -> bool:
    # /proc gives a container's start in ticks, the kernel in ns: the same
    # process if the tick agrees.
    if container.init_host_pid != key.host_pid:
        return False
    start = container.init_start_boot_ns
    return start is None or abs(start - key.start_boot_ns) <= _TICK_NS
