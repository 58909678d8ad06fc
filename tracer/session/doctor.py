"""``zomtrace doctor``: try everything a trace needs, for real, and say what it costs."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from tracer.errors import RuntimeUnreachableError, ZomtraceError
from tracer.model.doctor import CheckState, DoctorCheck, DoctorReport, PlannedHook, RejectedHook
from tracer.model.target import KernelFilter

_BTF = Path("/sys/kernel/btf/vmlinux")
_INIT_PIDNS_INUM = 0xEFFFFFFC
"""The initial PID namespace's inode (include/linux/proc_ns.h, PROC_PID_INIT_INO)."""
_NEEDED_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_SYS_PTRACE": 19, "CAP_KILL": 5}


def examine_host() -> DoctorReport:
    """Check this host by loading and attaching the programs once."""
    checks = [
        _check_privilege(),
        _check_pid_namespace(),
        _check_btf(),
        _check_bcc(),
    ]
    hooks: tuple[PlannedHook, ...] = ()
    if all(check.state is not CheckState.FAIL for check in checks):
        bpf, hooks = _try_bpf()
        checks.append(bpf)
    checks.extend(_check_runtimes())
    return DoctorReport(platform.release(), platform.machine(), tuple(checks), hooks)


def is_initial_pidns() -> bool:
    """Whether the pids we see are the kernel's own."""
    return os.stat("/proc/self/ns/pid").st_ino == _INIT_PIDNS_INUM


def _check_privilege() -> DoctorCheck:
    held = _effective_capabilities()
    missing = [name for name, bit in _NEEDED_CAPABILITIES.items() if not held >> bit & 1]
    if "CAP_SYS_ADMIN" in missing:
        return DoctorCheck(
            "privilege", CheckState.FAIL, f"missing {', '.join(missing)}", "run as root"
        )
    if missing:
        return DoctorCheck(
            "privilege",
            CheckState.WARN,
            f"missing {', '.join(missing)}",
            "other users' processes may be kept from us: run as root",
        )
    return DoctorCheck("privilege", CheckState.OK, f"uid {os.geteuid()}, all capabilities needed")


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _check_pid_namespace() -> DoctorCheck:
    if is_initial_pidns():
        return DoctorCheck("pid namespace", CheckState.OK, "the host's")
    return DoctorCheck(
        "pid namespace",
        CheckState.FAIL,
        "not the host's: the kernel's pids are not those we see",
        "run on the host, or in a container with --pid=host",
    )


def _check_btf() -> DoctorCheck:
    if _BTF.exists():
        size = _BTF.stat().st_size
        return DoctorCheck("BTF", CheckState.OK, f"{_BTF}, {size / 1e6:.1f} MB")
    return DoctorCheck(
        "BTF",
        CheckState.FAIL,
        f"{_BTF} is not there",
        "use a kernel built with CONFIG_DEBUG_INFO_BTF (all distributions' since about 2021)",
    )


def _check_bcc() -> DoctorCheck:
    if importlib.util.find_spec("bcc") is None:
        return DoctorCheck(
            "BCC",
            CheckState.FAIL,
            "the Python module bcc is not there",
            "install python3-bpfcc (Debian, Ubuntu) or python3-bcc (Fedora); PyPI's bcc is"
            " something else",
        )
    return DoctorCheck("BCC", CheckState.OK, "the Python module bcc is there")


def _try_bpf() -> tuple[DoctorCheck, tuple[PlannedHook, ...]]:
    from tracer.kernel.source import BpfSource

    try:
        with BpfSource(everything=False, fresh=True) as source:
            source.start()
            source.set_filter(KernelFilter())
            source.attach()
            hooks = tuple(
                PlannedHook(
                    outcome.state,
                    tuple(RejectedHook(r.source, r.reason) for r in outcome.rejected),
                )
                for outcome in source.outcomes
            )
    except ZomtraceError as error:
        return DoctorCheck("BPF", CheckState.FAIL, error.message, error.hint), ()
    live = sum(1 for hook in hooks if hook.state.source is not None)
    return DoctorCheck("BPF", CheckState.OK, f"{live} hooks loaded, attached and detached"), hooks


def _check_runtimes() -> Iterator[DoctorCheck]:
    from tracer.containers.resolve import running_containers

    try:
        containers = running_containers()
    except RuntimeUnreachableError as error:
        yield DoctorCheck("containers", CheckState.WARN, error.message, error.hint)
        return
    by_runtime: dict[str, int] = {}
    for container in containers:
        by_runtime[container.runtime] = by_runtime.get(container.runtime, 0) + 1
    found = ", ".join(f"{number} of {name}" for name, number in sorted(by_runtime.items()))
    yield DoctorCheck(
        "containers",
        CheckState.OK,
        f"running: {found}" if found else "none running that we can see",
    )
