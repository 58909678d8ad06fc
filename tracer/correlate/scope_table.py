"""Every scope known so far, the nesting of their namespaces, and membership."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracer.correlate.process import ProcessState
from tracer.correlate.process_table import ProcessTable
from tracer.correlate.scope import Scope
from tracer.model.identity import PidnsKey, ProcessKey, ProcessSnapshot
from tracer.model.target import Container

_MOST_WAITING = 4_096
_CROWD = 64


class ScopeTable:
    """Who belongs where. Asked once for each process, not for each event.

    Args:
        table: Every process.

    Attributes:
        ended: Ids of containers that were asked for, whose scope is dropped.
    """

    def __init__(self, table: ProcessTable) -> None:
        self._table = table
        self._by_pidns: dict[PidnsKey, Scope] = {}
        self._shared: list[Scope] = []
        self._containers: list[Container] = []
        # Members whose namespace's init is not known yet.
        self._waiting: dict[PidnsKey, list[ProcessState]] = {}
        self._newest: dict[int, Scope] = {}
        self._unnested: list[Scope] = []
        self._by_init: dict[ProcessKey, list[Scope]] = {}
        self._targets: frozenset[str] = frozenset()
        self.ended: set[str] = set()

    def __iter__(self) -> Iterator[Scope]:
        yield from self._by_pidns.values()
        yield from self._shared

    def __contains__(self, scope: Scope) -> bool:
        return self._by_pidns.get(scope.pidns) is scope or scope in self._shared

    @property
    def containers(self) -> tuple[Container, ...]:
        """The containers that were named as targets."""
        return tuple(self._containers)

    @property
    def has_shared(self) -> bool:
        """Whether any container shares a PID namespace."""
        return bool(self._shared)

    def add_container(self, container: Container, known: Iterable[ProcessState]) -> None:
        """Learn of a container.

        Args:
            container: The container; its scope gets it when its init is first seen.
            known: Every process seen so far: its init may be one of them.
        """
        self._containers = [
            other
            for other in self._containers
            if (other.id, other.init_host_pid) != (container.id, container.init_host_pid)
        ]
        self._containers.append(container)
        for scope in self:
            if container.is_init(scope.init):
                scope.container = container
                scope.cgroup_ids |= container.descendant_cgroup_ids
        if not container.has_own_pidns:
            for state in list(known):
                if container.is_init(state.key):
                    self._lead_shared(container, state)
            for state in list(known):
                self.reconsider(state, None)

    def track(self, state: ProcessState, parent: ProcessState | None) -> None:
        """Enter a process into the scopes it belongs to.

        Args:
            state: The process, new.
            parent: Its parent, if that is known.
        """
        snapshot = state.snapshot
        pidns = snapshot.pidns_key
        if pidns is not None and (snapshot.pidns_level or 0) > 0:
            around = self._by_pidns.get(pidns)
            if around is not None:
                _join(state, _with_outers(around))
            elif snapshot.is_init:
                self._add_pidns(pidns, state, parent)
            else:
                self._wait_for_init(pidns, state)
        for container in self._containers:
            if not container.has_own_pidns and container.is_init(state.key):
                self._lead_shared(container, state)
        if self._shared:
            self.reconsider(state, parent)

    def reconsider(self, state: ProcessState, parent: ProcessState | None) -> None:
        """Enter a process into the shared containers that its cgroup puts it in.

        Args:
            state: New, or with another cgroup than before.
            parent: Its parent, if it is new: who is forked in a container
                belongs to it, whichever cgroup below it that is.
        """
        cgroup_id = state.snapshot.cgroup_id
        for scope in self._shared:
            if scope in state.scopes:
                continue
            by_birth = parent is not None and scope in parent.scopes
            if by_birth and cgroup_id is not None:
                scope.cgroup_ids.add(cgroup_id)
            if by_birth or cgroup_id in scope.cgroup_ids:
                _join(state, (scope,))

    def release(self, state: ProcessState) -> tuple[Scope, ...]:
        """Take a released process out; the scopes it was in."""
        for scope in state.scopes:
            scope.present.pop(state.key, None)
            scope.stopped.pop(state.key, None)
        return state.scopes

    def led_by(self, key: ProcessKey) -> list[Scope]:
        """The scopes whose init a process is."""
        return self._by_init.get(key, [])

    def innermost(self, snapshot: ProcessSnapshot) -> Scope | None:
        """The namespace of a process that is known by its description alone."""
        pidns = snapshot.pidns_key
        return None if pidns is None else self._by_pidns.get(pidns)

    def container_in(self, pidns: PidnsKey) -> Container | None:
        """The container whose processes are in a namespace, or in one around it, or None."""
        nearest = self._by_pidns.get(pidns)
        for outer in _with_outers(nearest) if nearest is not None else ():
            if outer.container is not None:
                return outer.container
        return None

    def known_around(self, pidns: PidnsKey) -> tuple[Scope, ...]:
        """A namespace and those around it, innermost first; none where it is not known."""
        nearest = self._by_pidns.get(pidns)
        return () if nearest is None else _with_outers(nearest)

    def around(self, snapshot: ProcessSnapshot) -> tuple[Scope, ...]:
        """The namespaces a process is in, innermost first, by its description alone."""
        nearest = self.innermost(snapshot)
        return () if nearest is None else _with_outers(nearest)

    def container_of(self, snapshot: ProcessSnapshot) -> Container | None:
        """The container a process belongs to, by its description alone, or None."""
        for scope in self._shared:
            if snapshot.cgroup_id in scope.cgroup_ids:
                return scope.container
        pidns = snapshot.pidns_key
        return None if pidns is None else self.container_in(pidns)

    def container_around(self, state: ProcessState) -> Container | None:
        """The container a process belongs to, or None."""
        for scope in state.scopes:
            # A shared container is nearer than the namespace it shares.
            if scope.is_shared:
                return scope.container
        for scope in state.scopes:
            if scope.container is not None:
                return scope.container
        return None

    def forget(self, scope: Scope) -> None:
        """Drop a scope that is over, and what is known of its container."""
        if self._by_pidns.get(scope.pidns) is scope:
            del self._by_pidns[scope.pidns]
        if self._newest.get(scope.pidns.inum) is scope:
            del self._newest[scope.pidns.inum]
        for scopes in (self._shared, self._unnested):
            if scope in scopes:
                scopes.remove(scope)
        led = [one for one in self._by_init.pop(scope.init, []) if one is not scope]
        if led:
            self._by_init[scope.init] = led
        if scope.container is None:
            return
        if scope.container.id in self._targets:
            self.ended.add(scope.container.id)
        else:
            self._containers = [one for one in self._containers if one != scope.container]

    def keep_containers(self, ids: Iterable[str]) -> None:
        """Name the containers that were asked for: they are reported to the end."""
        self._targets |= frozenset(ids)

    def _wait_for_init(self, pidns: PidnsKey, state: ProcessState) -> None:
        waiting = self._waiting.setdefault(pidns, [])
        waiting.append(state)
        if len(waiting) % _CROWD == 0:
            # Its record may be lost for good.
            waiting[:] = [one for one in waiting if not one.is_released]
        if len(self._waiting) > _MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]

    def _add_pidns(self, pidns: PidnsKey, init: ProcessState, parent: ProcessState | None) -> None:
        snapshot = init.snapshot
        level = snapshot.pidns_level or 0
        scope = Scope(
            pidns=pidns,
            init=init.key,
            is_shared=False,
            level=level,
            outer_inum=snapshot.parent_pidns_inum,
        )
        for container in self._containers:
            if container.has_own_pidns and container.is_init(init.key):
                scope.container = container
        scope.outer = self._outer_of(scope, parent)
        self._by_pidns[pidns] = scope
        self._newest[pidns.inum] = scope
        self._lead(scope, init)
        _join(init, _with_outers(scope))
        for state in self._waiting.pop(pidns, ()):
            _join(state, _with_outers(scope))
        for inner in list(self._unnested):
            if inner.outer_inum == pidns.inum and inner.level == level + 1:
                self._unnested.remove(inner)
                inner.outer = scope
                for key in list(inner.present):
                    member = self._table.get(key)
                    if member is not None:
                        _join(member, _with_outers(scope))
        if scope.outer is None and level > 1:
            self._unnested.append(scope)

    def _outer_of(self, scope: Scope, parent: ProcessState | None) -> Scope | None:
        for outer in parent.scopes if parent is not None else ():
            if not outer.is_shared and outer.level == scope.level - 1:
                return outer
        # Inode numbers are reused: the newest is meant, if it still exists.
        newest = self._newest.get(scope.outer_inum or 0)
        if newest is None or newest.level != scope.level - 1 or newest.init_notified_ns is not None:
            return None
        return newest

    def _lead_shared(self, container: Container, init: ProcessState) -> None:
        if any(scope.init == init.key for scope in self._shared):
            return
        snapshot = init.snapshot
        scope = Scope(
            pidns=snapshot.pidns_key or PidnsKey(container.pidns_inum, 0),
            init=init.key,
            is_shared=True,
            level=snapshot.pidns_level or 0,
            container=container,
        )
        if container.cgroup_id is not None:
            scope.cgroup_ids = {container.cgroup_id, *container.descendant_cgroup_ids}
        self._shared.append(scope)
        self._lead(scope, init)
        _join(init, (scope,))

    def _lead(self, scope: Scope, init: ProcessState) -> None:
        init.led = (*init.led, scope)
        self._by_init.setdefault(init.key, []).append(scope)


def _with_outers(scope: Scope) -> tuple[Scope, ...]:
    chain = [scope]
    while chain[-1].outer is not None:
        chain.append(chain[-1].outer)
    return tuple(chain)


def _join(state: ProcessState, scopes: tuple[Scope, ...]) -> None:
    new = tuple(scope for scope in scopes if scope not in state.scopes)
    state.scopes = (*state.scopes, *new)
    if state.is_released:
        return
    for scope in new:
        if scope.gone_ns is None:
            scope.present[state.key] = None
        elif state.gone_by_ns is None:
            state.gone_by_ns = scope.gone_ns
        for stop in scope.stops:
            # A folded process is reported long after its fork.
            is_of_it = stop.end_ns is None or state.born_ns < stop.end_ns
            if is_of_it and scope.init != state.key:
                stop.members.add(state.key)
