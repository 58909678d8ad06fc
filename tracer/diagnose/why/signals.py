"""The signals that could end a process, as steps."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.diagnose.why.evidence import Evidence
from tracer.model.events import SignalEvent
from tracer.model.report import ProcessReport
from tracer.model.signals import Disposition, SignalResult, signal_name
from tracer.model.verdicts import Cause
from tracer.model.why import WhyStep
from tracer.wording.causes import CAUSES, KERNELS_OWN_CLAUSE
from tracer.wording.why_words import call_words, sender_words


def signal_steps(
    evidence: Evidence, process: ProcessReport, *, only_fatal: bool, whom: str = "it"
) -> Iterator[WhyStep]:
    """The signals that a process was sent which could end it: by whom, and why.

    Args:
        evidence: What there is.
        process: The process.
        only_fatal: The one it died of alone.
        whom: What to call the process.
    """
    key = (process.host_pid, process.start_boot_ns)
    commands = evidence.commands
    for annotated in evidence.signals:
        event = annotated.event
        if not isinstance(event, SignalEvent) or event.process.key != key:
            continue
        if annotated.cause is None or event.target_live_threads == 0:
            continue
        name = signal_name(event.signo)
        is_fatal = event.boot_ns == process.signal_boot_ns
        if only_fatal and not is_fatal:
            continue
        by = (
            f"{sender_words(event)} sent {whom} {name}{call_words(event)}"
            if annotated.sender_is_user
            else f"The kernel sent {whom} {name} while {event.actor.comm}"
            f" (host pid {event.actor.host_pid}) was running"
        )
        cause = process.cause if is_fatal and process.cause is not None else annotated.cause
        by += f" (`{commands[event.actor.key]}`)" if event.actor.key in commands else ""
        clause = CAUSES[cause].clause
        if cause is Cause.UNKNOWN and event.actor_is_self and not annotated.sender_is_user:
            by, clause = f"The kernel sent {whom} {name}", KERNELS_OWN_CLAUSE
        yield WhyStep(event.boot_ns, f"{by}: {clause}{_unharmed(event, is_fatal)}.")


def _unharmed(event: SignalEvent, is_fatal: bool) -> str:
    if is_fatal:
        return ""
    if event.result is SignalResult.IGNORED:
        return "; the kernel dropped it"
    return {
        Disposition.CAUGHT: "; it has a handler",
        Disposition.BLOCKED: "; it had blocked the signal",
        Disposition.IGNORED: "; it ignores the signal",
        Disposition.DEFAULT: "",
    }[event.disposition]
