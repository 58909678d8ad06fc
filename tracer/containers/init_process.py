"""A container's init as /proc has it: the facts its runtime cannot vouch for."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from tracer.containers.access import lacks
from tracer.containers.cgroup_tree import ids_below, is_named_by_root, top_of
from tracer.containers.found import FoundContainer
from tracer.containers.user_namespace import is_in_namespace_of, namespace_maker
from tracer.errors import PrivilegeError, TargetNotFoundError
from tracer.model.rights import SEE_PROCESSES
from tracer.model.signals import SIGTERM
from tracer.model.target import Container
from tracer.procfs.cgroup import CgroupDirectory, find_cgroup
from tracer.procfs.clock import boot_now_ns
from tracer.procfs.patience import NoAnswerError, ask_for
from tracer.procfs.process import NEVER_WAITS, is_unreaped, namespace_inum, timens_offset_ns
from tracer.procfs.status import NS_PER_TICK, ProcStat, ProcStatus
from tracer.trust.users import user_label

_IN_THE_ROOT = b"0::/\n"
_CLOCK_SLACK_S = 60
"""How far an engine's wall clock and ours, set since, may be apart."""


class InitProcess:
    """A process held by its directory in /proc, whatever becomes of its pid.

    Args:
        host_pid: Its number.
        owner_uid: Who calls it an init, see :func:`tracer.procfs.patience.ask_for`.
    """

    def __init__(self, host_pid: int, owner_uid: int | None = None) -> None:
        self.host_pid = host_pid
        self._owner_uid = owner_uid
        self._fd = os.open(f"/proc/{host_pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)

    def read(self, name: str) -> bytes:
        """Read a file of its directory.

        Raises:
            NoAnswerError: It does not come.
        """
        # A container of root's is found though it may take long to say where it is.
        if name in NEVER_WAITS or (name == "cgroup" and self._owner_uid is None):
            return self._read_now(name)
        return ask_for(self._owner_uid, lambda: self._read_now(name))

    def read_cgroup(self) -> bytes:
        """Read ``cgroup``; as if it were in the root cgroup where the path is too long to read.

        Who owns a cgroup can nest others in it so deep that older kernels refuse.

        Raises:
            NoAnswerError: It does not come.
        """
        try:
            return self.read("cgroup")
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return _IN_THE_ROOT

    def _read_now(self, name: str) -> bytes:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fd)
        with os.fdopen(fd, "rb") as file:
            return file.read()

    def status(self) -> ProcStatus:
        """Read stat and status."""
        return ProcStatus.parse(
            self.read("stat"), self.read("status"), timens_offset_ns=timens_offset_ns()
        )

    def is_of_user(self, uid: int) -> bool:
        """Whether a user made its user namespace, or one around that."""
        return is_in_namespace_of(self._fd, uid, owner_uid=self._owner_uid)

    def namespace_uid(self) -> int | None:
        """Who made its user namespace; see :func:`namespace_maker`."""
        return namespace_maker(self._fd, owner_uid=self._owner_uid)

    def pidns_inum(self) -> int:
        """Read the inode of its PID namespace."""
        link = ask_for(self._owner_uid, lambda: os.readlink("ns/pid", dir_fd=self._fd))
        return namespace_inum(link)


def read_container(found: FoundContainer) -> Container:
    """Complete what a runtime reported by what /proc says of the container's init.

    Raises:
        TargetNotFoundError: The init is not there any more, is dead, or is
            another process than the one the runtime speaks of.
        PrivilegeError: We may not look at it.
    """
    if found.init_host_pid is None:
        raise TargetNotFoundError(f"container {found.label} is {found.state}, not running")
    try:
        init = InitProcess(found.init_host_pid, found.owner_uid)
        try:
            return _read(found, init)
        finally:
            init.close()
    except NoAnswerError as error:
        raise _unanswered(found.init_host_pid, found.label) from error
    except (FileNotFoundError, ProcessLookupError) as error:
        raise TargetNotFoundError(
            f"container {found.label} exited while it was being looked up"
        ) from error
    except PermissionError as error:
        lacking = lacks(SEE_PROCESSES)
        why = f": {lacking} missing" if lacking else ", though CAP_SYS_PTRACE is held"
        raise PrivilegeError(
            f"cannot inspect process {found.init_host_pid}, the init of {found.label}{why}",
            hint="run as root, or with CAP_SYS_PTRACE",
        ) from error


def is_running(found: FoundContainer) -> bool:
    """Whether the init a runtime reports exists, is alive and not another process."""
    if found.init_host_pid is None:
        return False
    try:
        init = InitProcess(found.init_host_pid, found.owner_uid)
        try:
            stat = ProcStat.parse(init.read("stat"))
            is_believed = found.owner_uid is None or _is_seen_to_be_of(init, found.owner_uid)
        finally:
            init.close()
    except NoAnswerError:
        # Reported to those who ask for this container.
        return True
    except (FileNotFoundError, ProcessLookupError):
        return False
    return is_believed and not stat.is_over and found.init_start_ticks in (None, stat.start_ticks)


def _is_seen_to_be_of(init: InitProcess, uid: int) -> bool:
    try:
        return init.is_of_user(uid)
    except PermissionError:
        return False


def open_init(container: Container) -> int:
    """Open a container's init, and make sure that it is that process.

    Returns:
        A pidfd: what is sent to it reaches that process or none.

    Raises:
        TargetNotFoundError: It is gone, or another process than was resolved.
        PrivilegeError: We may not look at it.
    """
    gone = f"container {container.label} is no longer running"
    try:
        pidfd = os.pidfd_open(container.init_host_pid)
    except (ProcessLookupError, OverflowError) as error:
        raise TargetNotFoundError(gone) from error
    try:
        # The pidfd is of the process with that pid now: check that it is still the init.
        init = InitProcess(container.init_host_pid, container.owner_uid)
        try:
            is_same = (
                container.is_init(init.status().key)
                and init.pidns_inum() == container.pidns_inum
                and (container.owner_uid is None or init.is_of_user(container.owner_uid))
            )
        finally:
            init.close()
        # Not reaped until now: what was looked at by its pid was the descriptor's process.
        if not is_unreaped(pidfd):
            raise ProcessLookupError(container.init_host_pid)
    except NoAnswerError as error:
        os.close(pidfd)
        raise _unanswered(container.init_host_pid, container.label) from error
    except (FileNotFoundError, ProcessLookupError) as error:
        os.close(pidfd)
        raise TargetNotFoundError(gone) from error
    except PermissionError as error:
        os.close(pidfd)
        raise PrivilegeError(
            f"cannot inspect process {container.init_host_pid}, the init of {container.label}",
            hint="run zomtrace as root",
        ) from error
    if not is_same:
        os.close(pidfd)
        raise TargetNotFoundError(gone)
    return pidfd


def _unanswered(host_pid: int, label: str) -> TargetNotFoundError:
    return TargetNotFoundError(
        f"cannot inspect process {host_pid}, the init of {label}: /proc does not respond",
        hint=f"check what it is blocked in: cat /proc/{host_pid}/status",
    )


def _read(found: FoundContainer, init: InitProcess) -> Container:
    status = init.status()
    raw_cgroup = init.read_cgroup()
    if found.owner_uid is not None and not init.is_of_user(found.owner_uid):
        whose = user_label(found.owner_uid)
        raise TargetNotFoundError(
            f"{found.label} was reported as process {init.host_pid}, which is not in a user"
            f" namespace of {whose}",
            hint=f"{found.engine_address} belongs to {whose}: it is trusted only for their"
            " own processes",
        )
    if status.is_over:
        raise TargetNotFoundError(
            f"container {found.label} is not running: its init ({init.host_pid}) is a zombie",
            hint="`zomtrace zombies` shows which process should reap it",
        )
    _check_identity(found, status, raw_cgroup)
    pidns_inum = init.pidns_inum()
    is_private = pidns_inum != namespace_inum(str(Path("/proc/self/ns/pid").readlink()))
    has_own_pidns = status.is_ns_init and is_private
    cgroup = _cgroup_of(found, raw_cgroup, has_own_pidns=has_own_pidns)
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
        # Where a namespace defines the members, these are not needed.
        descendant_cgroup_ids=(
            ids_below(cgroup) if cgroup is not None and not has_own_pidns else frozenset()
        ),
        owner_uid=found.owner_uid,
        owner=None if found.owner_uid is None else user_label(found.owner_uid),
        namespace_uid=init.namespace_uid(),
        # We signal another user's container ourselves: see tracer.containers.stop.
        runtime_pids=() if found.owner_uid is None else (os.getpid(),),
    )


def _cgroup_of(
    found: FoundContainer, raw_cgroup: bytes, *, has_own_pidns: bool
) -> CgroupDirectory | None:
    inits = find_cgroup(raw_cgroup)
    if inits is None or found.owner_uid is None:
        return top_of(inits, found.id) if inits is not None else None
    # A user who calls a container "user.slice" means that cgroup, but it is root's:
    # without a namespace that defines its members, all of it would be taken for theirs.
    is_delegated = Path(inits.path).stat().st_uid == found.owner_uid
    return inits if has_own_pidns or is_delegated else None


def _check_identity(found: FoundContainer, status: ProcStatus, raw_cgroup: bytes) -> None:
    ticks = (status.start_boot_ns + timens_offset_ns()) // NS_PER_TICK
    if found.init_start_ticks is not None:
        is_same = found.init_start_ticks == ticks
    else:
        is_same = (
            # In another user's state that process is known to be that user's.
            (found.owner_uid is not None and os.fsencode(found.id) in raw_cgroup)
            or is_named_by_root(raw_cgroup, found.id)
            or _started_then(found, status)
        )
    if not is_same:
        raise TargetNotFoundError(
            f"container {found.label} is not running here: its init should be process "
            f"{found.init_host_pid}, but that is {status.comm!r}, a different one",
            hint="it ended without its runtime noticing, or the engine is on another machine "
            "or in another PID namespace",
        )


def _started_then(found: FoundContainer, status: ProcStatus) -> bool:
    if found.started_unix_s is None:
        return False
    age_ns = boot_now_ns() - status.start_boot_ns
    return abs(time.time() - age_ns / 1e9 - found.started_unix_s) < _CLOCK_SLACK_S
