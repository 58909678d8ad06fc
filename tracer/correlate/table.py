"""The process table: every process of the target, by identity."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate.state import ProcessState
from tracer.model.identity import Actor, ProcessKey, ProcessSnapshot


class ProcessTable:
    """Processes by key, and by pid where a pid is all that is known.

    Names of processes outside the target (a shim, a shell on the host) are
    remembered too: they are parents and reapers of processes inside.
    """

    def __init__(self) -> None:
        self._states: dict[ProcessKey, ProcessState] = {}
        self._current_by_ns_pid: dict[tuple[int, int], ProcessKey] = {}
        self._current_by_host_pid: dict[int, ProcessKey] = {}
        self._comms: dict[ProcessKey, str] = {}

    def __iter__(self) -> Iterator[ProcessState]:
        return iter(self._states.values())

    def __len__(self) -> int:
        return len(self._states)

    def get(self, key: ProcessKey | None) -> ProcessState | None:
        """The state of a process, or None."""
        return None if key is None else self._states.get(key)

    def meet(self, snapshot: ProcessSnapshot, boot_ns: int, *, is_seeded: bool = False,
             is_born: bool = False) -> tuple[ProcessState, bool]:
        """The state for a snapshot, made if it is new; and whether it is new.

        A process first met by anything but its fork or the seed was seen late.
        """
        key = snapshot.key
        state = self._states.get(key)
        is_new = state is None
        if state is None:
            state = ProcessState(
                snapshot=snapshot,
                born_ns=boot_ns if is_born else snapshot.start_boot_ns,
                is_seeded=is_seeded,
                is_seen_late=not (is_seeded or is_born),
                original_parent=snapshot.parent_key,
                original_parent_comm=snapshot.parent_comm,
            )
            self._states[key] = state
        elif snapshot.pidns_inum is not None:
            state.snapshot = snapshot
        if is_new or not state.is_released:
            self._index(snapshot)
        return state, is_new

    def _index(self, snapshot: ProcessSnapshot) -> None:
        key = snapshot.key
        self._current_by_host_pid[key.host_pid] = key
        self._comms[key] = snapshot.comm
        if snapshot.pidns_inum is not None and snapshot.ns_pid:
            self._current_by_ns_pid[snapshot.pidns_inum, snapshot.ns_pid] = key
        if snapshot.parent_key is not None and snapshot.parent_comm:
            self._comms[snapshot.parent_key] = snapshot.parent_comm

    def note_actor(self, actor: Actor) -> None:
        """Remember the name of a process that acted."""
        if actor.key is not None:
            self._comms[actor.key] = actor.comm

    def note_name(self, snapshot: ProcessSnapshot) -> None:
        """Remember a process outside the target (a parent that was told of a death)."""
        self._comms[snapshot.key] = snapshot.comm

    def comm_of(self, key: ProcessKey | None) -> str | None:
        """The newest known name of a process, inside the target or not."""
        return None if key is None else self._comms.get(key)

    def is_known(self, key: ProcessKey | None) -> bool:
        """Whether any event named this process: a dangling pointer's is not."""
        return key is not None and key in self._comms

    def by_ns_pid(self, pidns_inum: int | None, ns_pid: int | None) -> ProcessState | None:
        """The unreleased process with a pid inside a namespace, or None."""
        if pidns_inum is None or not ns_pid:
            return None
        return self.get(self._current_by_ns_pid.get((pidns_inum, ns_pid)))

    def by_host_pid(self, host_pid: int | None) -> ProcessState | None:
        """The unreleased process with a pid on the host, or None."""
        return None if host_pid is None else self.get(self._current_by_host_pid.get(host_pid))

    def release(self, state: ProcessState) -> None:
        """Forget the pids of a released process: they may be reused now."""
        snapshot = state.snapshot
        if self._current_by_host_pid.get(snapshot.host_pid) == snapshot.key:
            del self._current_by_host_pid[snapshot.host_pid]
        if snapshot.pidns_inum is not None and snapshot.ns_pid is not None:
            where = (snapshot.pidns_inum, snapshot.ns_pid)
            if self._current_by_ns_pid.get(where) == snapshot.key:
                del self._current_by_ns_pid[where]

    def forget(self, state: ProcessState) -> None:
        """Drop a released process that no report will speak of."""
        self._states.pop(state.key, None)
        self._comms.pop(state.key, None)

    def ancestors(self, state: ProcessState) -> Iterator[ProcessState]:
        """The chain of those who forked it, nearest first, inside the target."""
        seen = {state.key}
        parent = self.get(state.original_parent)
        while parent is not None and parent.key not in seen:
            seen.add(parent.key)
            yield parent
            parent = self.get(parent.original_parent)
