"""What is known of one process, and of the cgroups that processes are in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tracer.model.signals import SIGCHLD
from tracer.procfs.cgroup import controller_directories

Fields = dict[str, Any]
"""The members of one record that are not 0."""

_MOST_CGROUPS = 4096
_LONGEST_KEPT = 2048
"""Of /proc/PID/cgroup: who owns a cgroup can make its path, and this, far longer."""


@dataclass(slots=True)
class Known:
    """A process, as far as it is known.

    Args:
        host_pid: Its number.
        start_boot_ns: When it was forked, or the tick of /proc before that.
        comm: Its name.
        parent_pid: Its parent, as last reported; 0 = none.
        ns_pid: Its number in its own namespace; 0 = not known.
        pidns_inum: That namespace; 0 = not known.
        pidns_level: How deep that is.
        cgroups: The ids of its cgroup and of those around it, innermost first.
        tids: Its threads that have not ended.
        exit_signo: What its parent gets when it ends, as far as known.
        tracer_pid: Its ptracer when it was looked at; 0 = none.
        leader_status: The main thread's raw status, where that has ended.
        dead_fields: What was emitted of its exit; None while it is running.
        seen_ns: When it was last known to be there.
    """

    host_pid: int
    start_boot_ns: int
    comm: bytes
    parent_pid: int
    ns_pid: int
    pidns_inum: int
    pidns_level: int
    cgroups: tuple[int, ...]
    tids: set[int] = field(default_factory=set)
    exit_signo: int = SIGCHLD
    tracer_pid: int = 0
    leader_status: int | None = None
    dead_fields: Fields | None = None
    seen_ns: int = 0


class CgroupIds:
    """Finds the ids of the cgroups a process is in.

    Args:
        controller: Whose hierarchy counts.
    """

    def __init__(self, controller: str) -> None:
        self._controller = controller
        self._found: dict[bytes, tuple[str | None, tuple[int, ...]]] = {}

    def of(self, raw: bytes) -> tuple[int, ...]:
        """The ids by ``/proc/PID/cgroup``, innermost first."""
        found = self._found.get(raw)
        # A cgroup may have been removed since, and made anew under its name.
        if found is not None and (found[0] is None or _ids((found[0],)) == found[1][:1]):
            return found[1]
        directories = controller_directories(raw, self._controller)
        ids = _ids(directories)
        if len(self._found) >= _MOST_CGROUPS:
            self._found.clear()
        if len(raw) <= _LONGEST_KEPT:
            self._found[raw] = (next(iter(directories), None), ids)
        return ids


def _ids(directories: Iterable[str]) -> tuple[int, ...]:
    try:
        return tuple(os.stat(one).st_ino for one in directories)
    except OSError:
        return ()


def unescape_comm(name: bytes) -> bytes:
    """The name that /proc/PID/status has escaped, so that it is one line."""
    return name.replace(b"\\n", b"\n").replace(b"\\\\", b"\\")
