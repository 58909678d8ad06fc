"""Events made by hand: a container's life and death, one builder a kind."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.report_samples import BEGIN_NS, HOOKS, INIT_PID, MS, PIDNS, UTC_OFFSET_NS, WEB
from tracer.model.annotated import Annotated
from tracer.model.events import (
    AttachedEvent,
    ExitEvent,
    ForkEvent,
    Precision,
    ReapEvent,
    SigchldAction,
    SignalEvent,
    SignalInfo,
)
from tracer.model.identity import Actor, ProcessSnapshot
from tracer.model.signals import Disposition, SignalResult
from tracer.model.target import KernelFilter, Target
from tracer.model.verdicts import Cause, ReapKind
from tracer.model.wait_status import WaitStatus

SIGKILL = 9
SIGTERM = 15
SIGCHLD = 17


def a_snapshot(host_pid: int = 4712, comm: str = "worker", **changes: object) -> ProcessSnapshot:
    """A process of container web, child of its init."""
    plain = ProcessSnapshot(
        host_pid=host_pid,
        start_boot_ns=BEGIN_NS - 1_000 * MS + host_pid,
        ns_pid=host_pid - INIT_PID + 1,
        comm=comm,
        parent_host_pid=INIT_PID,
        parent_start_boot_ns=BEGIN_NS - 2_000 * MS,
        parent_comm="fwd",
        parent_pidns_inum=PIDNS,
        pidns_inum=PIDNS,
        pidns_level=1,
        init_start_boot_ns=BEGIN_NS - 2_000 * MS,
        cgroup_id=4242,
        is_init=host_pid == INIT_PID,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def an_actor(host_pid: int = 4801, comm: str = "runc", **changes: object) -> Actor:
    """The runtime, outside the namespace, calling pidfd_send_signal."""
    plain = Actor(
        host_pid=host_pid,
        start_boot_ns=BEGIN_NS,
        host_tid=host_pid,
        ns_pid=0,
        comm=comm,
        chain=("containerd-shim", "systemd"),
        syscall="pidfd_send_signal",
        is_exiting=False,
        is_kernel_thread=False,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def attached(**changes: object) -> Annotated:
    """The hooks went live, watching web."""
    plain = AttachedEvent(
        boot_ns=BEGIN_NS,
        utc_offset_ns=UTC_OFFSET_NS,
        kernel="6.18.0-amd64",
        machine="x86_64",
        source="bpf",
        hooks=HOOKS,
        target=Target(
            "web (docker 3f2a9c1b7d4e)", KernelFilter(pidns_inums=frozenset({PIDNS})), (WEB,)
        ),
    )
    return Annotated(replace(plain, **changes), is_turning_point=True)  # type: ignore[arg-type]


def a_fork(host_pid: int = 4712, comm: str = "worker", at_ns: int = BEGIN_NS + MS) -> Annotated:
    """Init forked a worker."""
    creator = an_actor(INIT_PID, "fwd", ns_pid=1, chain=(), syscall="clone")
    return Annotated(ForkEvent(at_ns, a_snapshot(host_pid, comm), creator, SIGCHLD), WEB)


def an_exit(
    host_pid: int = 4712,
    comm: str = "worker",
    at_ns: int = BEGIN_NS + 2 * MS,
    *,
    status: WaitStatus | None = None,
    live_threads: int = 0,
    cause: Cause | None = None,
) -> Annotated:
    """A process ended; with code 0 unless told otherwise."""
    event = ExitEvent(
        boot_ns=at_ns,
        process=a_snapshot(host_pid, comm),
        status=status or WaitStatus(0, None, False),
        live_threads=live_threads,
        exit_signo=SIGCHLD,
        parent_sigchld=SigchldAction.DEFAULT,
        parent_nocldwait=False,
        tracer_host_pid=None,
    )
    return Annotated(event, WEB, cause=cause, is_turning_point=cause is not None)


def a_death(host_pid: int = 4712, comm: str = "worker", at_ns: int = BEGIN_NS) -> Annotated:
    """A process died by its namespace's teardown."""
    return an_exit(
        host_pid,
        comm,
        at_ns,
        status=WaitStatus(None, SIGKILL, False),
        cause=Cause.PIDNS_TEARDOWN,
    )


def a_reap(
    host_pid: int = 4712,
    comm: str = "worker",
    at_ns: int = BEGIN_NS + 3 * MS,
    *,
    zombie_ns: int = 70_000,
    kind: ReapKind = ReapKind.PARENT,
) -> Annotated:
    """A zombie was collected by init."""
    event = ReapEvent(at_ns, a_snapshot(host_pid, comm), None, Precision.UPPER_BOUND)
    return Annotated(
        event,
        WEB,
        zombie_ns=zombie_ns,
        reap_kind=kind,
        reaper_host_pid=INIT_PID,
        reaper_comm="fwd",
        precision=Precision.UPPER_BOUND,
    )


def a_signal(
    host_pid: int = INIT_PID,
    comm: str = "fwd",
    at_ns: int = BEGIN_NS + MS,
    *,
    signo: int = SIGTERM,
    cause: Cause | None = Cause.STOP_SIGNAL,
    sender_is_user: bool | None = True,
    is_turning_point: bool = True,
    **changes: object,
) -> Annotated:
    """The runtime's SIGTERM to an init that handles it."""
    plain = SignalEvent(
        boot_ns=at_ns,
        process=a_snapshot(host_pid, comm),
        target_host_tid=host_pid,
        signo=signo,
        info=SignalInfo.FILLED,
        si_code=0,
        si_pid=0,
        actor=an_actor(),
        result=SignalResult.DELIVERED,
        disposition=Disposition.CAUGHT,
        is_group=True,
        target_group_exit=False,
        target_live_threads=1,
        target_exit_state=0,
        target_unkillable=host_pid == INIT_PID,
        target_pdeath_signo=0,
        actor_is_reaper=False,
        actor_is_self=False,
        actor_is_tracer=False,
        is_notification=False,
        notified_child=None,
        parent_nocldwait=False,
    )
    return Annotated(
        replace(plain, **changes),  # type: ignore[arg-type]
        WEB,
        cause=cause,
        sender_is_user=sender_is_user,
        is_turning_point=is_turning_point,
    )


def a_teardown_kill(
    host_pid: int = 4712, comm: str = "worker", at_ns: int = BEGIN_NS + 5 * MS
) -> Annotated:
    """The kernel's SIGKILL to what its namespace's ended init left."""
    actor = an_actor(INIT_PID, "fwd", ns_pid=1, is_exiting=True, chain=(), syscall="exit_group")
    return a_signal(
        host_pid,
        comm,
        at_ns,
        signo=SIGKILL,
        cause=Cause.PIDNS_TEARDOWN,
        sender_is_user=False,
        info=SignalInfo.KERNEL,
        si_code=None,
        si_pid=None,
        actor=actor,
        actor_is_reaper=True,
        disposition=Disposition.DEFAULT,
    )


def a_notification(
    host_pid: int = INIT_PID, comm: str = "fwd", at_ns: int = BEGIN_NS + 4 * MS
) -> Annotated:
    """SIGCHLD to init: a worker ended."""
    return a_signal(
        host_pid,
        comm,
        at_ns,
        signo=SIGCHLD,
        cause=None,
        sender_is_user=False,
        is_turning_point=False,
        si_code=1,
        si_pid=2,
        actor=an_actor(4712, "worker", ns_pid=2, chain=(), syscall="exit_group"),
        is_notification=True,
        disposition=Disposition.DEFAULT,
    )
