"""Who held a stop up, and by what: one claim for each process that had to go and did not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tracer.model.claims.claim import Claim
from tracer.model.identity import ProcessKey


class HoldReason(StrEnum):
    """Why a process was still there."""

    DROPPED = "dropped"
    """The kernel dropped the signal: it is PID 1 and has no handler."""
    IGNORED = "ignored"
    """It ignores the signal."""
    NOT_SIGNALLED = "not_signalled"
    """No process sent it the signal, or a translation of it."""
    HANDLING = "handling"
    """It has a handler for the signal, or took it by sigwait, and had not ended."""
    WENT_ON = "went_on"
    """It handled the signal, and has started more than one process since."""
    RAISED_AGAIN = "raised_again"
    """It handled the signal, then sent it to itself to end by the default action, which the
    kernel dropped: it is PID 1."""
    BLOCKED = "blocked"
    """The signal is pending: all of its threads block it."""
    UNINTERRUPTIBLE = "uninterruptible"
    """A thread of it is in uninterruptible sleep."""
    DYING = "dying"
    """Its end has begun (group exit), and a thread of it cannot go."""
    FROZEN = "frozen"
    """Its cgroup is frozen."""
    STOPPED = "stopped"
    """It is stopped by job control."""
    TRACED = "traced"
    """A tracer holds it stopped."""
    UNREAPED = "unreaped"
    """It is a zombie that the process responsible had not reaped."""
    UNKNOWN = "unknown"
    """It was there; nothing that was seen says why."""


CANNOT_RUN = frozenset(
    {
        HoldReason.UNINTERRUPTIBLE,
        HoldReason.DYING,
        HoldReason.FROZEN,
        HoldReason.STOPPED,
        HoldReason.TRACED,
    }
)
"""Reasons that lie outside of the program: whatever it would do, it cannot."""


@dataclass(frozen=True, slots=True)
class HeldThread:
    """The thread that cannot go on.

    Args:
        host_tid: Its number on the host.
        comm: Its name.
        syscall: The system call it is in, or None.
        wchan: The kernel function it sleeps in, or None.
    """

    host_tid: int
    comm: str
    syscall: str | None
    wchan: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(Claim):
    """One process was there when it had to be gone, and held up those who wait for it.

    Args:
        holder: Which.
        reason: Why.
        signo: The signal it was sent: the stop signal or a translation; None = none.
        sender: Who sent it, or None.
        sender_comm: That one's name, or None.
        signalled_ns: When.
        waiters: Who waits for it, the outermost (PID 1) first, its parent last.
        thread: The thread that cannot go on, or None.
        has_handler: It has a handler for that signal.
        tracer_comm: Who holds it stopped, or None.
        tracer_host_pid: That one's number on the host, or None.
        freezer: ``v1`` or ``v2``, where its cgroup is frozen.
        waits_for_shell: Its parent is a shell that has a trap for the signal and runs it
            only after this one has ended.
        is_making_headway: Processes that were there at the signal have ended since, one
            after the other.
    """

    holder: ProcessKey
    reason: HoldReason
    signo: int | None = None
    sender: ProcessKey | None = None
    sender_comm: str | None = None
    signalled_ns: int | None = None
    waiters: tuple[ProcessKey, ...] = ()
    thread: HeldThread | None = None
    has_handler: bool = False
    tracer_comm: str | None = None
    tracer_host_pid: int | None = None
    freezer: str | None = None
    waits_for_shell: bool = False
    is_making_headway: bool = False
