"""The signals of a picture: from whom, to whom, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass

from tracer.model.annotated import Annotated
from tracer.model.events import SignalEvent
from tracer.model.identity import ProcessKey
from tracer.model.signals import Disposition, SignalResult, signal_name
from tracer.model.verdicts import Cause
from tracer.report.jsonlines import is_sent_by_process
from tracer.report.picture.lives import Life, Lives

_RAISED_FOR = frozenset(
    {
        Cause.PIDNS_TEARDOWN,
        Cause.PARENT_DEATH,
        Cause.TRACER_EXIT,
        Cause.OOM,
        Cause.CGROUP_KILL,
    }
)
"""Causes whose context is to blame, though the kernel raised the signal itself."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """One signal.

    Args:
        boot_ns: When, CLOCK_BOOTTIME.
        signal: Its name.
        source: Who sent it or made the kernel raise it; None where the kernel
            did for reasons of its own.
        target: Who it was for.
        is_sent: A process sent it by a system call.
        is_notification: It notifies a parent of a child's exit.
        result: What the kernel did with it.
        disposition: What the target had arranged.
        cause: Why it was sent.
        sender_comm: The name of its sender, else of what ran in the kernel then.
        sender_chain: The sender's ancestors, nearest first.
        sender_syscall: The call it was sent by.
        is_turning_point: Worth keeping when not all can be.
    """

    boot_ns: int
    signal: str
    source: ProcessKey | None
    target: ProcessKey
    is_sent: bool
    is_notification: bool
    result: SignalResult
    disposition: Disposition
    cause: Cause | None
    sender_comm: str
    sender_chain: tuple[str, ...]
    sender_syscall: str | None
    is_turning_point: bool


def read_arrow(annotated: Annotated, event: SignalEvent, lives: Lives) -> Arrow:
    """Make the arrow of a signal; who is not known yet is entered as from outside."""
    process, actor = event.process, event.actor
    is_sent = is_sent_by_process(annotated)
    target = lives.outside(process.host_pid, process.start_boot_ns, process.comm)
    source: Life | None = None
    if event.is_notification:
        child = event.notified_child
        if child is not None:
            source = lives.find(child.host_pid, child.start_boot_ns)
        if source is None and child is None:
            source = lives.find(actor.host_pid, actor.start_boot_ns)
    elif is_sent or annotated.cause in _RAISED_FOR:
        source = lives.outside(actor.host_pid, actor.start_boot_ns, actor.comm)
        source.sent_count += 1
        target.sent_count += 1
    else:
        target.sent_count += 1
    return Arrow(
        boot_ns=event.boot_ns,
        signal=signal_name(event.signo),
        source=source.key if source is not None else None,
        target=target.key,
        is_sent=is_sent,
        is_notification=event.is_notification,
        result=event.result,
        disposition=event.disposition,
        cause=annotated.cause,
        sender_comm=actor.comm,
        sender_chain=actor.chain,
        sender_syscall=actor.syscall if is_sent else None,
        is_turning_point=annotated.is_turning_point,
    )
