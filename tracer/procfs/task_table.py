"""How full the host's table of tasks is, which zombies fill as well."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_LOADAVG = Path("/proc/loadavg")
_PID_MAX = Path("/proc/sys/kernel/pid_max")
_THREADS_MAX = Path("/proc/sys/kernel/threads-max")
_OWN_PIDNS = Path("/proc/self/ns/pid")
_FIRST_PIDNS_INUM = 4026531836


@dataclass(frozen=True, slots=True)
class TaskTable:
    """How many tasks there are on the host, and how many there may be.

    Args:
        tasks: Threads of all processes, dead ones that are not reaped among them.
        limit: The lower one of the two limits.
        name: Which one that is: ``kernel.pid_max`` or ``kernel.threads-max``.
    """

    tasks: int
    limit: int
    name: str


def read_task_table() -> TaskTable | None:
    """Read how full the host's table of tasks is; None where /proc does not show it.

    Source:
        nr_threads in /proc/loadavg counts the whole host from wherever it is read.
        copy_process() refuses at max_threads, alloc_pid() once all numbers below
        pid_max are taken; pid 0 is never given. Newer kernels keep a pid_max for
        each PID namespace: only the first one's bounds the host.
    """
    try:
        tasks = int(_LOADAVG.read_text().split()[3].partition("/")[2])
        limits = [(int(_THREADS_MAX.read_text()), "kernel.threads-max")]
        if _OWN_PIDNS.stat().st_ino == _FIRST_PIDNS_INUM:
            limits.append((int(_PID_MAX.read_text()) - 1, "kernel.pid_max"))
    except (OSError, ValueError, IndexError):
        return None
    limit, name = min(limits)
    return TaskTable(tasks, limit, name)
