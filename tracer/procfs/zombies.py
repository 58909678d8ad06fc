"""What is a zombie right now, and whose fault it is: from /proc, without BPF."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from tracer.model.target import Container
from tracer.model.wait_status import WaitStatus
from tracer.model.zombie_scan import (
    LiveThread,
    ScannedZombie,
    ZombieBlame,
    ZombieParent,
    ZombieScan,
)
from tracer.procfs.clock import boot_now_ns
from tracer.procfs.process import (
    ProcDirectory,
    iter_directories,
    list_pids,
    open_process,
    open_thread,
    parse_syscall_number,
    read_cgroups,
    read_cmdline,
    read_status_now,
    timens_offset_ns,
)
from tracer.procfs.status import NS_PER_TICK, ProcStat, ProcStatus, parse_cgroup

ShowWords = Callable[[tuple[str, ...]], tuple[str, ...] | None]

_WAITS = frozenset({"wait4", "waitid", "waitpid"})

_MOST_THREADS = 32
"""Of one process: each costs several reads, and it may have any number."""
_MOST_LOOKS = 1024
"""Dead threads that their tracer has not waited for are skipped."""


def scan_zombies(
    containers: Sequence[Container] = (),
    *,
    settle_s: float = 0.2,
    show_words: ShowWords = lambda words: words,
) -> ZombieScan:
    """Find every zombie that stays one for a while.

    A parent that reaps its children leaves zombies too, for some microseconds. So
    /proc is read twice, and only what is the same zombie both times is reported.

    Args:
        containers: Those a zombie may be said to belong to.
        settle_s: The time between the two looks, s; 0 for a single look.
        show_words: Makes what is kept of a parent's command line.
    """
    first = _first_look() if settle_s > 0 else {}
    # Taken after the look, so that the time since is a lower bound.
    first_ns = boot_now_ns()
    if first:
        # Not a wait for some state: the passing of time is what is asked about.
        time.sleep(settle_s)
    seen = _Surroundings(containers, show_words)
    zombies: list[ScannedZombie] = []
    young: list[ScannedZombie] = []
    processes = 0
    for pid, directory in iter_directories():
        processes += 1
        if settle_s > 0 and pid not in first:
            continue
        status = _read_zombie(directory)
        if status is None:
            continue
        looked_ns, now_ns = first.get(pid, 0), boot_now_ns()
        if settle_s > 0 and status.start_boot_ns >= looked_ns:
            # Another one, which has been given the pid meanwhile.
            continue
        at_least_ns = now_ns - first_ns if settle_s > 0 else 0
        zombie = _describe(directory, status, seen, now_ns, at_least_ns)
        # /proc tells a start to the tick: what started in the tick of the first look may
        # be another one still.
        is_young = settle_s > 0 and status.start_boot_ns + NS_PER_TICK > looked_ns
        (young if is_young else zombies).append(zombie)
    if young:
        zombies = sorted([*zombies, *_look_again(young, settle_s)], key=lambda one: one.host_pid)
    return ZombieScan(boot_ns=boot_now_ns(), processes=processes, zombies=tuple(zombies))


def _look_again(young: Sequence[ScannedZombie], settle_s: float) -> Iterator[ScannedZombie]:
    since_ns = boot_now_ns()
    time.sleep(settle_s)
    for zombie in young:
        directory = open_process(zombie.host_pid)
        if directory is None:
            continue
        with directory:
            status = _read_zombie(directory)
        if status is not None and status.start_boot_ns == zombie.start_boot_ns:
            now_ns = boot_now_ns()
            yield replace(
                zombie,
                process_age_ns=max(0, now_ns - zombie.start_boot_ns),
                zombie_at_least_ns=now_ns - since_ns,
            )


def _first_look() -> dict[int, int]:
    """The pids of all zombies, each with an instant before it was looked at."""
    found = {}
    for pid in list_pids():
        now_ns = boot_now_ns()
        if b"\nState:\tZ" in (read_status_now(pid) or b""):
            found[pid] = now_ns
    return found


@dataclass(slots=True)
class _Surroundings:
    """What zombies have in common, read once: thousands may share a parent."""

    containers: Sequence[Container]
    show_words: ShowWords
    parents: dict[int, ZombieParent | None] = field(default_factory=dict)
    comms: dict[int, str | None] = field(default_factory=dict)
    owners: dict[tuple[int | None, str | None], Container | None] = field(default_factory=dict)
    cgroup_paths: dict[bytes, str | None] = field(default_factory=dict)
    container_cgroups: list[tuple[str, Container]] | None = None

    def cgroup_path(self, raw: bytes | None) -> str | None:
        if raw is None:
            return None
        if raw not in self.cgroup_paths:
            self.cgroup_paths[raw] = parse_cgroup(raw).get("")
        return self.cgroup_paths[raw]

    def parent(self, host_pid: int | None) -> ZombieParent | None:
        if host_pid is None:
            return None
        if host_pid not in self.parents:
            parent = read_zombie_parent(host_pid)
            if parent is not None:
                parent = replace(parent, cmdline=self.show_words(parent.cmdline or ()))
            self.parents[host_pid] = parent
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
        # An injected process has another cgroup; a process that joined another
        # container's namespace was found above.
        for container in self.containers:
            if container.has_own_pidns and container.pidns_inum == pidns_inum:
                return container
        return None


def _describe(
    directory: ProcDirectory,
    status: ProcStatus,
    seen: _Surroundings,
    now_ns: int,
    at_least_ns: int,
) -> ScannedZombie:
    pidns_inum = directory.pidns_inum()
    cgroup_path = seen.cgroup_path(directory.read("cgroup"))
    owner = seen.owner(pidns_inum, cgroup_path)
    parent = seen.parent(status.parent_host_pid)
    live_threads = read_live_threads(directory, status)
    tracer = status.tracer_host_pid
    # Where we may not see the namespace the kernel shows us 0 for the status.
    is_looked_through = status.threads <= _MOST_LOOKS
    is_over = not live_threads and is_looked_through and pidns_inum is not None
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
        threads=status.threads,
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
    """Read what a process that has to reap is doing; None when it is gone."""
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
    tids = directory.tids()
    for tid in tids[:_MOST_THREADS]:
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
    return False if may_look and len(tids) <= _MOST_THREADS else None


def read_live_threads(directory: ProcDirectory, status: ProcStatus) -> tuple[LiveThread, ...]:
    """Read threads that live on after their leader, and where each is blocked.

    A process may have a million threads: only the first few are read.
    """
    if status.threads < 2:
        return ()
    threads: list[LiveThread] = []
    for tid in directory.tids()[:_MOST_LOOKS]:
        if len(threads) == _MOST_THREADS:
            break
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
        if container.owner_uid is not None and not _is_delegated(container):
            # Another user's container may share its cgroup with any process: its namespace decides.
            continue
        path = (read_cgroups(container.init_host_pid) or {}).get("")
        # Every process may be in the root cgroup: it distinguishes none.
        if path and path != "/":
            found.append((path, container))
    return sorted(found, key=lambda pair: -len(pair[0]))


def _is_delegated(container: Container) -> bool:
    try:
        return (
            container.cgroup_path is not None
            and os.stat(container.cgroup_path).st_uid == container.owner_uid
        )
    except OSError:
        return False


def _read_zombie(directory: ProcDirectory) -> ProcStatus | None:
    # A living process may make us wait for its stat, and is not what is asked about.
    status = directory.read_zombie()
    stat = directory.read("stat") if status is not None else None
    if status is None or not stat:
        return None
    found = ProcStatus.parse(stat, status, timens_offset_ns=timens_offset_ns())
    return found if found.is_zombie else None
