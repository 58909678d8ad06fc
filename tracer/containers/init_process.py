"""A container's init as /proc has it: the facts its runtime cannot vouch for."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from tracer.containers.cgroup import find_cgroup
from tracer.containers.cgroup_tree import ids_below, top_of
from tracer.containers.found import FoundContainer
from tracer.errors import PrivilegeError, TargetNotFoundError
from tracer.model.proc_status import NS_PER_TICK, ProcStat, ProcStatus, parse_timens_offset
from tracer.model.signals import SIGTERM
from tracer.model.target import Container

_CLOCK_SLACK_S = 60
"""How far an engine's wall clock and ours, set since, may be apart."""


class InitProcess:
    """A process held by its directory in /proc, whatever becomes of its pid."""

    def __init__(self, host_pid: int) -> None:
        self.host_pid = host_pid
        self._fd = os.open(f"/proc/{host_pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)

    def read(self, name: str) -> bytes:
        """Read a file of its directory."""
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fd)
        with os.fdopen(fd, "rb") as file:
            return file.read()

    def status(self) -> ProcStatus:
        """Read stat and status."""
        return ProcStatus.parse(
            self.read("stat"), self.read("status"), timens_offset_ns=timens_offset_ns()
        )

    def pidns_inum(self) -> int:
        """Read the inode of its PID namespace."""
        return namespace_inum(os.readlink("ns/pid", dir_fd=self._fd))


def read_container(found: FoundContainer) -> Container:
    """Complete what a runtime told by what /proc says of the container's init.

    Raises:
        TargetNotFoundError: The init is not there any more, is dead, or is
            another process than the one the runtime speaks of.
        PrivilegeError: We may not look at it.
    """
    if found.init_host_pid is None:
        raise TargetNotFoundError(f"container {found.label} is {found.state}, not running")
    try:
        init = InitProcess(found.init_host_pid)
        try:
            return _read(found, init)
        finally:
            init.close()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise TargetNotFoundError(
            f"container {found.label} ended while it was being looked up"
        ) from error
    except PermissionError as error:
        raise PrivilegeError(
            f"cannot look at process {found.init_host_pid}, the init of {found.label}",
            hint="run zomtrace as root",
        ) from error


def is_running(found: FoundContainer) -> bool:
    """Whether the init a runtime tells of is there, alive and not another process."""
    if found.init_host_pid is None:
        return False
    try:
        init = InitProcess(found.init_host_pid)
        try:
            stat = ProcStat.parse(init.read("stat"))
        finally:
            init.close()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.state not in "ZX" and found.init_start_ticks in (None, stat.start_ticks)


def timens_offset_ns() -> int:
    """Read what our time namespace adds to CLOCK_BOOTTIME; 0 on the host."""
    try:
        return parse_timens_offset(Path("/proc/self/timens_offsets").read_bytes())
    except FileNotFoundError:
        return 0


def namespace_inum(link: str) -> int:
    """Take the number out of ``pid:[4026531836]``."""
    return int(re.sub(r"\D", "", link))


def _read(found: FoundContainer, init: InitProcess) -> Container:
    status = init.status()
    raw_cgroup = init.read("cgroup")
    if status.is_zombie:
        raise TargetNotFoundError(
            f"container {found.label} is not running: its init ({init.host_pid}) is a zombie",
            hint="`zomtrace zombies` says who should reap it",
        )
    _check_identity(found, status, raw_cgroup)
    pidns_inum = init.pidns_inum()
    inits = find_cgroup(raw_cgroup)
    cgroup = top_of(inits, found.id) if inits is not None else None
    is_private = pidns_inum != namespace_inum(str(Path("/proc/self/ns/pid").readlink()))
    has_own_pidns = status.is_ns_init and is_private
    return Container(
        id=found.id,
        name=found.names[0] if found.names else None,
        runtime=found.runtime,
        init_host_pid=init.host_pid,
        init_start_boot_ns=status.start_boot_ns,
        pidns_inum=pidns_inum,
        has_own_pidns=has_own_pidns,
        cgroup_path=cgroup.path if cgroup else None,
        cgroup_id=cgroup.id if cgroup else None,
        stop_signo=found.stop_signo or SIGTERM,
        pod=found.pod,
        stop_timeout_s=found.stop_timeout_s,
        cgroup_hierarchy=cgroup.hierarchy if cgroup else None,
        engine_address=found.engine_address,
        engine_namespace=found.engine_namespace,
        # Where a namespace tells its members, nobody asks for these.
        descendant_cgroup_ids=(
            ids_below(cgroup) if cgroup is not None and not has_own_pidns else frozenset()
        ),
    )


def _check_identity(found: FoundContainer, status: ProcStatus, raw_cgroup: bytes) -> None:
    offset_ns = timens_offset_ns()
    ticks = (status.start_boot_ns + offset_ns) // NS_PER_TICK
    if found.init_start_ticks is not None:
        is_same = found.init_start_ticks == ticks
    else:
        is_same = found.id.encode() in raw_cgroup or _started_then(found, status, offset_ns)
    if not is_same:
        raise TargetNotFoundError(
            f"container {found.label} is not here: its init should be process "
            f"{found.init_host_pid}, but that is {status.comm!r}, another one",
            hint="it ended without its runtime noticing, or the engine is on another machine "
            "or in another PID namespace",
        )


def _started_then(found: FoundContainer, status: ProcStatus, offset_ns: int) -> bool:
    if found.started_unix_s is None:
        return False
    age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - offset_ns - status.start_boot_ns
    return abs(time.time() - age_ns / 1e9 - found.started_unix_s) < _CLOCK_SLACK_S
