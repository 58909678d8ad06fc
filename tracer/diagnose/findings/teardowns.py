"""ZT107: a namespace whose end took long, and for whom it waited."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState, responsible_for
from tracer.correlate.scope import Scope
from tracer.correlate.zombies import release_of
from tracer.diagnose.advice import advise_end
from tracer.diagnose.evidence import say_how_held
from tracer.diagnose.findings.make import is_complete, make_finding, say_doubt
from tracer.diagnose.findings.subject import subject_of
from tracer.diagnose.hold_up import holds_teardown
from tracer.diagnose.hold_words import say_reason
from tracer.model.claims.hold import CANNOT_RUN, Hold, HoldReason
from tracer.model.report import Finding
from tracer.wording import names as wording

TEARDOWN_BLOCKED_NS = 1_000_000_000
"""A teardown longer than this waited for a process."""

_ENDS = ("signal", "teardown_end")
"""Events that show that a teardown is over."""
_LEAVES = ("exit", "reap", "free")
"""Events that show that a process is gone."""


def find_blocked_teardowns(correlator: Correlator) -> Iterator[Finding]:
    """One finding for each namespace whose end was held up."""
    for scope in correlator.scopes:
        yield from find_blocked_teardown(correlator, scope)


def find_blocked_teardown(correlator: Correlator, scope: Scope) -> Iterator[Finding]:
    """The finding that one namespace's teardown was blocked, if it was."""
    init = correlator.table.get(scope.init)
    if init is not None and not scope.is_shared:
        yield from _blocked(correlator, scope, init)


def _blocked(correlator: Correlator, scope: Scope, init: ProcessState) -> Iterator[Finding]:
    begin_ns, end_ns = scope.init_exit_ns, scope.init_notified_ns or scope.teardown_end_ns
    if begin_ns is None or (end_ns is None and init.is_released):
        return
    lasted_ns = (end_ns if end_ns is not None else correlator.now_ns) - begin_ns
    if lasted_ns < TEARDOWN_BLOCKED_NS:
        return
    if end_ns is None and correlator.losses.any_between(begin_ns, None, (*_ENDS, "free", "reap")):
        # It may have been over at any time since: a parent that ignores SIGCHLD is not even notified.
        return
    late_ns = begin_ns + TEARDOWN_BLOCKED_NS
    held_by = sorted(
        (
            state
            for stop in scope.stops
            for key in stop.members
            if (state := correlator.table.get(key)) is not None and _was_there(state, late_ns)
        ),
        key=lambda state: state.key,
    )
    dead = [state for state in held_by if state.exit_ns is not None and state.exit_ns < late_ns]
    alive = [state for state in held_by if state not in dead]
    stop = scope.stops[-1]
    signo = stop.stop_signo
    holds = holds_teardown(correlator, stop, late_ns, alive)
    reasons = [
        reason
        for reason in (_say_unreaped(correlator, dead), _say_alive(correlator, holds, alive, signo))
        if reason
    ]
    why = wording.enumerate_all(reasons) or "the process it waited for is unknown"
    took = f"took {wording.seconds(lasted_ns)}"
    if end_ns is None:
        took = f"was not finished after {wording.seconds(lasted_ns)}"
    yield make_finding(
        "ZT107",
        title=f"the teardown of {scope.label} {took}",
        detail=(
            f"{wording.named(init)} {wording.ended(init.status)}, but the teardown of its namespace"
            f" waits until all of its processes are reaped, and {took}: {why}."
        ),
        advice=_advice(correlator, dead, alive, holds, signo),
        states=held_by,
        complete=is_complete(correlator, held_by, begin_ns, end_ns),
        doubt=say_doubt(
            _lost(correlator, begin_ns, end_ns, held_by),
            "when it finished, and which processes remained until then,",
        ),
    )


def _lost(
    correlator: Correlator, begin_ns: int, end_ns: int | None, held_by: list[ProcessState]
) -> tuple[str, ...]:
    losses = correlator.losses
    lost = {*losses.kinds_between(begin_ns, end_ns, _ENDS)}
    for state in held_by:
        # Who was dead before it began may have been released by then.
        lost.update(losses.kinds_between(min(begin_ns, state.seen_until_ns), end_ns, _LEAVES))
    return tuple(sorted(lost))


def _was_there(state: ProcessState, boot_ns: int) -> bool:
    release = release_of(state)
    return release is None or release.boot_ns >= boot_ns


def _say_unreaped(correlator: Correlator, dead: list[ProcessState]) -> str:
    if not dead:
        return ""
    names = wording.name_counts(dead)
    was = wording.was_or_were(wording.number(dead))
    injected = [state for state in dead if state.is_injected]
    evidence = "; ".join(filter(None, (say_how_held(correlator, state.key) for state in dead[:1])))
    more = f" ({evidence})" if evidence else ""
    if not injected:
        return f"{names} had exited but {was} not yet reaped{more}"
    parent = responsible_for(injected[0])
    comm = correlator.table.comm_of(parent) or "its parent"
    pid = f" (host pid {parent.host_pid})" if parent is not None else ""
    return (
        f"{names} {was} injected (docker exec, nsenter) and had exited, but {comm}{pid}, outside the"
        f" namespace, had not yet reaped {'it' if wording.number(dead) == 1 else 'them'}{more}"
    )


def _say_alive(
    correlator: Correlator, holds: tuple[Hold, ...], alive: list[ProcessState], signo: int
) -> str:
    if not alive:
        return ""
    first = holds[0]
    match first.reason:
        case HoldReason.UNKNOWN:
            what = "SIGKILL does not take effect in uninterruptible sleep or in a frozen v1 cgroup"
        case HoldReason.FROZEN:
            what = "it was in a frozen cgroup, where SIGKILL does not take effect"
        case _:
            what = say_reason(correlator, first, signo)
    names = wording.name_counts(alive)
    if wording.number(alive) == 1:
        names = wording.named(alive[0])
    return f"{names} had not exited after SIGKILL ({what})"


def _advice(
    correlator: Correlator,
    dead: list[ProcessState],
    alive: list[ProcessState],
    holds: tuple[Hold, ...],
    signo: int,
) -> str:
    parts = []
    if dead:
        parent = correlator.table.comm_of(responsible_for(dead[0]))
        parts.append(
            f"{parent or 'The process that injected it'} must wait for what it started in the"
            " container; terminating it hands the zombie to a process that waits."
        )
    if holds and holds[0].reason in CANNOT_RUN:
        parts.append(
            advise_end(
                holds[0], subject_of(correlator, alive[0], is_pid1=False), waiter=None, signo=signo
            )
        )
    elif alive or not dead:
        parts.append(
            "Check what the process is blocked in (/proc/PID/stack, wchan): an unreachable NFS"
            " server, a failing disk, a frozen cgroup. Fix or thaw it."
        )
    return " ".join(parts)
