"""Targets that are no runtime's containers: PID namespaces by their number."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from tracer.containers.access import lacks
from tracer.containers.init_process import InitProcess
from tracer.errors import PrivilegeError, TargetNotFoundError, UsageError
from tracer.model.rights import SEE_PROCESSES
from tracer.model.target import Container
from tracer.procfs.cgroup import find_cgroup
from tracer.procfs.patience import NoAnswerError
from tracer.procfs.status import is_ns_init

RUNTIME = "pidns"
"""What :class:`Container` says of a namespace that was named by its number."""
_LISTED = 5


def parse_pidns(text: str) -> int:
    """Read ``4026532201`` or ``pid:[4026532201]``.

    Raises:
        UsageError: It is neither.
    """
    match = re.fullmatch(r"(?:pid:\[)?(\d{1,10})\]?", text.strip(), re.ASCII)
    if match is None or text.strip().startswith("pid:") != text.strip().endswith("]"):
        raise UsageError(
            f"{text!r} is not a PID namespace",
            hint="give the number that `readlink /proc/PID/ns/pid` prints",
        )
    return int(match[1])


def resolve_pidns(inum: int) -> Container:
    """Find a PID namespace and its init.

    Args:
        inum: The inode that ``readlink /proc/PID/ns/pid`` prints.

    Raises:
        TargetNotFoundError: No process is in such a namespace, or its init
            cannot be seen.
        PrivilegeError: Namespaces of other processes are kept from us.
    """
    others: dict[int, str] = {}
    members = refused = silent = 0
    for process in _inits_first():
        try:
            found_inum = process.pidns_inum()
            status = process.status()
            if found_inum != inum:
                if status.is_ns_init:
                    others.setdefault(found_inum, status.comm)
                continue
            members += 1
            if status.is_ns_init and not status.is_over:
                return _container(process, inum)
        except NoAnswerError:
            silent += 1
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            refused += 1
    listed = ", ".join(f"{other} ({comm})" for other, comm in list(others.items())[:_LISTED])
    if members:
        raise TargetNotFoundError(
            f"PID namespace {inum} is being torn down: its init has exited,"
            f" {members} of its processes remain"
        )
    if silent:
        raise TargetNotFoundError(
            f"cannot tell whether PID namespace {inum} exists: /proc does not respond for"
            f" {silent} processes",
            hint="terminate the processes on which `ps` hangs, or trace the whole host with --all",
        )
    # A container's root may be without it too.
    lacking = lacks(SEE_PROCESSES)
    if refused and lacking:
        raise PrivilegeError(
            f"cannot tell whether PID namespace {inum} exists: the namespaces of {refused}"
            f" processes cannot be read, {lacking} is missing",
            hint=f"run as root, or with {lacking}",
        )
    raise TargetNotFoundError(
        f"no process is in PID namespace {inum}",
        hint=f"existing PID namespaces: {listed}" if listed else None,
    )


def _container(init: InitProcess, inum: int) -> Container:
    status = init.status()
    cgroup = find_cgroup(init.read_cgroup())
    return Container(
        id=f"pid:[{inum}]",
        name=f"pid:[{inum}]",
        runtime=RUNTIME,
        init_host_pid=init.host_pid,
        init_start_boot_ns=status.start_boot_ns,
        pidns_inum=inum,
        has_own_pidns=True,
        cgroup_path=cgroup.path if cgroup else None,
        cgroup_id=cgroup.id if cgroup else None,
        cgroup_hierarchy=cgroup.hierarchy if cgroup else None,
        namespace_uid=init.namespace_uid(),
    )


def _inits_first() -> Iterator[InitProcess]:
    # How often one is not answered is bounded: members that do not answer must not
    # use that up before their inits are asked.
    for want_init in (True, False):
        for process in _iter_processes():
            try:
                is_init = is_ns_init(process.read("status"))
            except (FileNotFoundError, ProcessLookupError):
                continue
            if is_init == want_init:
                yield process


def _iter_processes() -> Iterator[InitProcess]:
    with os.scandir("/proc") as entries:
        pids = sorted(int(entry.name) for entry in entries if entry.name.isdecimal())
    for pid in pids:
        try:
            process = InitProcess(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        try:
            yield process
        finally:
            process.close()
