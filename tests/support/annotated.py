"""The events of `events`, annotated as a sink gets them: container web of `reports` lives and dies.

Each builder has the name of the event's own and is made of it; what is said here is what the
correlator adds to the event, and what is different on the stage of the reports.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support import events
from tests.support.events import CHLD, KILL, TERM
from tests.support.reports import (
    BEGIN_NS,
    HOOKS,
    INIT_PID,
    MS,
    PIDNS,
    RUNC_CHAIN,
    UTC_OFFSET_NS,
    WEB,
)
from tracer.model.annotated import Annotated
from tracer.model.events import Precision
from tracer.model.identity import Actor, ProcessSnapshot
from tracer.model.signals import Disposition
from tracer.model.target import KernelFilter, Target
from tracer.model.verdicts import Cause, ReapKind
from tracer.model.wait_status import WaitStatus

RUNC = 4801


def a_process(host_pid: int = 4712, comm: str = "worker", **changes: Any) -> ProcessSnapshot:
    """A process of container web, child of its init."""
    return events.a_process(
        host_pid,
        **{
            "comm": comm,
            "start_boot_ns": BEGIN_NS - 1_000 * MS + host_pid,
            "ns_pid": host_pid - INIT_PID + 1,
            "parent": INIT_PID,
            "parent_start_boot_ns": BEGIN_NS - 2_000 * MS,
            "parent_comm": "fwd",
            "parent_pidns_inum": PIDNS,
            "pidns_inum": PIDNS,
            "init_start_boot_ns": BEGIN_NS - 2_000 * MS,
            "is_init": host_pid == INIT_PID,
            **changes,
        },
    )


def an_actor(host_pid: int = RUNC, comm: str = "runc", **changes: Any) -> Actor:
    """The runtime, outside the namespace, calling pidfd_send_signal."""
    return events.an_actor(
        host_pid,
        **{
            "comm": comm,
            "start_boot_ns": BEGIN_NS,
            "ns_pid": 0,
            "chain": RUNC_CHAIN,
            "syscall": "pidfd_send_signal",
            **changes,
        },
    )


def _inside(host_pid: int, comm: str, syscall: str, **changes: Any) -> Actor:
    return an_actor(
        host_pid, comm, ns_pid=host_pid - INIT_PID + 1, chain=(), syscall=syscall, **changes
    )


def attached(**changes: Any) -> Annotated:
    """The hooks went live, watching web."""
    kernel_filter = KernelFilter(pidns_inums=frozenset({PIDNS}))
    plain = replace(
        events.attached(WEB, hooks=HOOKS),
        boot_ns=BEGIN_NS,
        utc_offset_ns=UTC_OFFSET_NS,
        kernel="6.18.0-amd64",
        target=Target("web (docker 3f2a9c1b7d4e)", kernel_filter, (WEB,)),
    )
    return Annotated(replace(plain, **changes), is_turning_point=True)


def a_fork(host_pid: int = 4712, comm: str = "worker", at_ns: int = BEGIN_NS + MS) -> Annotated:
    """Init forked a worker."""
    event = replace(
        events.a_fork(0, host_pid),
        boot_ns=at_ns,
        process=a_process(host_pid, comm),
        creator=_inside(INIT_PID, "fwd", "clone"),
    )
    return Annotated(event, WEB)


def an_exit(
    host_pid: int = 4712,
    comm: str = "worker",
    at_ns: int = BEGIN_NS + 2 * MS,
    *,
    status: WaitStatus | None = None,
    live_threads: int = 0,
    cause: Cause | None = None,
) -> Annotated:
    """A process exited, with code 0 unless given another status."""
    event = replace(
        events.an_exit(0, host_pid, live_threads=live_threads),
        boot_ns=at_ns,
        process=a_process(host_pid, comm),
    )
    if status is not None:
        event = replace(event, status=status)
    return Annotated(event, WEB, cause=cause, is_turning_point=cause is not None)


def a_death(host_pid: int = 4712, comm: str = "worker", at_ns: int = BEGIN_NS) -> Annotated:
    """A process was killed by its namespace's teardown."""
    killed = WaitStatus(None, KILL, False)
    return an_exit(host_pid, comm, at_ns, status=killed, cause=Cause.PIDNS_TEARDOWN)


def a_reap(
    host_pid: int = 4712,
    comm: str = "worker",
    at_ns: int = BEGIN_NS + 3 * MS,
    *,
    zombie_ns: int = 70_000,
    kind: ReapKind = ReapKind.PARENT,
) -> Annotated:
    """A zombie was reaped by init."""
    event = replace(events.a_free(0, host_pid), boot_ns=at_ns, process=a_process(host_pid, comm))
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
    signo: int = TERM,
    cause: Cause | None = Cause.STOP_SIGNAL,
    sender_is_user: bool | None = True,
    is_turning_point: bool = True,
    **changes: Any,
) -> Annotated:
    """The runtime's SIGTERM to an init that handles it."""
    event = events.a_signal(
        at_ns / MS,
        host_pid,
        signo,
        **{
            "process": a_process(host_pid, comm),
            "actor": an_actor(),
            "si_pid": 0,
            "disposition": Disposition.CAUGHT,
            "target_unkillable": host_pid == INIT_PID,
            **changes,
        },
    )
    return Annotated(
        replace(event, boot_ns=at_ns),
        WEB,
        cause=cause,
        sender_is_user=sender_is_user,
        is_turning_point=is_turning_point,
    )


def a_teardown_kill(
    host_pid: int = 4712, comm: str = "worker", at_ns: int = BEGIN_NS + 5 * MS
) -> Annotated:
    """The kernel's SIGKILL to a process that its namespace's init left."""
    actor = _inside(INIT_PID, "fwd", "exit_group", is_exiting=True)
    event = replace(
        events.a_teardown_kill(0, host_pid),
        boot_ns=at_ns,
        process=a_process(host_pid, comm),
        actor=actor,
        target_unkillable=host_pid == INIT_PID,
    )
    return Annotated(
        event, WEB, cause=Cause.PIDNS_TEARDOWN, sender_is_user=False, is_turning_point=True
    )


def a_notice(
    host_pid: int = INIT_PID, comm: str = "fwd", at_ns: int = BEGIN_NS + 4 * MS
) -> Annotated:
    """SIGCHLD to init: a worker exited."""
    return a_signal(
        host_pid,
        comm,
        at_ns,
        signo=CHLD,
        cause=None,
        sender_is_user=False,
        is_turning_point=False,
        si_code=1,
        si_pid=2,
        actor=_inside(4712, "worker", "exit_group"),
        is_notification=True,
        disposition=Disposition.DEFAULT,
    )
