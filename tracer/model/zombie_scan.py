"""Zombies as /proc shows them at one moment, and who should reap each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tracer.model.events import SigchldAction
from tracer.model.wait_status import WaitStatus


class ZombieBlame(StrEnum):
    """Why a zombie is still there. The first that applies, in this order.

    LEADER: only the leader exited, other threads live; it cannot be reaped yet.
    TRACER: a ptracer has not waited for it.
    INJECTED: its parent is outside its PID namespace (``docker exec``, nsenter).
    INIT: its parent is its namespace's PID 1, by birth or by adoption.
    PARENT: its parent is alive and has not waited for it.
    UNKNOWN: who its parent is cannot be seen from here.
    """

    LEADER = "leader"
    TRACER = "tracer"
    INJECTED = "injected"
    INIT = "init"
    PARENT = "parent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LiveThread:
    """A thread that keeps running after its leader.

    Args:
        host_tid: Its number.
        comm: Its own name, which may differ from the process's.
        state: One letter, as ps shows it.
        syscall: The system call it is blocked in; None = in none, or unknown.
        wchan: The kernel function it sleeps in; None likewise.
    """

    host_tid: int
    comm: str
    state: str
    syscall: str | None
    wchan: str | None


@dataclass(frozen=True, slots=True)
class ZombieParent:
    """The process that must reap a zombie.

    Args:
        host_pid: Its number.
        ns_pid: Its number in its own PID namespace.
        comm: Its name.
        start_boot_ns: Its start, to the tick of /proc.
        cmdline: Its arguments, empty where they cannot be read; None where they
            are not to be shown.
        pidns_inum: The PID namespace it is in, or None.
        is_ns_init: Whether it is that namespace's PID 1.
        state: One letter, as ps shows it.
        sigchld: What it does about SIGCHLD.
        threads: How many threads it has.
        is_waiting: Whether a thread of it is in wait4 or waitid right now (for
            whomever); None where we may not look.
        syscall: The system call its leader is blocked in; None = in none, or unknown.
        wchan: The kernel function its leader sleeps in; None likewise.
    """

    host_pid: int
    ns_pid: int
    comm: str
    start_boot_ns: int
    cmdline: tuple[str, ...] | None
    pidns_inum: int | None
    is_ns_init: bool
    state: str
    sigchld: SigchldAction
    threads: int
    is_waiting: bool | None
    syscall: str | None
    wchan: str | None


@dataclass(frozen=True, slots=True)
class ScannedZombie:
    """A zombie.

    Args:
        host_pid: Its number.
        ns_pid: Its number in its own PID namespace.
        comm: Its name.
        start_boot_ns: When the process started, to the tick of /proc.
        process_age_ns: How long ago that was: an upper bound of its age as a
            zombie. The kernel does not say when a process became one.
        zombie_at_least_ns: How long it has been seen as a zombie: a lower bound.
        status: How it ended; None where it is kept from us, or not over yet.
        pidns_inum: Its PID namespace, or None where it is kept from us.
        cgroup_path: Its cgroup in the v2 hierarchy; None without one.
        container_id: The container it belongs to, or None.
        container_name: That container's label, or None.
        parent: Who must reap it, or None where that cannot be seen.
        tracer_host_pid: Who holds it by ptrace, or None.
        tracer_comm: The name of that process.
        live_threads: Threads of it that live on, the first of them where there are many.
        blame: Why it is still there.
        threads: How many it has, its leader among them.
    """

    host_pid: int
    ns_pid: int
    comm: str
    start_boot_ns: int
    process_age_ns: int
    zombie_at_least_ns: int
    status: WaitStatus | None
    pidns_inum: int | None
    cgroup_path: str | None
    container_id: str | None
    container_name: str | None
    parent: ZombieParent | None
    tracer_host_pid: int | None
    tracer_comm: str | None
    live_threads: tuple[LiveThread, ...]
    blame: ZombieBlame
    threads: int = 1


@dataclass(frozen=True, slots=True)
class ZombieScan:
    """All zombies at one moment, by pid.

    Args:
        boot_ns: When the scan ended, CLOCK_BOOTTIME, ns.
        processes: How many processes there were, zombies included.
        zombies: The zombies.
    """

    boot_ns: int
    processes: int
    zombies: tuple[ScannedZombie, ...]
