"""The processes of this host, kept from the process connector's events and /proc.

An event of the connector contains only numbers. What else a trace needs, a
process's start, its namespace, its cgroup and its name, is read in /proc when the
process appears, or is its parent's where it is gone by then.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from tracer.kernel import rights
from tracer.kernel.known import CgroupIds, Fields, Known, unescape_comm
from tracer.kernel.netlink import (
    ConnectorComm,
    ConnectorEvent,
    ConnectorExec,
    ConnectorExit,
    ConnectorFork,
)
from tracer.model.rights import SEE_PROCESSES
from tracer.model.signals import SIGCHLD
from tracer.model.target import KernelFilter
from tracer.procfs import process as procfs
from tracer.procfs.cgroup import V2
from tracer.procfs.status import ProcStatus
from tracer.procfs.time_share import for_cgroup_paths
from tracer.wire.header import CONSTANTS

HOST_PIDNS_INUM = 0xEFFFFFFC
UNKNOWN_COMM = b"?"
"""Of who ran another program and was gone before its name was read."""

_SAME_START_NS = 30_000_000
"""/proc counts in ticks of 10 ms, and an event of a birth comes a little after it."""
_EXIT_ZOMBIE = 0x20
_UNKNOWN = CONSTANTS["ZT_ACTION_UNKNOWN"]
_GROUP_DEAD = CONSTANTS["ZT_F_GROUP_DEAD"]
_INIT = CONSTANTS["ZT_F_INIT"]
_KIND = {
    name: CONSTANTS[f"ZT_KIND_{name.upper()}"]
    for name in ("process", "fork", "exec", "exit", "free")
}


class Census:
    """Who is there, and which of them are wanted.

    Args:
        cgroup_v1: Tell containers apart by cgroup v1's pids controller.
    """

    def __init__(self, *, cgroup_v1: bool = False) -> None:
        self._filter = KernelFilter()
        self._known: dict[int, Known] = {}
        self._dead: dict[int, Known] = {}
        self._member_inums: set[int] = set()
        self._inits: dict[int, int] = {}
        self._cgroups = CgroupIds("pids" if cgroup_v1 else V2)
        self._cgroup_share = for_cgroup_paths()
        # A status that is kept from us reads as 0.
        self._sees_statuses = rights.missing(SEE_PROCESSES) is None

    def set_filter(self, kernel_filter: KernelFilter) -> None:
        """Say who is wanted."""
        self._filter = kernel_filter
        self._member_inums = set(kernel_filter.pidns_inums)
        for known in self._known.values():
            self._note_nesting(known)

    @property
    def has_dead(self) -> bool:
        """Whether a traced process is dead and not known to be released."""
        return bool(self._dead)

    def seed(self, boot_ns: int) -> list[Fields]:
        """List who is there, as PROCESS records of those that are wanted.

        Source:
            /proc: stat, status, cgroup, ns/pid and task of each process.
        """
        there = set()
        for pid, directory in procfs.iter_directories():
            status = directory.status()
            if status is None:
                continue
            there.add(pid)
            self._look_at(status, directory, boot_ns)
        for pid in self._known.keys() - there:
            self._forget(pid)
        # The parent of a nested namespace's init may have the greater number.
        for _ in range(2):
            for known in self._known.values():
                self._note_nesting(known)
        return [self._process(known, boot_ns) for known in self._known.values()
                if self._is_wanted(known)]  # fmt: skip

    def take(self, event: ConnectorEvent, boot_ns: int) -> Iterator[Fields]:
        """Take an event; yield its records, none where no traced process is concerned."""
        match event:
            case ConnectorFork():
                yield from self._fork(event, boot_ns)
            case ConnectorExec():
                yield from self._exec(event, boot_ns)
            case ConnectorExit():
                yield from self._exit(event, boot_ns)
            case ConnectorComm() if event.host_pid == event.host_tid:
                known = self._known.get(event.host_pid)
                if known is not None:
                    known.comm = event.comm

    def find_released(self, boot_ns: int) -> list[Fields]:
        """Look which of the dead are gone, as FREE records.

        Source:
            /proc/PID/status: State, and that it is there.
        """
        released = []
        for pid, known in list(self._dead.items()):
            if _is_dead_there(pid):
                known.seen_ns = boot_ns
                continue
            released.append(self._free(known, boot_ns))
            self._forget(pid)
        return released

    def _fork(self, event: ConnectorFork, boot_ns: int) -> Iterator[Fields]:
        pid = event.child_host_pid
        known = self._known.get(pid)
        if pid != event.child_host_tid:
            if known is not None and known.dead_fields is None:
                known.tids.add(event.child_host_tid)
            return
        if known is not None and abs(known.start_boot_ns - boot_ns) > _SAME_START_NS:
            # Its number belongs to another process now: it has been released.
            if known.dead_fields is not None and self._is_wanted(known):
                yield self._free(known, boot_ns - 1)
            self._forget(pid)
            known = None
        parent = self._known.get(event.parent_host_pid)
        if known is None:
            known = self._known[pid] = self._newborn(event, parent, boot_ns)
        if self._is_wanted(known):
            fields = self._fields("fork", known, boot_ns)
            fields["exit_signal"] = SIGCHLD
            fields["live_threads"] = 1
            if parent is not None:
                # clone(2) with CLONE_PARENT apart, it is who called fork.
                fields["cur_host_pid"] = parent.host_pid
                fields["cur_start_boot_ns"] = parent.start_boot_ns
                fields["cur_host_tid"] = event.parent_host_tid
                fields["cur_comm"] = parent.comm
                if parent.pidns_inum == known.pidns_inum:
                    fields["cur_ns_pid"] = parent.ns_pid
            yield fields

    def _newborn(self, event: ConnectorFork, parent: Known | None, boot_ns: int) -> Known:
        known = Known(
            host_pid=event.child_host_pid,
            start_boot_ns=boot_ns,
            comm=parent.comm if parent is not None else UNKNOWN_COMM,
            parent_pid=event.parent_host_pid,
            ns_pid=0,
            pidns_inum=parent.pidns_inum if parent is not None else 0,
            pidns_level=parent.pidns_level if parent is not None else 0,
            cgroups=parent.cgroups if parent is not None else (),
            tids={event.child_host_tid},
            seen_ns=boot_ns,
        )
        directory = procfs.open_process(known.host_pid)
        if directory is not None:
            with directory:
                self._describe(known, directory)
        self._note_init(known)
        self._note_nesting(known)
        return known

    def _describe(self, known: Known, directory: procfs.ProcDirectory) -> None:
        """Take over what /proc says in files that no process can hold up, and its namespace."""
        raw = directory.read("status")
        if raw is not None:
            fields = dict(line.partition(b":")[::2] for line in raw.split(b"\n"))
            # Such characters as could end the line are escaped there.
            known.comm = unescape_comm(fields[b"Name"].strip(b"\t"))
            self._place(known, tuple(map(int, fields.get(b"NSpid", b"").split())), directory)
        self._read_cgroups(known, directory)

    def _read_cgroups(self, known: Known, directory: procfs.ProcDirectory) -> None:
        """Read where it is; what is in cgroups too deep to be read in time stays where it was."""
        if self._cgroup_share.is_spent:
            return
        with self._cgroup_share.reading():
            raw = directory.read("cgroup")
            if raw is not None:
                known.cgroups = self._cgroups.of(raw)

    def _place(
        self, known: Known, ns_pids: tuple[int, ...], directory: procfs.ProcDirectory
    ) -> None:
        if not ns_pids or known.ns_pid:
            # A process never changes its own namespace.
            return
        level = len(ns_pids) - 1
        inum: int | None = known.pidns_inum
        if level == 0:
            inum = HOST_PIDNS_INUM
        elif not inum or level != known.pidns_level:
            # Else it is its parent's: a child is of that namespace or of one below it.
            inum = directory.pidns_inum()
        if inum is not None:
            known.ns_pid, known.pidns_level, known.pidns_inum = ns_pids[-1], level, inum

    def _exec(self, event: ConnectorExec, boot_ns: int) -> Iterator[Fields]:
        known = self._known.get(event.host_pid)
        directory = procfs.open_process(event.host_pid)
        if directory is not None:
            with directory:
                if known is None:
                    status = directory.status()
                    known = self._look_at(status, directory, boot_ns) if status else None
                else:
                    self._describe(known, directory)
        elif known is not None:
            known.comm = UNKNOWN_COMM
        if known is None:
            return
        # Who calls exec ends the other threads and takes the leader's number.
        known.tids = {event.host_pid}
        known.leader_status = None
        if self._is_wanted(known):
            fields = self._fields("exec", known, boot_ns)
            fields["live_threads"] = 1
            yield fields

    def _exit(self, event: ConnectorExit, boot_ns: int) -> Iterator[Fields]:
        known = self._known.get(event.host_pid)
        if known is None or boot_ns < known.start_boot_ns:
            # Not a process of the target, or one that had this pid before.
            return
        known.tids.discard(event.host_tid)
        is_leader = event.host_tid == event.host_pid
        if is_leader:
            known.leader_status = event.status.raw
            known.exit_signo = event.exit_signo or 0
            known.parent_pid = event.parent_host_pid or known.parent_pid
        elif known.tids:
            return
        known.seen_ns = boot_ns
        is_over = not known.tids
        if not self._is_wanted(known):
            if is_over:
                self._forget(event.host_pid)
            return
        fields = self._fields("exit", known, boot_ns)
        fields["host_tid"] = event.host_tid
        fields["exit_code"] = _status_of(event, known.leader_status)
        fields["exit_signal"] = known.exit_signo
        fields["live_threads"] = len(known.tids)
        if is_over:
            fields["flags"] |= _GROUP_DEAD
            known.dead_fields = fields
            self._dead[event.host_pid] = known
        yield fields

    def _look_at(self, status: ProcStatus, directory: procfs.ProcDirectory, boot_ns: int) -> Known:
        pid = status.host_pid
        known = self._known.get(pid)
        if known is not None and abs(known.start_boot_ns - status.start_boot_ns) > _SAME_START_NS:
            self._forget(pid)
            known = None
        if known is None:
            known = self._known[pid] = Known(
                host_pid=pid,
                start_boot_ns=status.start_boot_ns,
                comm=b"",
                parent_pid=0,
                ns_pid=0,
                pidns_inum=0,
                pidns_level=0,
                cgroups=(),
            )
        known.comm = status.comm.encode("utf-8", "replace")
        known.parent_pid = status.parent_host_pid or 0
        known.tracer_pid = status.tracer_host_pid or 0
        known.seen_ns = boot_ns
        self._read_cgroups(known, directory)
        if not known.pidns_inum:
            self._place(known, status.ns_pids, directory)
        if known.dead_fields is None:
            # A zombie's main thread is listed, and has ended.
            tids = set(directory.tids()) if status.threads > 1 else {pid}
            known.tids = tids - {pid} if status.is_zombie else tids
        if status.is_zombie and not known.tids and known.dead_fields is None:
            known.dead_fields = {"exit_code": status.raw_wait_status}
            if not self._sees_statuses:
                known.dead_fields["error"] = -errno.EACCES
            if self._is_wanted(known):
                self._dead[pid] = known
        self._note_init(known)
        self._note_nesting(known)
        return known

    def _process(self, known: Known, boot_ns: int) -> Fields:
        fields = self._fields("process", known, boot_ns)
        fields["live_threads"] = len(known.tids)
        fields["tracer_host_pid"] = known.tracer_pid
        if known.host_pid not in known.tids:
            fields["exit_state"] = _EXIT_ZOMBIE
        if known.dead_fields is not None:
            self._dead[known.host_pid] = known
            fields["flags"] |= _GROUP_DEAD
            for name in ("exit_code", "error"):
                fields[name] = known.dead_fields.get(name, 0)
        return fields

    def _free(self, known: Known, boot_ns: int) -> Fields:
        fields = self._fields("free", known, boot_ns)
        for name in ("exit_code", "exit_signal", "error"):
            fields[name] = (known.dead_fields or {}).get(name, 0)
        fields["flags"] |= _GROUP_DEAD
        # As in the sweep of the BPF source: no hook saw this.
        fields["cur_start_boot_ns"] = min(known.seen_ns, boot_ns)
        return fields

    def _fields(self, kind: str, known: Known, boot_ns: int) -> Fields:
        parent = self._known.get(known.parent_pid)
        return {
            "kind": _KIND[kind],
            "boot_ns": boot_ns,
            "flags": _INIT if known.ns_pid == 1 else 0,
            "host_pid": known.host_pid,
            "host_tid": known.host_pid,
            "start_boot_ns": known.start_boot_ns,
            "comm": known.comm,
            "ns_pid": known.ns_pid,
            "pidns_inum": known.pidns_inum,
            "pidns_level": known.pidns_level,
            "init_start_boot_ns": self._inits.get(known.pidns_inum, 0),
            "cgroup_id": known.cgroups[0] if known.cgroups else 0,
            "parent_host_pid": parent.host_pid if parent is not None else 0,
            "parent_start_boot_ns": parent.start_boot_ns if parent is not None else 0,
            "parent_comm": parent.comm if parent is not None else b"",
            "parent_pidns_inum": parent.pidns_inum if parent is not None else 0,
            "parent_sigchld": _UNKNOWN,
            "own_sigchld": _UNKNOWN,
            "sys_nr": -1,
        }

    def _is_wanted(self, known: Known) -> bool:
        wanted = self._filter
        return (
            wanted.everything
            or known.pidns_inum in self._member_inums
            or not wanted.cgroup_ids.isdisjoint(known.cgroups)
        )

    def _note_init(self, known: Known) -> None:
        inum = known.pidns_inum
        if known.ns_pid != 1 or not inum or self._inits.get(inum) == known.start_boot_ns:
            return
        self._inits[inum] = known.start_boot_ns
        if inum not in self._filter.pidns_inums:
            # The number may have been another namespace's.
            self._member_inums.discard(inum)

    def _note_nesting(self, known: Known) -> None:
        """A namespace whose processes have parents in one that is wanted is below that."""
        parent = self._known.get(known.parent_pid)
        if known.pidns_level and parent is not None and parent.pidns_inum in self._member_inums:
            self._member_inums.add(known.pidns_inum)

    def _forget(self, pid: int) -> None:
        known = self._known.pop(pid, None)
        self._dead.pop(pid, None)
        if known is not None and known.ns_pid == 1 and (
            self._inits.get(known.pidns_inum) == known.start_boot_ns
        ):  # fmt: skip
            del self._inits[known.pidns_inum]


def _status_of(event: ConnectorExit, leader_status: int | None) -> int:
    """A process's status, from its last thread's and its main thread's.

    Where the main thread ended first it left by itself, mostly with 0; an exit of the
    whole, or a signal, gives the last thread its status.
    """
    return event.status.raw or leader_status or 0


def _is_dead_there(pid: int) -> bool:
    directory = procfs.open_process(pid)
    if directory is None:
        return False
    with directory:
        raw = directory.read("status")
    return raw is not None and b"\nState:\tZ" in raw
