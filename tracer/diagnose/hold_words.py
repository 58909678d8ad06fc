"""Claims about who held a stop up, as clauses of a sentence."""

from __future__ import annotations

from tracer.correlate.correlator import Correlator
from tracer.model.claims.hold import HeldThread, Hold, HoldReason
from tracer.model.identity import ProcessKey
from tracer.model.signals import DEFAULT_IGNORED, signal_name
from tracer.wording import names as wording


def say_hold(correlator: Correlator, hold: Hold, stop_signo: int) -> str:
    """Say who waited for whom, and why the last of them had not gone.

    >>> # tini (pid 1) waited for python3 (pid 2): it was sent SIGTERM by tini and ignores it
    """
    why = say_reason(correlator, hold, stop_signo)
    if not hold.waiters:
        return why
    chain = ", which waited for ".join(
        _name(correlator, key) for key in (*hold.waiters, hold.holder)
    ).replace(", which waited for ", " waited for ", 1)
    return f"{chain}: {why}"


def say_reason(correlator: Correlator, hold: Hold, stop_signo: int) -> str:
    """Say why one process had not gone."""
    name = signal_name(hold.signo if hold.signo is not None else stop_signo)
    match hold.reason:
        case HoldReason.DROPPED:
            return f"the kernel had dropped {name} because it has no handler"
        case HoldReason.IGNORED:
            by_default = (hold.signo or stop_signo) in DEFAULT_IGNORED
            how = ", as is the default action of that signal" if by_default else ""
            sent = _was_sent(correlator, hold, name)
            it = "it" if sent else name
            return f"it {sent}ignores {it}{how}"
        case HoldReason.NOT_SIGNALLED:
            shell = " A shell runs its trap only after its foreground child has ended"
            return f"it was not sent {name}{f'.{shell}' if hold.waits_for_shell else ''}"
        case HoldReason.HANDLING:
            sent = _was_sent(correlator, hold, name)
            if hold.has_handler:
                # Whether it has run yet, or runs still, /proc does not show.
                subject = f"it {sent}its" if sent else "its"
                return f"{subject} {name} handler had not terminated it"
            return f"it {sent}dequeued {'it' if sent else name} but had not exited"
        case HoldReason.WENT_ON:
            return (
                f"it {_was_sent(correlator, hold, name)}handled {name} and kept running: its"
                " handler had not terminated it, and it had started other processes since"
            )
        case HoldReason.RAISED_AGAIN:
            return (
                f"it handled {name}, then sent the signal to itself again, to end by its default"
                " action, but the kernel drops that at PID 1, and it kept running"
            )
        case HoldReason.BLOCKED:
            return f"it blocks {name}, which was still pending"
        case HoldReason.UNREAPED:
            return "it had exited but had not been reaped"
        case HoldReason.UNKNOWN:
            return "why it had not exited is unknown: /proc was not read in time"
        case _:
            return _say_why_it_cannot(hold, name)


def _say_why_it_cannot(hold: Hold, name: str) -> str:
    """Say what kept a process from running, whatever its program would have done."""
    asleep = f"{_say_thread(hold.thread)} was in uninterruptible sleep (state D)"
    match hold.reason:
        case HoldReason.UNINTERRUPTIBLE:
            return f"{asleep}{_where(hold.thread)}"
        case HoldReason.DYING:
            of = f" of {name}" if hold.signo is not None else ""
            begun = f"it was already dying{of} (its group exit had begun)"
            if hold.thread is None:
                return f"{begun}, but one of its threads had not exited"
            return f"{begun}, but {asleep}{_where(hold.thread)} and could not exit"
        case HoldReason.FROZEN:
            return "it was paused (its cgroup was frozen), and a paused process handles no signal"
        case HoldReason.STOPPED:
            return "it was stopped (SIGSTOP), and a stopped process handles no signal but SIGKILL"
        case _:
            return (
                f"a tracer{_tracer(hold)} had stopped it, and a stopped process handles no signal"
                " but SIGKILL"
            )


def say_briefly(hold: Hold, stop_signo: int) -> str:
    """Say the reason in a few words: for a title, and while a stop goes on."""
    name = signal_name(hold.signo if hold.signo is not None else stop_signo)
    asleep = f"a thread is in uninterruptible sleep{_where(hold.thread)}"
    words = {
        HoldReason.DROPPED: f"has no handler for {name}",
        HoldReason.IGNORED: f"ignores {name}",
        HoldReason.NOT_SIGNALLED: f"was not sent {name}",
        HoldReason.HANDLING: f"{_took(hold, 'has')} {name} and has not exited",
        HoldReason.WENT_ON: f"handled {name} and keeps running",
        HoldReason.RAISED_AGAIN: f"raised {name} again, which has no effect in PID 1",
        HoldReason.BLOCKED: f"blocks {name}",
        HoldReason.UNINTERRUPTIBLE: f"is in uninterruptible sleep{_where(hold.thread)}",
        HoldReason.DYING: f"is exiting, but {asleep}",
        HoldReason.FROZEN: "is paused (frozen cgroup)",
        HoldReason.STOPPED: "is stopped (SIGSTOP)",
        HoldReason.TRACED: "is stopped by a tracer",
        HoldReason.UNREAPED: "is a zombie that has not been reaped",
        HoldReason.UNKNOWN: "has not exited",
    }
    return words[hold.reason]


def say_what_it_did(hold: Hold, stop_signo: int) -> str:
    """Say the reason as a relative clause about the past: ``ignores SIGTERM``."""
    name = signal_name(hold.signo if hold.signo is not None else stop_signo)
    asleep = f"a thread was in uninterruptible sleep{_where(hold.thread)}"
    words = {
        HoldReason.HANDLING: f"{_took(hold, 'had')} {name} and had not exited",
        HoldReason.WENT_ON: f"handled {name} and kept running",
        HoldReason.RAISED_AGAIN: f"raised {name} again, which had no effect in PID 1",
        HoldReason.BLOCKED: f"blocked {name}",
        HoldReason.UNINTERRUPTIBLE: f"was in uninterruptible sleep{_where(hold.thread)}",
        HoldReason.DYING: f"was exiting, but {asleep}",
        HoldReason.FROZEN: "was paused (frozen cgroup)",
        HoldReason.STOPPED: "was stopped (SIGSTOP)",
        HoldReason.TRACED: "was stopped by a tracer",
        HoldReason.UNREAPED: "was a zombie that had not been reaped",
        HoldReason.UNKNOWN: "had not exited",
    }
    return words.get(hold.reason) or say_briefly(hold, stop_signo)


def _took(hold: Hold, has: str) -> str:
    return f"{has} a handler for" if hold.has_handler else "dequeued"


def _tracer(hold: Hold) -> str:
    if hold.tracer_comm is None:
        return ""
    number = f" (host pid {hold.tracer_host_pid})" if hold.tracer_host_pid is not None else ""
    return f", {hold.tracer_comm}{number},"


def _was_sent(correlator: Correlator, hold: Hold, name: str) -> str:
    if not hold.waiters or hold.sender is None:
        return ""
    comm = correlator.table.comm_of(hold.sender) or hold.sender_comm
    return f"was sent {name} by {comm} and "


def _name(correlator: Correlator, key: ProcessKey) -> str:
    state = correlator.table.get(key)
    return wording.named(state) if state is not None else f"pid {key.host_pid}"


def _say_thread(thread: HeldThread | None) -> str:
    return (
        "one of its threads"
        if thread is None
        else f"its thread {thread.comm} (tid {thread.host_tid})"
    )


def _where(thread: HeldThread | None) -> str:
    if thread is None or not (thread.syscall or thread.wchan):
        return ""
    if thread.syscall and thread.wchan:
        return f" in {thread.syscall} ({thread.wchan})"
    return f" in {thread.syscall or thread.wchan}"
