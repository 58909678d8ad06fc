"""Targets that are no runtime's containers: PID namespaces by their number."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from tracer.containers.cgroup import find_cgroup
from tracer.containers.init_process import InitProcess
from tracer.errors import PrivilegeError, TargetNotFoundError, UsageError
from tracer.model.target import Container

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
            f"{text!r} is no PID namespace",
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
    members = refused = 0
    for process in _iter_processes():
        try:
            found_inum = process.pidns_inum()
            status = process.status()
            if found_inum != inum:
                if status.is_ns_init:
                    others.setdefault(found_inum, status.comm)
                continue
            members += 1
            if status.is_ns_init and not status.is_zombie:
                return _container(process, inum)
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            refused += 1
    listed = ", ".join(f"{other} ({comm})" for other, comm in list(others.items())[:_LISTED])
    if members:
        raise TargetNotFoundError(
            f"PID namespace {inum} is ending: its init is gone, {members} of its processes are not"
        )
    # Root is refused too, by the odd process with capabilities root was not left.
    if refused and os.geteuid() != 0:
        raise PrivilegeError(
            f"cannot see whether PID namespace {inum} is there: {refused} processes keep theirs "
            "from us",
            hint="run zomtrace as root",
        )
    raise TargetNotFoundError(
        f"no process is in PID namespace {inum}",
        hint=f"there are: {listed}" if listed else None,
    )


def _container(init: InitProcess, inum: int) -> Container:
    status = init.status()
    cgroup = find_cgroup(init.read("cgroup"))
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
    )


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
