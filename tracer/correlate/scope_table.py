"""Every scope met so far, the nesting of their namespaces, and membership."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState
from tracer.model.identity import PidnsKey, ProcessKey, ProcessSnapshot
from tracer.model.target import Container

_TICK_NS = 10_000_000


class ScopeTable:
    """Who belongs where. Asked once for each process, not for each event."""

    def __init__(self) -> None:
        self._by_pidns: dict[PidnsKey, Scope] = {}
        self._shared: list[Scope] = []
        self._containers: list[Container] = []
        # Members whose namespace's init has not been met yet.
        self._waiting: dict[PidnsKey, list[ProcessState]] = {}
        self._newest: dict[int, Scope] = {}
        self._unnested: list[Scope] = []
        self._by_init: dict[ProcessKey, list[Scope]] = {}

    def __iter__(self) -> Iterator[Scope]:
        yield from self._by_pidns.values()
        yield from self._shared

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
            container: The container; its scope gets it when its init is met.
            known: Every process met so far: its init may be one of them.
        """
        self._containers = [
            other
            for other in self._containers
            if (other.id, other.init_host_pid) != (container.id, container.init_host_pid)
        ]
        self._containers.append(container)
        for scope in self:
            if _is_init_of(container, scope.init.host_pid, scope.init.start_boot_ns):
                scope.container = container
                scope.cgroup_ids |= container.descendant_cgroup_ids
        if not container.has_own_pidns:
            for state in list(known):
                if _is_init_of(container, *state.key):
                    self._lead_shared(container, state)
            for state in list(known):
                self.reconsider(state, None)

    def meet(self, state: ProcessState, parent: ProcessState | None) -> None:
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
                self._waiting.setdefault(pidns, []).append(state)
        for container in self._containers:
            if not container.has_own_pidns and _is_init_of(container, *state.key):
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

    def container_of(self, snapshot: ProcessSnapshot) -> Container | None:
        """The container a process belongs to, by its description alone, or None."""
        for scope in self._shared:
            if snapshot.cgroup_id in scope.cgroup_ids:
                return scope.container
        nearest = self.innermost(snapshot)
        for outer in _with_outers(nearest) if nearest is not None else ():
            if outer.container is not None:
                return outer.container
        return None

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
            if container.has_own_pidns and _is_init_of(container, *init.key):
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
                for state in list(inner.present.values()):
                    _join(state, _with_outers(scope))
        if scope.outer is None and level > 1:
            self._unnested.append(scope)

    def _outer_of(self, scope: Scope, parent: ProcessState | None) -> Scope | None:
        for outer in parent.scopes if parent is not None else ():
            if not outer.is_shared and outer.level == scope.level - 1:
                return outer
        # Inode numbers are reused: the newest is meant, if it still lives.
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
        scope.present[state.key] = state
        stop = scope.open_stop
        if stop is not None and scope.init != state.key:
            stop.members.add(state.key)


def _is_init_of(container: Container, host_pid: int, start_boot_ns: int) -> bool:
    # /proc gives a container's start in ticks, the kernel in ns: the same
    # process if the tick agrees.
    if container.init_host_pid != host_pid:
        return False
    start = container.init_start_boot_ns
    return start is None or abs(start - start_boot_ns) <= _TICK_NS
