"""What /proc says of a process, parsed. Reading it is other modules' work."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from tracer.model.events import SigchldAction
from tracer.model.identity import ProcessKey
from tracer.model.signals import SIGCHLD, Disposition

_FIELD = re.compile(
    rb"^(NSpid|ShdPnd|SigBlk|SigCgt|SigIgn|SigPnd|Threads|TracerPid):[ \t]*([^\n]*)$", re.MULTILINE
)
NS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
"""How long a tick of /proc is: 10 ms wherever USER_HZ is 100."""


@dataclass(frozen=True, slots=True)
class ProcStat:
    """The fields of ``/proc/PID/stat`` that zomtrace reads.

    Args:
        pid: The process, as the reader's namespace numbers it.
        comm: Its name, at most 15 bytes; bytes that are no UTF-8 are escaped.
        state: One letter: R, S, D, T, t, Z, X, I.
        parent_pid: Who must reap it; 0 where that is outside the reader's namespace.
        threads: How many of its threads are not released yet.
        start_ticks: Ticks from boot to its start, as the reader's time
            namespace counts them.
        raw_wait_status: Of a zombie; 0 also where the kernel keeps it from us.
        process_group: The process group it is in, numbered as ``pid``; 0 = outside.

    Source:
        fs/proc/array.c, do_task_stat.
    """

    pid: int
    comm: str
    state: str
    parent_pid: int
    threads: int
    start_ticks: int
    raw_wait_status: int
    process_group: int = 0

    @classmethod
    def parse(cls, raw: bytes) -> ProcStat:
        """Take the line apart; the name may hold spaces, parentheses and newlines.

        Raises:
            ValueError: This is no such line.
        """
        head, separator, tail = raw.rpartition(b")")
        pid, _, comm = head.partition(b" (")
        fields = tail.split()
        if not separator or len(fields) < 20:
            raise ValueError(f"no /proc/PID/stat line: {raw[:80]!r}")
        # exit_code is field 52 counted from 1; kernels before 3.5 end sooner.
        exit_code = int(fields[49]) if len(fields) > 49 else 0
        return cls(
            pid=int(pid),
            comm=comm.decode("utf-8", "backslashreplace"),
            state=fields[0].decode("ascii"),
            parent_pid=int(fields[1]),
            threads=int(fields[17]),
            start_ticks=int(fields[19]),
            raw_wait_status=exit_code & 0xFFFF,
            process_group=int(fields[2]),
        )

    @property
    def is_over(self) -> bool:
        """Whether it runs no more; a leader that exited before other threads is a zombie, too."""
        return self.state in "ZX" and self.threads <= 1


@dataclass(frozen=True, slots=True)
class ProcStatus:
    """A process as ``/proc/PID/stat`` and ``status`` describe it.

    Args:
        host_pid: As the reader's namespace numbers it.
        comm: Its name.
        state: One letter, see :class:`ProcStat`; Z is a zombie.
        parent_host_pid: Who must reap it; None outside the reader's namespace.
        tracer_host_pid: Who traces it by ptrace, or None.
        ns_pids: Its number in each PID namespace, the reader's first.
        threads: How many of its threads are not released yet.
        start_boot_ns: CLOCK_BOOTTIME, ns, down to the tick of /proc.
        raw_wait_status: See :class:`ProcStat`.
        blocked_mask: Bit N-1 is signal N; of the leader thread.
        ignored_mask: The same, ignored by the process.
        caught_mask: The same, with a handler.
        pending_mask: The same, pending for this thread alone.
        shared_pending_mask: The same, pending for the process.
        process_group: See :class:`ProcStat`.

    Source:
        fs/proc/array.c, do_task_stat and proc_pid_status.
    """

    host_pid: int
    comm: str
    state: str
    parent_host_pid: int | None
    tracer_host_pid: int | None
    ns_pids: tuple[int, ...]
    threads: int
    start_boot_ns: int
    raw_wait_status: int
    blocked_mask: int
    ignored_mask: int
    caught_mask: int
    pending_mask: int = 0
    shared_pending_mask: int = 0
    process_group: int = 0

    @classmethod
    def parse(cls, stat: bytes, status: bytes, *, timens_offset_ns: int = 0) -> ProcStatus:
        """Put the two files together.

        Args:
            stat: ``/proc/PID/stat``.
            status: ``/proc/PID/status``.
            timens_offset_ns: What the reader's time namespace adds to
                CLOCK_BOOTTIME; the kernel's own events do not have it.

        Raises:
            ValueError: One of them is not what it should be.
        """
        facts = ProcStat.parse(stat)
        fields = dict(_FIELD.findall(status))
        ns_pids = tuple(int(pid) for pid in fields.get(b"NSpid", b"").split())
        return cls(
            host_pid=facts.pid,
            comm=facts.comm,
            state=facts.state,
            parent_host_pid=facts.parent_pid or None,
            tracer_host_pid=int(fields.get(b"TracerPid", b"0")) or None,
            ns_pids=ns_pids or (facts.pid,),
            threads=int(fields.get(b"Threads", b"0")),
            start_boot_ns=start_boot_ns(facts.start_ticks, timens_offset_ns),
            raw_wait_status=facts.raw_wait_status,
            blocked_mask=int(fields.get(b"SigBlk", b"0"), 16),
            ignored_mask=int(fields.get(b"SigIgn", b"0"), 16),
            caught_mask=int(fields.get(b"SigCgt", b"0"), 16),
            pending_mask=int(fields.get(b"SigPnd", b"0"), 16),
            shared_pending_mask=int(fields.get(b"ShdPnd", b"0"), 16),
            process_group=facts.process_group,
        )

    @property
    def key(self) -> ProcessKey:
        """Its identity, its start to the tick."""
        return ProcessKey(self.host_pid, self.start_boot_ns)

    @property
    def ns_pid(self) -> int:
        """Its number in its own, innermost PID namespace."""
        return self.ns_pids[-1]

    @property
    def is_zombie(self) -> bool:
        """Whether the leader has exited; see ``threads`` for whether all have."""
        return self.state == "Z"

    @property
    def is_over(self) -> bool:
        """Whether it runs no more; see :attr:`ProcStat.is_over`."""
        return self.state in "ZX" and self.threads <= 1

    @property
    def is_ns_init(self) -> bool:
        """Whether it is PID 1 of its innermost namespace."""
        return self.ns_pids[-1] == 1

    @property
    def sigchld(self) -> SigchldAction:
        """What it does about SIGCHLD; SA_NOCLDWAIT does not show in /proc."""
        bit = 1 << (SIGCHLD - 1)
        if self.ignored_mask & bit:
            return SigchldAction.IGNORED
        return SigchldAction.CAUGHT if self.caught_mask & bit else SigchldAction.DEFAULT

    def disposition(self, signo: int) -> Disposition:
        """What would happen to a signal sent now; blocked goes before the rest."""
        bit = 1 << (signo - 1)
        for mask, disposition in (
            (self.blocked_mask, Disposition.BLOCKED),
            (self.ignored_mask, Disposition.IGNORED),
            (self.caught_mask, Disposition.CAUGHT),
        ):
            if mask & bit:
                return disposition
        return Disposition.DEFAULT


def is_ns_init(status: bytes) -> bool:
    """Whether ``/proc/PID/status`` is of the PID 1 of its innermost namespace."""
    for line in status.split(b"\n"):
        if line.startswith(b"NSpid:"):
            return line.split()[-1:] == [b"1"]
    return False


def start_boot_ns(start_ticks: int, timens_offset_ns: int = 0) -> int:
    """Turn ticks of /proc into CLOCK_BOOTTIME of the initial time namespace, ns."""
    return start_ticks * NS_PER_TICK - timens_offset_ns


def parse_timens_offset(raw: bytes, clock: bytes = b"boottime") -> int:
    """Read the offset of a clock, ns, out of ``/proc/PID/timens_offsets``."""
    for line in raw.splitlines():
        name, *values = line.split()
        if name == clock:
            return int(values[0]) * 1_000_000_000 + int(values[1])
    return 0


def parse_cgroup(raw: bytes) -> dict[str, str]:
    """Read ``/proc/PID/cgroup``: controller -> path; the v2 hierarchy is ``""``.

    A v1 hierarchy without a controller keeps its name: ``name=systemd``. A line ends
    with a line feed and nothing else: every other character may be in a path, of a
    cgroup that its owner has named.
    """
    paths: dict[str, str] = {}
    for line in os.fsdecode(raw).removesuffix("\n").split("\n"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            paths[controller] = path
    return paths
