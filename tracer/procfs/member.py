"""What /proc says of one member of something that is being stopped."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.model.identity import ProcessKey
from tracer.procfs.cgroup import controller_directories
from tracer.procfs.cgroup_limits import read_is_frozen
from tracer.procfs.process import ProcDirectory, open_process, open_thread, read_status
from tracer.procfs.status import ProcStat, ProcStatus, parse_cgroup

MOST_THREADS = 16
"""So many threads of a process are read, those that cannot go on first."""
_MOST_TIDS = 256
_MOST_NAME = 64
_WAITS = frozenset({"wait4", "waitid", "waitpid"})
_KILL_PENDING = 1 << 8


@dataclass(frozen=True, slots=True)
class MemberThread:
    """One thread.

    Args:
        host_tid: Its number on the host.
        comm: Its name.
        state: One letter, as in /proc/PID/stat.
        syscall: The system call it is in, or None.
        wchan: The kernel function it sleeps in, or None.
        is_killed: SIGKILL is pending for it: it ends as soon as it can.
    """

    host_tid: int
    comm: str
    state: str
    syscall: str | None
    wchan: str | None
    is_killed: bool


@dataclass(frozen=True, slots=True)
class MemberTracer:
    """Who traces it.

    Args:
        host_pid: Its number on the host.
        comm: Its name; None where it is gone by now.
    """

    host_pid: int
    comm: str | None


@dataclass(frozen=True, slots=True)
class Member:
    """A process, and each of its threads.

    Args:
        comm: Its name.
        state: Its main thread's: Z where that has ended.
        exe: The last part of the path of its program; None for a zombie.
        parent_host_pid: Who must reap it; None outside our namespace.
        process_group: The process group it is in; None outside our namespace.
        signo: The signal the next four speak of.
        is_ignored: It ignores that signal.
        is_caught: It has a handler for it.
        is_blocked: Its main thread blocks it.
        is_pending: It was sent and not taken yet.
        is_frozen: Its cgroup is; None where there is no freezer, or it was not read.
        freezer: Whose word that is: ``v1`` or ``v2``.
        is_waiting: A thread is in wait4 or waitid; None where we may not look.
        tracer: Who traces it, or None.
        thread_count: How many there are.
        threads: What each is in; empty where only the signals were read.
        left: How many of the same look are still to come.
        raw_wait_status: Of a zombie; None where it is none, or it is not readable.
    """

    comm: str
    state: str
    exe: str | None
    parent_host_pid: int | None
    process_group: int | None
    signo: int
    is_ignored: bool
    is_caught: bool
    is_blocked: bool
    is_pending: bool
    is_frozen: bool | None = None
    freezer: str | None = None
    is_waiting: bool | None = None
    tracer: MemberTracer | None = None
    thread_count: int = 0
    threads: tuple[MemberThread, ...] = ()
    raw_wait_status: int | None = None
    left: int | None = None


def read_member(key: ProcessKey, signo: int, *, with_threads: bool) -> Member | None:
    """Read a process; None when it is gone.

    Args:
        key: Which.
        signo: The stop signal.
        with_threads: Read what each thread is in, too.
    """
    directory = open_process(key.host_pid)
    if directory is None:
        return None
    with directory:
        status = directory.status()
        if status is None or not key.same_process(status.key):
            return None
        bit = 1 << (signo - 1)
        is_frozen, freezer = _read_freezer(directory) if with_threads else (None, None)
        threads = _read_threads(directory, status) if with_threads else ()
        return Member(
            comm=status.comm,
            state=status.state,
            exe=_program(directory),
            parent_host_pid=status.parent_host_pid,
            process_group=status.process_group or None,
            signo=signo,
            is_ignored=bool(status.ignored_mask & bit),
            is_caught=bool(status.caught_mask & bit),
            is_blocked=bool(status.blocked_mask & bit),
            is_pending=bool((status.pending_mask | status.shared_pending_mask) & bit),
            is_frozen=is_frozen,
            freezer=freezer,
            is_waiting=any(one.syscall in _WAITS for one in threads) if threads else None,
            tracer=_read_tracer(status),
            thread_count=status.threads,
            threads=threads[:MOST_THREADS],
            raw_wait_status=(status.raw_wait_status or None) if status.is_zombie else None,
        )


def read_descendants(host_pid: int, most: int) -> list[int]:
    """List a process's descendants, the nearest first, as /proc tells children.

    Empty where the kernel does not tell them (CONFIG_PROC_CHILDREN).
    """
    found: list[int] = []
    open_pids = [host_pid]
    while open_pids and len(found) < most:
        children = [child for pid in open_pids for child in _read_children(pid)]
        found += children
        open_pids = children[:most]
    return found[:most]


def _read_children(host_pid: int) -> list[int]:
    directory = open_process(host_pid)
    if directory is None:
        return []
    children: list[int] = []
    with directory:
        for tid in directory.tids()[:MOST_THREADS]:
            raw = directory.read(f"task/{tid}/children") or b""
            children += [int(pid) for pid in raw.split() if pid.isdigit()]
    return children


def _program(directory: ProcDirectory) -> str | None:
    link = directory.link("exe")
    if link is None:
        return None
    return link.removesuffix(" (deleted)").rpartition("/")[2][:_MOST_NAME] or None


def _read_freezer(directory: ProcDirectory) -> tuple[bool | None, str | None]:
    raw = directory.read("cgroup")
    if raw is None:
        return None, None
    is_frozen = read_is_frozen(controller_directories(raw, "freezer"))
    has_v1 = "freezer" in parse_cgroup(raw)
    return is_frozen, None if is_frozen is None else "v1" if has_v1 else "v2"


def _read_threads(directory: ProcDirectory, status: ProcStatus) -> tuple[MemberThread, ...]:
    threads = [
        thread
        for tid in directory.tids()[:_MOST_TIDS]
        if (thread := _read_thread(status.host_pid, tid)) is not None
    ]
    # Only a few are kept: those that cannot go on are the ones that matter.
    return tuple(sorted(threads, key=lambda one: one.state != "D"))


def _read_thread(host_pid: int, tid: int) -> MemberThread | None:
    directory = open_thread(host_pid, tid)
    if directory is None:
        return None
    with directory:
        raw = directory.read("stat")
        stat = ProcStat.parse(raw) if raw else None
        if stat is None or stat.state in "ZX":
            return None
        blocked = directory.blocked_in()
        status = directory.status()
    return MemberThread(
        host_tid=tid,
        comm=stat.comm,
        state=stat.state,
        syscall=blocked.syscall,
        wchan=blocked.wchan,
        is_killed=status is not None and bool(status.pending_mask & _KILL_PENDING),
    )


def _read_tracer(status: ProcStatus) -> MemberTracer | None:
    if status.tracer_host_pid is None:
        return None
    named = read_status(status.tracer_host_pid)
    return MemberTracer(status.tracer_host_pid, named.comm if named is not None else None)
