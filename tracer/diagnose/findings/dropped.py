"""ZT110: signals to PID 1 that the kernel dropped, none of them a stop signal."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState
from tracer.diagnose.advice import advise_raised_again
from tracer.diagnose.deaths import claim_dropped
from tracer.diagnose.findings.make import is_complete, make_finding
from tracer.diagnose.findings.subject import subject_of
from tracer.model.claims.death import DroppedClaim
from tracer.model.report import Finding
from tracer.model.signals import SIGINT, SIGQUIT, signal_name
from tracer.model.verdicts import Cause, Severity
from tracer.wording import names as wording

SIGABRT = 6
_KEYS = {SIGINT: " (Ctrl-C)", SIGQUIT: " (Ctrl-\\)"}
_WRITES_PIPE = 13


def find_dropped(correlator: Correlator) -> Iterator[Finding]:
    """One finding for each init and signal."""
    for claim in claim_dropped(correlator):
        init = correlator.table.get(claim.init)
        if init is not None:
            yield _finding(correlator, init, claim)


def say_dropped(init: ProcessState, claim: DroppedClaim) -> str:
    """Say what was dropped in a line of the timeline."""
    times = f", {claim.count} times" if claim.count > 1 else ""
    why = "PID 1 has no handler"
    if claim.is_raised_again:
        why = "it had restored the default action, which does not apply to PID 1"
    return (
        f"{signal_name(claim.signo)} to {wording.named(init)}{times} from {_say_source(claim)};"
        f" the kernel dropped it: {why}"
    )


def _say_source(claim: DroppedClaim) -> str:
    if claim.sender is not None and claim.cause is Cause.SELF:
        return "the process itself"
    if claim.sender is not None:
        return " <- ".join((claim.sender.comm, *claim.sender.chain))
    if claim.cause is Cause.TERMINAL:
        return f"its terminal{_KEYS.get(claim.signo, '')}"
    return "the kernel"


def _finding(correlator: Correlator, init: ProcessState, claim: DroppedClaim) -> Finding:
    if claim.is_raised_again:
        return _raised_again(correlator, init, claim)
    name = signal_name(claim.signo)
    times = (
        f", {claim.count} times within {wording.seconds(claim.last_ns - claim.first_ns)}"
        if claim.count > 1
        else ""
    )
    effect = "A process that is not PID 1 would have died of it."
    advice = (
        "Run an init as PID 1 (`docker run --init`, tini), so that the signal reaches a process"
        f" that is not PID 1; or have the program handle {name}."
    )
    if claim.signo == SIGABRT and claim.cause is Cause.SELF:
        effect = (
            "It called abort() and survived: glibc then executes an instruction that raises SIGSEGV,"
            " so the exit status shows a crash (139) instead of an abort."
        )
        advice = (
            "Find out what called abort() (its last output, an assertion). With an init as PID 1"
            " (`docker run --init`, tini) the status is that of SIGABRT (134)."
        )
    traced = " A tracer was attached to it, which does not change this." if claim.is_traced else ""
    return make_finding(
        "ZT110",
        title=f"{name}{_keys(claim)} to PID 1 had no effect: {init.comm} has no handler",
        detail=(
            f"The kernel dropped {name}, sent by {_say_source(claim)} to {wording.named(init)}{times}:"
            " a signal for which PID 1 of a PID namespace has no handler is not delivered."
            f" {effect}{traced}"
        ),
        advice=advice,
        states=[init],
        complete=is_complete(correlator, [init], claim.first_ns, claim.last_ns),
        # A write to a closed pipe fails all the same, and says so.
        severity=Severity.INFO if claim.signo == _WRITES_PIPE else None,
    )


def _raised_again(correlator: Correlator, init: ProcessState, claim: DroppedClaim) -> Finding:
    """PID 1 handled the stop signal, and raised it again to end by its default action."""
    name = signal_name(claim.signo)
    status = init.status
    went_on = status is None or status.signo is not None
    then = "kept running" if went_on else f"{wording.ended(status)} instead of dying of {name}"
    return make_finding(
        "ZT110",
        title=f"{init.comm} raised {name} again, which has no effect in PID 1",
        detail=(
            f"{wording.named(init)} handled {name}, then sent the signal to itself again, to end by"
            " its default action. The kernel dropped it, because the default action does not apply to"
            f" PID 1 of a PID namespace, and {init.comm} {then}."
        ),
        advice=advise_raised_again(subject_of(correlator, init, is_pid1=True), claim.signo),
        states=[init],
        complete=is_complete(correlator, [init], claim.first_ns, claim.last_ns),
        # It ended, with another exit code; or was killed, of which ZT103 says this.
        severity=None if status is None else Severity.INFO,
    )


def _keys(claim: DroppedClaim) -> str:
    return _KEYS.get(claim.signo, "") if claim.cause is Cause.TERMINAL else ""
