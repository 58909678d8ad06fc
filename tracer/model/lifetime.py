"""A whole lifetime as one event, and the events it stands for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tracer.model.events import (
    ExecEvent,
    ExitEvent,
    ForkEvent,
    KernelEvent,
    LifetimeEvent,
    Precision,
    ReapEvent,
    SignalEvent,
    SignalInfo,
)
from tracer.model.identity import Actor, ProcessSnapshot
from tracer.model.signals import SIGCHLD


def split_lifetime(lifetime: LifetimeEvent) -> Iterator[KernelEvent]:
    """Split a lifetime into events, as the kernel side would have emitted them unfolded.

    Each has the time at which it happened. What the one record does not hold of
    the parent (its own namespace number, its cgroup, its own parent) is unknown.
    """
    process, precision = lifetime.process, lifetime.precision
    parent = Actor(
        host_pid=process.parent_host_pid or 0,
        start_boot_ns=process.parent_start_boot_ns,
        host_tid=None,
        ns_pid=None,
        comm=process.parent_comm or "",
        chain=(),
        syscall=None,
        is_exiting=False,
        is_kernel_thread=False,
    )
    yield ForkEvent(lifetime.forked_ns, replace(process, comm=lifetime.born_comm), parent, SIGCHLD)
    if lifetime.exec_ns is not None:
        yield ExecEvent(lifetime.exec_ns, replace(process, comm=lifetime.executed or process.comm))
    if lifetime.exit_ns is None or lifetime.status is None:
        return
    yield ExitEvent(
        boot_ns=lifetime.exit_ns,
        process=process,
        status=lifetime.status,
        live_threads=0,
        exit_signo=SIGCHLD,
        parent_sigchld=lifetime.parent_sigchld,
        parent_nocldwait=False,
        tracer_host_pid=None,
    )
    if lifetime.notified_ns is not None:
        yield _notification(lifetime, lifetime.notified_ns, parent)
    if precision is not None:
        yield ReapEvent(
            boot_ns=lifetime.boot_ns,
            process=process,
            actor=parent if precision is Precision.EXACT else None,
            precision=precision,
            status=lifetime.status,
            parent_sigchld=lifetime.parent_sigchld,
            seen_boot_ns=lifetime.seen_boot_ns,
        )


def _notification(lifetime: LifetimeEvent, notified_ns: int, parent: Actor) -> SignalEvent:
    child = lifetime.process
    notified = ProcessSnapshot(
        host_pid=parent.host_pid,
        start_boot_ns=parent.start_boot_ns or 0,
        ns_pid=None,
        comm=parent.comm,
        parent_host_pid=None,
        parent_start_boot_ns=None,
        parent_comm=None,
        parent_pidns_inum=None,
        # Who is put into a namespace by a parent outside is not folded.
        pidns_inum=child.pidns_inum,
        pidns_level=child.pidns_level,
        init_start_boot_ns=child.init_start_boot_ns,
        cgroup_id=None,
        is_init=False,
    )
    return SignalEvent(
        boot_ns=notified_ns,
        process=notified,
        target_host_tid=notified.host_pid,
        signo=SIGCHLD,
        info=SignalInfo.FILLED,
        si_code=lifetime.si_code,
        si_pid=lifetime.si_pid,
        actor=Actor(
            host_pid=child.host_pid,
            start_boot_ns=child.start_boot_ns,
            host_tid=child.host_pid,
            ns_pid=lifetime.si_pid,
            comm=child.comm,
            chain=(),
            syscall=None,
            is_exiting=True,
            is_kernel_thread=False,
        ),
        result=lifetime.result,
        disposition=lifetime.disposition,
        is_group=True,
        target_group_exit=False,
        target_live_threads=1,
        target_exit_state=0,
        target_unkillable=False,
        target_pdeath_signo=0,
        actor_is_reaper=False,
        actor_is_self=False,
        actor_is_tracer=False,
        is_notification=True,
        notified_child=child.key,
        parent_nocldwait=False,
    )
