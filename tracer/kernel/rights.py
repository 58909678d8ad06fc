"""What this process may do: its capabilities, and what takes away from them."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

from tracer.errors import BpfUnavailableError, PrivilegeError
from tracer.kernel.btf import KernelBtf
from tracer.model.rights import (
    LOAD_BPF,
    SEE_PROCESSES,
    Right,
    held_capabilities,
    is_initial_userns,
    names,
    status_field,
)

LOCKDOWN = Path("/sys/kernel/security/lockdown")

TRACE_DESCRIPTORS = 64
"""Open files that tracing one container takes at the least."""

_NEEDED_MEMLOCK = 64 << 20
"""What the maps take, generously; only kernels before 5.11 count it."""
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC})
"""ENOSPC is what perf says where there are no more events to be had."""


def effective_capabilities() -> int:
    """The capabilities of this process that count for the kernel itself, as a mask.

    Source:
        /proc/self/status, CapEff; /proc/self/ns/user.
    """
    return held_capabilities(_read_status(), _userns_inum())


def is_in_user_namespace() -> bool:
    """Whether the capabilities held here apply to a part of the host only."""
    return not is_initial_userns(_userns_inum())


def is_seccomp_filtered() -> bool:
    """Whether a seccomp filter decides about system calls."""
    return status_field(_read_status(), "Seccomp") == "2"


def missing(right: Right) -> str | None:
    """Say which capabilities a right lacks, or None."""
    lacking = right.missing(effective_capabilities())
    return names(lacking) if lacking else None


def unseen() -> str | None:
    """Say what of other users' processes will not be known, or None."""
    lacking = missing(SEE_PROCESSES)
    if lacking is None:
        return None
    return f"{lacking} is missing: what other users' processes are blocked in is unknown"


def refuse_by_errno(code: int, action: str) -> None:
    """Raise where an errno means that this process, or this host, may not use BPF at all.

    Raises:
        BpfUnavailableError: The kernel is locked down, or short of something.
        PrivilegeError: A capability is missing, or something else forbids it.
    """
    if is_locked_down():
        raise BpfUnavailableError(
            "this kernel is locked down (confidentiality): BPF may not read its memory",
            hint="boot with lockdown=integrity, which allows BPF to read",
        )
    if code == errno.EMFILE:
        raise too_few_descriptors(action)
    if code in _SHORTAGES:
        raise BpfUnavailableError(
            f"{action}: {os.strerror(code)}", hint="free some of it on the host"
        )
    if code in {errno.EPERM, errno.EACCES}:
        raise _refusal(action)


def is_shortage(error: OSError) -> bool:
    """Whether the host has run out of something: no reason to do without a hook."""
    return error.errno in _SHORTAGES


def too_few_descriptors(action: str) -> BpfUnavailableError:
    """The error where the limit of open files is reached."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return BpfUnavailableError(
        f"{action}: too many open files: at most {limit} are allowed",
        hint=f"a trace needs {TRACE_DESCRIPTORS}, and one more per container: raise ulimit -n",
    )


def is_locked_down() -> bool:
    """Whether lockdown is at confidentiality, which forbids BPF to read memory."""
    try:
        return "[confidentiality]" in LOCKDOWN.read_text()
    except OSError:
        return False


def _refusal(action: str) -> PrivilegeError:
    if is_in_user_namespace():
        return PrivilegeError(
            f"{action} is not permitted in a user namespace, regardless of the capabilities held"
            " in it",
            hint="run as the host's root, not in a rootless container",
        )
    lacking = missing(LOAD_BPF)
    if lacking is not None:
        return PrivilegeError(
            f"{action} is not permitted: {lacking} missing",
            hint="run as root, or grant CAP_BPF and CAP_PERFMON (docker run --cap-add)",
        )
    memlock, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if memlock != resource.RLIM_INFINITY and memlock < _NEEDED_MEMLOCK and _counts_memlock():
        return PrivilegeError(
            f"{action} is not permitted: this kernel counts BPF's memory as locked, of which"
            f" {memlock >> 10} KiB are allowed, and CAP_SYS_RESOURCE is missing",
            hint="run as root, grant CAP_SYS_RESOURCE, or set ulimit -l unlimited",
        )
    who = "a seccomp filter" if is_seccomp_filtered() else "a security module"
    return PrivilegeError(
        f"{action} is not permitted, though the capabilities are held: {who} forbids it",
        hint="in a container: docker run --security-opt seccomp=unconfined; else see the"
        " audit log for AppArmor's or SELinux's denials",
    )


def _counts_memlock() -> bool:
    """Whether BPF's memory counts as locked: memory cgroups account for it since 5.11."""
    try:
        with KernelBtf() as btf:
            return btf.has_function("bpf_map_charge_init")
    except BpfUnavailableError:
        return False


def _read_status() -> str:
    return Path("/proc/self/status").read_text()


def _userns_inum() -> int:
    return os.stat("/proc/self/ns/user").st_ino
