"""What is a zombie right now, and whose fault it is: from /proc, without BPF."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tracer.kernel.procfs import (
    ProcDirectory,
    iter_directories,
    open_process,
    open_thread,
    parse_syscall_number,
    read_cgroups,
    read_cmdline,
    timens_offset_ns,
)
from tracer.model.proc_status import ProcStat, ProcStatus, parse_cgroup
from tracer.model.target import Container
from tracer.model.wait_status import WaitStatus
from tracer.model.zombie_scan import (
    LiveThread,
    ScannedZombie,
    ZombieBlame,
    ZombieParent,
    ZombieScan,
)

_WAITS = frozenset({"wait4", "waitid", "waitpid"})


def scan_zombies(containers: Sequence[Container] = (), *, settle_s: float = 0.2) -> ZombieScan:
    """Find every zombie that stays one for a while.

    A parent that does its work leaves a zombie too, for some microseconds. So
    /proc is read twice, and only what is the same zombie both times is told.

    Args:
        containers: Those a zombie may be said to belong to.
        settle_s: The time between the two looks, s; 0 for a single look.
    """
    first: set[tuple[int, int]] = set()
    if settle_s > 0:
        first = {(stat.pid, stat.start_ticks) for stat in _zombie_stats()}
    # Taken after the look, so that the time since is a lower bound.
    first_ns = _boot_ns()
    if settle_s > 0:
        # Not a wait for some state: the passing of time is what is asked about.
        time.sleep(settle_s if first else 0)
    seen = _Surroundings(containers)
    zombies = []
    processes = 0
    for _, directory in iter_directories():
        processes += 1
        stat = _read_zombie_stat(directory)
        if stat is None or (settle_s > 0 and (stat.pid, stat.start_ticks) not in first):
            continue
        now_ns = _boot_ns()
        zombie = _describe(directory, seen, now_ns, now_ns - first_ns if first else 0)
        if zombie is not None:
            zombies.append(zombie)
    return ZombieScan(boot_ns=_boot_ns(), processes=processes, zombies=tuple(zombies))


@dataclass(slots=True)
class _Surroundings:
    """What zombies have in common, read once: thousands may share a parent."""

    containers: Sequence[Container]
    parents: dict[int, ZombieParent | None] = field(default_factory=dict)
    comms: dict[int, str | None] = field(default_factory=dict)
    owners: dict[tuple[int | None, str | None], Container | None] = field(default_factory=dict)
    container_cgroups: list[tuple[str, Container]] | None = None

    def parent(self, host_pid: int | None) -> ZombieParent | None:
        if host_pid is None:
            return None
        if host_pid not in self.parents:
            self.parents[host_pid] = read_zombie_parent(host_pid)
        return self.parents[host_pid]

    def comm(self, host_pid: int) -> str | None:
        if host_pid not in self.comms:
            directory = open_process(host_pid)
            if directory is None:
                return None
            with directory:
                status = directory.status()
            self.comms[host_pid] = status.comm if status else None
        return self.comms[host_pid]

    def owner(self, pidns_inum: int | None, cgroup_path: str | None) -> Container | None:
        key = (pidns_inum, cgroup_path)
        if key not in self.owners:
            self.owners[key] = self._find_owner(pidns_inum, cgroup_path)
        return self.owners[key]

    def _find_owner(self, pidns_inum: int | None, cgroup_path: str | None) -> Container | None:
        if self.container_cgroups is None:
            self.container_cgroups = _read_container_cgroups(self.containers)
        for path, container in self.container_cgroups:
            if cgroup_path is not None and f"{cgroup_path}/".startswith(f"{path}/"):
                return container
        # Whoever was put in from outside has another cgroup; a guest in another
        # container's namespace was found above.
        for container in self.containers:
            if container.has_own_pidns and container.pidns_inum == pidns_inum:
                return container
        return None


def _describe(
    directory: ProcDirectory, seen: _Surroundings, now_ns: int, at_least_ns: int
) -> ScannedZombie | None:
    status = directory.status()
    if status is None or not status.is_zombie:
        return None
    pidns_inum = directory.pidns_inum()
    raw_cgroup = directory.read("cgroup")
    cgroup_path = parse_cgroup(raw_cgroup).get("") if raw_cgroup is not None else None
    owner = seen.owner(pidns_inum, cgroup_path)
    parent = seen.parent(status.parent_host_pid)
    live_threads = read_live_threads(directory, status)
    tracer = status.tracer_host_pid
    # Where we may not see the namespace the kernel shows us 0 for the status.
    is_over = not live_threads and pidns_inum is not None
    return ScannedZombie(
        host_pid=status.host_pid,
        ns_pid=status.ns_pid,
        comm=status.comm,
        start_boot_ns=status.start_boot_ns,
        process_age_ns=max(0, now_ns - status.start_boot_ns),
        zombie_at_least_ns=at_least_ns,
        status=WaitStatus.from_raw(status.raw_wait_status) if is_over else None,
        pidns_inum=pidns_inum,
        cgroup_path=cgroup_path,
        container_id=owner.id if owner else None,
        container_name=owner.label if owner else None,
        parent=parent,
        tracer_host_pid=tracer,
        tracer_comm=seen.comm(tracer) if tracer is not None else None,
        live_threads=live_threads,
        blame=_blame(status, pidns_inum, parent, live_threads),
    )


def _blame(
    status: ProcStatus,
    pidns_inum: int | None,
    parent: ZombieParent | None,
    live_threads: tuple[LiveThread, ...],
) -> ZombieBlame:
    if live_threads:
        return ZombieBlame.LEADER
    if status.tracer_host_pid is not None and status.tracer_host_pid != status.parent_host_pid:
        return ZombieBlame.TRACER
    if parent is None:
        return ZombieBlame.UNKNOWN
    is_outside = None not in (pidns_inum, parent.pidns_inum) and parent.pidns_inum != pidns_inum
    # A namespace's own init has its parent outside by nature.
    if is_outside and not status.is_ns_init:
        return ZombieBlame.INJECTED
    return ZombieBlame.INIT if parent.is_ns_init and not is_outside else ZombieBlame.PARENT


def read_zombie_parent(host_pid: int) -> ZombieParent | None:
    """Read what somebody who has to reap does right now; None when it is gone."""
    directory = open_process(host_pid)
    if directory is None:
        return None
    with directory:
        status = directory.status()
        if status is None:
            return None
        blocked = directory.blocked_in()
        return ZombieParent(
            host_pid=host_pid,
            ns_pid=status.ns_pid,
            comm=status.comm,
            start_boot_ns=status.start_boot_ns,
            cmdline=read_cmdline(host_pid) or (),
            pidns_inum=directory.pidns_inum(),
            is_ns_init=status.is_ns_init,
            state=status.state,
            sigchld=status.sigchld,
            threads=status.threads,
            is_waiting=_is_waiting(host_pid, directory),
            syscall=blocked.syscall,
            wchan=blocked.wchan,
        )


def _is_waiting(host_pid: int, directory: ProcDirectory) -> bool | None:
    may_look = False
    for tid in directory.tids():
        thread = open_thread(host_pid, tid)
        if thread is None:
            continue
        with thread:
            raw = thread.read("syscall")
            if raw is None:
                continue
            may_look = True
            if parse_syscall_number(raw) is not None and thread.blocked_in().syscall in _WAITS:
                return True
    return False if may_look else None


def read_live_threads(directory: ProcDirectory, status: ProcStatus) -> tuple[LiveThread, ...]:
    """Read the threads that live on after their leader, and where each is blocked."""
    if status.threads < 2:
        return ()
    threads = []
    for tid in directory.tids():
        thread = open_thread(status.host_pid, tid) if tid != status.host_pid else None
        if thread is None:
            continue
        with thread:
            raw = thread.read("stat")
            stat = ProcStat.parse(raw) if raw else None
            if stat is None or stat.state in "ZX":
                continue
            blocked = thread.blocked_in()
        threads.append(
            LiveThread(
                host_tid=tid,
                comm=stat.comm,
                state=stat.state,
                syscall=blocked.syscall,
                wchan=blocked.wchan,
            )
        )
    return tuple(threads)


def _read_container_cgroups(containers: Sequence[Container]) -> list[tuple[str, Container]]:
    found = []
    for container in containers:
        path = (read_cgroups(container.init_host_pid) or {}).get("")
        # The root cgroup holds everybody: it tells nobody apart.
        if path and path != "/":
            found.append((path, container))
    return sorted(found, key=lambda pair: -len(pair[0]))


def _zombie_stats() -> list[ProcStat]:
    stats = (_read_zombie_stat(directory) for _, directory in iter_directories())
    return [stat for stat in stats if stat is not None]


def _read_zombie_stat(directory: ProcDirectory) -> ProcStat | None:
    raw = directory.read("stat")
    stat = ProcStat.parse(raw) if raw else None
    return stat if stat is not None and stat.state == "Z" else None


def _boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - timens_offset_ns()
