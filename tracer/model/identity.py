"""Who: a process, at one moment, as the kernel described it."""

from __future__ import annotations

from typing import NamedTuple

from tracer.model.fact import fact

_TICK_NS = 10_000_000
"""The resolution of a start in /proc (USER_HZ is 100 on every architecture we run on)."""


class ProcessKey(NamedTuple):
    """What identifies a process although pids are reused.

    Units:
        start_boot_ns: CLOCK_BOOTTIME, ns (task_struct.start_boottime of the
        thread-group leader); rounded down to the tick where it comes from /proc, 0 where unknown.
    """

    host_pid: int
    start_boot_ns: int

    def same_process(self, other: ProcessKey) -> bool:
        """Whether both may be one process, though the start of one comes from /proc.

        The kernel's events give a start in ns, /proc in ticks: within one tick no pid
        is given out twice. Where a start is not known the pid must do.
        """
        if self.host_pid != other.host_pid:
            return False
        mine, others = self.start_boot_ns, other.start_boot_ns
        return not mine or not others or abs(mine - others) <= _TICK_NS


class PidnsKey(NamedTuple):
    """What identifies a PID namespace although inums are reused.

    ``init_start_boot_ns`` is the start of the namespace's init, which lives
    exactly as long as the namespace can hold processes.
    """

    inum: int
    init_start_boot_ns: int


class _Keyed:
    """Holds what is asked for five times a record, and 0.3 us each time to make."""

    __slots__ = ("key",)

    key: ProcessKey


class _PerhapsKeyed:
    """The same where its parts may be unknown."""

    __slots__ = ("key",)

    key: ProcessKey | None


@fact
class ProcessSnapshot(_Keyed):
    """A process (thread group) at the moment of one event.

    ``parent_*`` is task->real_parent's thread group, that is, the process
    which must reap this one; it changes when a parent dies. None = unknown.

    Attributes:
        key: The identity of the process.
    """

    host_pid: int
    start_boot_ns: int
    ns_pid: int | None
    comm: str
    parent_host_pid: int | None
    parent_start_boot_ns: int | None
    parent_comm: str | None
    parent_pidns_inum: int | None
    pidns_inum: int | None
    pidns_level: int | None
    init_start_boot_ns: int | None
    cgroup_id: int | None
    is_init: bool

    def __post_init__(self) -> None:
        self.key = ProcessKey(self.host_pid, self.start_boot_ns)

    @property
    def parent_key(self) -> ProcessKey | None:
        """The identity of the parent, or None where it is not known."""
        if self.parent_host_pid is None or self.parent_start_boot_ns is None:
            return None
        return ProcessKey(self.parent_host_pid, self.parent_start_boot_ns)

    @property
    def pidns_key(self) -> PidnsKey | None:
        """The identity of the innermost PID namespace, or None."""
        if self.pidns_inum is None or self.init_start_boot_ns is None:
            return None
        return PidnsKey(self.pidns_inum, self.init_start_boot_ns)


@fact
class Actor(_PerhapsKeyed):
    """The process in whose context something happened (the kernel's current).

    ``ns_pid`` is its pid as the event's subject sees it: 0 = outside that
    namespace. ``chain`` are the comms of its ancestors, nearest first, at most
    four, and empty where the kernel side does not collect them.
    ``syscall`` is the system call it was in: evidence, never a cause.
    ``uid`` is its real user, as the initial user namespace numbers it, and
    ``cgroup_id`` its cgroup: both of a signal's sender alone; None where not known.

    Attributes:
        key: The identity of the process, or None where its start is unknown.
    """

    host_pid: int
    start_boot_ns: int | None
    host_tid: int | None
    ns_pid: int | None
    comm: str
    chain: tuple[str, ...]
    syscall: str | None
    is_exiting: bool
    is_kernel_thread: bool
    uid: int | None = None
    cgroup_id: int | None = None

    def __post_init__(self) -> None:
        start = self.start_boot_ns
        self.key = None if start is None else ProcessKey(self.host_pid, start)
