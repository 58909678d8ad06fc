"""The process table: every process of the target, by identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from tracer.correlate.process import ProcessState
from tracer.correlate.sharing import share
from tracer.model.identity import Actor, ProcessKey, ProcessSnapshot

_MOST_OUTSIDERS = 16_384
_MOST_FORGOTTEN = 16_384


class ProcessTable:
    """Processes by key, and by pid where a pid is all that is known.

    Names of processes outside the target (a shim, a shell on the host) are
    remembered too, the latest of them: they are parents and reapers of
    processes inside.

    Attributes:
        gone: Processes whose pid was seen to be another's: they are gone, though no
            record of that came. Taking them empties the list.
    """

    def __init__(self) -> None:
        self._states: dict[ProcessKey, ProcessState] = {}
        self._current_by_ns_pid: dict[tuple[int, int], ProcessKey] = {}
        self._current_by_host_pid: dict[int, ProcessKey] = {}
        self._outsiders: dict[ProcessKey, str] = {}
        self._forgotten: dict[ProcessKey, None] = {}
        self._reaped_by: dict[ProcessKey, int] = {}
        self._children_of_unmet: dict[ProcessKey, int] = {}
        self._zombies_of: dict[ProcessKey, dict[ProcessKey, ProcessState]] = {}
        self._latest_zombie: ProcessState | None = None
        self.gone: list[ProcessState] = []

    def __iter__(self) -> Iterator[ProcessState]:
        """In order of birth, whatever the order of their records: reports rest on it."""
        return iter(
            sorted(self._states.values(), key=lambda one: (one.key.start_boot_ns, one.key.host_pid))
        )

    def __len__(self) -> int:
        return len(self._states)

    def each(self) -> Iterable[ProcessState]:
        """In no particular order."""
        return self._states.values()

    def get(self, key: ProcessKey | None) -> ProcessState | None:
        """The state of a process, or None."""
        return None if key is None else self._states.get(key)

    def host_pids(self) -> Iterable[int]:
        """The pids of processes not known to be released."""
        return self._current_by_host_pid.keys()

    def add(self, state: ProcessState) -> None:
        """Enter a process seen for the first time."""
        key = state.key
        self._enter(state)
        other = self.get(self._current_by_host_pid.get(key.host_pid))
        if other is not None:
            # The kernel gives a pid away only once its last owner is released.
            if other.key.start_boot_ns > key.start_boot_ns:
                state.gone_by_ns = other.key.start_boot_ns
                self.gone.append(state)
                return
            other.gone_by_ns = key.start_boot_ns
            self.gone.append(other)
        self.update(state, state.snapshot)

    def add_released(self, state: ProcessState) -> None:
        """Enter a process first seen when it was gone and its pid free."""
        self._enter(state)

    def _enter(self, state: ProcessState) -> None:
        key = state.key
        self._states[key] = state
        # A folded process is first seen after its children.
        state.children_reaped = self._reaped_by.pop(key, 0)
        state.children_kept = self._children_of_unmet.pop(key, 0)
        self._count_child(state, 1)

    def _count_child(self, child: ProcessState, number: int) -> None:
        """Count a child that is kept, or no longer kept; its parent may be unknown yet."""
        key = child.original_parent
        parent = self.get(key)
        if parent is not None:
            parent.children_kept += number
        elif key is not None:
            children = self._children_of_unmet.get(key, 0) + number
            if children > 0:
                self._children_of_unmet[key] = children
            else:
                self._children_of_unmet.pop(key, None)

    def update(self, state: ProcessState, snapshot: ProcessSnapshot) -> None:
        """Take a newer description of a process that is not released."""
        key = state.key
        state.snapshot = snapshot
        state.newest_comm = None
        self._current_by_host_pid[key.host_pid] = key
        if snapshot.pidns_inum is not None and snapshot.ns_pid:
            self._current_by_ns_pid[snapshot.pidns_inum, snapshot.ns_pid] = key
        parent = snapshot.parent_key
        if parent is not None and snapshot.parent_comm:
            self.note_name(parent, snapshot.parent_comm)

    def note_actor(self, actor: Actor) -> None:
        """Remember the name of a process that acted."""
        if actor.key is not None:
            self.note_name(actor.key, actor.comm)

    def note_name(self, key: ProcessKey, comm: str) -> None:
        """Remember a process's name, its newest; inside the target or not."""
        state = self._states.get(key)
        if state is not None:
            state.newest_comm = comm
        elif self._outsiders.get(key) != comm:
            self._note_outsider(key, comm)

    def note_reaped(self, key: ProcessKey, number: int = 1) -> None:
        """Count children that a process reaped; it may be unknown yet."""
        state = self._states.get(key)
        if state is not None:
            state.children_reaped += number
            return
        if len(self._reaped_by) >= _MOST_OUTSIDERS:
            for oldest in list(islice(self._reaped_by, _MOST_OUTSIDERS // 2)):
                del self._reaped_by[oldest]
        self._reaped_by[key] = self._reaped_by.get(key, 0) + number

    @property
    def unmet_parents(self) -> Iterable[ProcessKey]:
        """Those not met whose children are kept."""
        return self._children_of_unmet.keys()

    def _note_outsider(self, key: ProcessKey, comm: str) -> None:
        if len(self._outsiders) >= _MOST_OUTSIDERS:
            for oldest in list(islice(self._outsiders, _MOST_OUTSIDERS // 2)):
                del self._outsiders[oldest]
        self._outsiders[key] = comm

    def comm_of(self, key: ProcessKey | None) -> str | None:
        """The newest known name of a process, inside the target or not."""
        if key is None:
            return None
        state = self._states.get(key)
        return state.comm if state is not None else self._outsiders.get(key)

    def is_known(self, key: ProcessKey | None) -> bool:
        """Whether any event named this process: a dangling pointer's is not."""
        return key is not None and (key in self._states or key in self._outsiders)

    def by_ns_pid(self, pidns_inum: int | None, ns_pid: int | None) -> ProcessState | None:
        """The unreleased process with a pid inside a namespace, or None."""
        if pidns_inum is None or not ns_pid:
            return None
        return self.get(self._current_by_ns_pid.get((pidns_inum, ns_pid)))

    def by_host_pid(self, host_pid: int | None) -> ProcessState | None:
        """The unreleased process with a pid on the host, or None."""
        return None if host_pid is None else self.get(self._current_by_host_pid.get(host_pid))

    def pass_to(self, state: ProcessState, holder: ProcessKey, former: ProcessKey | None) -> None:
        """Note which process has to reap a zombie now, and which one had to."""
        self._drop_zombie(state, former)
        share(state, self._latest_zombie)
        self._latest_zombie = state
        self._zombies_of.setdefault(holder, {})[state.key] = state

    def zombies_of(self, holder: ProcessKey | None) -> list[ProcessState]:
        """The zombies that a process has to reap."""
        return list(self._zombies_of.get(holder, {}).values()) if holder is not None else []

    def release(self, state: ProcessState) -> None:
        """Forget the pids of a released process: they may be reused now."""
        snapshot = state.snapshot
        if self._current_by_host_pid.get(snapshot.host_pid) == snapshot.key:
            del self._current_by_host_pid[snapshot.host_pid]
        if snapshot.pidns_inum is not None and snapshot.ns_pid is not None:
            where = (snapshot.pidns_inum, snapshot.ns_pid)
            if self._current_by_ns_pid.get(where) == snapshot.key:
                del self._current_by_ns_pid[where]
        if state.zombie is not None:
            self._drop_zombie(state, state.zombie.holder or state.original_parent)

    def _drop_zombie(self, state: ProcessState, holder: ProcessKey | None) -> None:
        zombies = self._zombies_of.get(holder) if holder is not None else None
        if holder is not None and zombies is not None:
            zombies.pop(state.key, None)
            if not zombies:
                del self._zombies_of[holder]

    def forget(self, state: ProcessState) -> None:
        """Drop a released process that no report will speak of."""
        if self._states.pop(state.key, None) is None:
            return
        if not state.is_released:
            self.release(state)
        self.note_forgotten(state.key, state.comm)
        self._count_child(state, -1)

    def note_forgotten(self, key: ProcessKey, comm: str) -> None:
        """Remember of a process that is over, and not kept, that it was there."""
        if len(self._forgotten) >= _MOST_FORGOTTEN:
            del self._forgotten[next(iter(self._forgotten))]
        self._forgotten[key] = None
        # Its children may still name it.
        self._note_outsider(key, comm)

    def is_forgotten(self, key: ProcessKey) -> bool:
        """Whether a process was dropped, lately: what still comes of it says nothing new."""
        return key in self._forgotten

    def ancestors(self, state: ProcessState) -> Iterator[ProcessState]:
        """The chain of those who had to reap it at birth, nearest first."""
        seen = {state.key}
        parent = self.get(state.original_parent)
        while parent is not None and parent.key not in seen:
            seen.add(parent.key)
            yield parent
            parent = self.get(parent.original_parent)
