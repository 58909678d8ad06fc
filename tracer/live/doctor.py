"""``zomtrace doctor``: try everything a trace needs, for real, and say what it costs."""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
from collections.abc import Iterator
from pathlib import Path

from tracer.containers.access import closed_sockets, present, unreadable
from tracer.containers.paths import RuntimePaths
from tracer.errors import RuntimeUnreachableError, ZomtraceError
from tracer.kernel import rights
from tracer.live.surroundings import Surroundings
from tracer.model.doctor import CheckState, DoctorCheck, DoctorReport, PlannedHook, RejectedHook
from tracer.model.rights import (
    ASK_ENGINES,
    LISTEN_TO_PROCESSES,
    LOAD_BPF,
    READ_STATE,
    RIGHTS,
    SEE_PROCESSES,
    Right,
    names,
)
from tracer.model.target import KernelFilter

_BTF = Path("/sys/kernel/btf/vmlinux")


def examine_host() -> DoctorReport:
    """Check this host by loading and attaching the programs once."""
    around = Surroundings.of_this_process()
    paths = RuntimePaths.of_host()
    needs = [_check_btf(around), _check_bcc(), _check_open_files()]
    bpf: DoctorCheck | None = None
    hooks: tuple[PlannedHook, ...] = ()
    if all(check.state is not CheckState.FAIL for check in needs):
        bpf, hooks = _try_bpf()
    checks = [
        _check_place(around),
        # What the loader could do is what counts; the table says why it could not.
        *(_check_right(right, bpf, paths) for right in RIGHTS),
        _check_pid_namespace(around),
        _check_proc(around),
        _check_cgroups(around),
        *needs,
        *([] if bpf is None else [bpf]),
        *_check_runtimes(around, paths),
    ]
    return DoctorReport(platform.release(), platform.machine(), tuple(checks), hooks)


def _check_place(around: Surroundings) -> DoctorCheck:
    if not around.is_confined:
        return DoctorCheck("place", CheckState.OK, "the host itself")
    what = f"a container ({around.marker})" if around.marker else "a container, or confined"
    detail = f"in {what}: {', '.join(around.own_namespaces)} not the host's"
    if "user" in around.own_namespaces:
        return DoctorCheck(
            "place",
            CheckState.FAIL,
            f"{detail}; capabilities in a user namespace do not apply to the kernel",
            "run as the host's root, not in a rootless or userns-remapped container",
        )
    return DoctorCheck("place", CheckState.OK, detail)


def _check_right(right: Right, bpf: DoctorCheck | None, paths: RuntimePaths) -> DoctorCheck:
    lacking = rights.missing(right)
    if lacking is None:
        held = rights.effective_capabilities()
        served = next(c for c in right.ordered_choices if all(held >> each & 1 for each in c))
        return DoctorCheck(right.name, CheckState.OK, f"{names(served)}: {right.purpose}")
    if right is LOAD_BPF and bpf is not None and bpf.state is CheckState.OK:
        return DoctorCheck(right.name, CheckState.OK, f"without {lacking}: the kernel allows it")
    if right is LISTEN_TO_PROCESSES and bpf is not None and bpf.state is CheckState.OK:
        return DoctorCheck(right.name, CheckState.OK, f"without {lacking}: {right.loss}")
    loss = right.loss
    if right in (READ_STATE, ASK_ENGINES):
        kept = unreadable(paths) if right is READ_STATE else closed_sockets(paths)
        if not kept:
            return DoctorCheck(right.name, CheckState.OK, "all of it is accessible")
        loss = f"{', '.join(str(path) for path in kept)}: {loss}"
    return DoctorCheck(
        right.name,
        CheckState.FAIL if right.is_required else CheckState.WARN,
        f"missing {lacking}: {loss}",
        f"grant {', or '.join(names(choice) for choice in right.ordered_choices)}",
    )


def _check_pid_namespace(around: Surroundings) -> DoctorCheck:
    if "pid" not in around.own_namespaces:
        return DoctorCheck("pid namespace", CheckState.OK, "the host's")
    return DoctorCheck(
        "pid namespace",
        CheckState.FAIL,
        "not the host's: pids here differ from the kernel's",
        "run on the host, or in a container with --pid=host",
    )


def _check_proc(around: Surroundings) -> DoctorCheck:
    if not around.proc_is_ours:
        return DoctorCheck(
            "/proc",
            CheckState.FAIL,
            "is not mounted, or shows a different PID namespace than that of this process",
            "mount a /proc of this PID namespace",
        )
    if around.proc_hides_others and rights.missing(SEE_PROCESSES) is not None:
        return DoctorCheck(
            "/proc",
            CheckState.WARN,
            "mounted with hidepid: other users' processes are invisible",
            "grant CAP_SYS_PTRACE, or mount it without hidepid",
        )
    return DoctorCheck("/proc", CheckState.OK, "shows the processes of this PID namespace")


def _check_cgroups(around: Surroundings) -> DoctorCheck:
    losses = "pids.max, pids.events and memory limits of containers are not known (ZT301)"
    if not around.has_cgroups:
        return DoctorCheck(
            "cgroups",
            CheckState.WARN,
            f"no hierarchy is mounted on /sys/fs/cgroup: {losses}; --cgroup finds nothing",
            "mount it: -v /sys/fs/cgroup:/sys/fs/cgroup:ro",
        )
    if "cgroup" in around.own_namespaces:
        return DoctorCheck(
            "cgroups",
            CheckState.WARN,
            f"a cgroup namespace of its own: {losses}",
            "run with --cgroupns=host and -v /sys/fs/cgroup:/sys/fs/cgroup:ro",
        )
    return DoctorCheck("cgroups", CheckState.OK, "the host's, on /sys/fs/cgroup")


def _check_open_files() -> DoctorCheck:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < rights.TRACE_DESCRIPTORS:
        return DoctorCheck(
            "open files",
            CheckState.FAIL,
            f"at most {limit} are allowed, a trace needs {rights.TRACE_DESCRIPTORS}",
            f"ulimit -n {rights.TRACE_DESCRIPTORS} or more; each traced container takes one",
        )
    return DoctorCheck("open files", CheckState.OK, f"up to {limit}")


def _check_btf(around: Surroundings) -> DoctorCheck:
    if os.access(_BTF, os.R_OK):
        size = _BTF.stat().st_size
        return DoctorCheck("BTF", CheckState.OK, f"{_BTF}, {size / 1e6:.1f} MB")
    if around.is_confined:
        return DoctorCheck(
            "BTF",
            CheckState.FAIL,
            f"{_BTF} cannot be read here",
            "mount it: -v /sys/kernel/btf:/sys/kernel/btf:ro; the host's kernel must have it too",
        )
    return DoctorCheck(
        "BTF",
        CheckState.FAIL,
        f"{_BTF} is missing",
        "use a kernel built with CONFIG_DEBUG_INFO_BTF (distribution kernels since about 2021)",
    )


def _check_bcc() -> DoctorCheck:
    if importlib.util.find_spec("bcc") is None:
        return DoctorCheck(
            "BCC",
            CheckState.FAIL,
            "the Python module bcc is missing",
            "install python3-bpfcc (Debian, Ubuntu) or python3-bcc (Fedora); PyPI's bcc is"
            " a different project",
        )
    return DoctorCheck("BCC", CheckState.OK, "the Python module bcc is installed")


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
            log = source.log
    except ZomtraceError as error:
        log = "\n".join(getattr(error, "__notes__", ()))
        return DoctorCheck("BPF", CheckState.FAIL, error.message, error.hint, log=log), ()
    live = sum(1 for hook in hooks if hook.state.source is not None)
    detail = f"{live} hooks loaded, attached and detached"
    return DoctorCheck("BPF", CheckState.OK, detail, log=log), hooks


def _check_runtimes(around: Surroundings, paths: RuntimePaths) -> Iterator[DoctorCheck]:
    from tracer.containers.resolve import running_containers

    if around.is_confined and not present(paths):
        yield DoctorCheck(
            "runtimes",
            CheckState.WARN,
            "no runtime's socket or state is mounted here: containers cannot be found by name",
            "mount what exists: -v /run/docker.sock:/run/docker.sock, /run/containerd, /run/runc",
        )
    try:
        containers = running_containers(paths)
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
        f"running: {found}" if found else "no running container is visible",
    )
