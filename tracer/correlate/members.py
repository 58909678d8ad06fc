"""How the members of a stop ended, each counted once."""

from __future__ import annotations

from dataclasses import replace

from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import MemberCounts, StopState, StopTrigger
from tracer.correlate.trace_state import TraceState
from tracer.correlate.zombies import release_of
from tracer.model.signals import SIGKILL


def count_members(trace: TraceState, scope: Scope, stop: StopState) -> MemberCounts:
    """Count a stop's members by their fate.

    Who was gone before it began is none. Whose end may be among what was lost is
    left out: the counts are lower bounds then.
    """
    counts = replace(stop.forgotten)
    would_show, until_ns = _frame(trace, scope, stop)
    for key in stop.members:
        state = trace.table.get(key)
        if state is None:
            continue
        if not state.was_released_before(stop.begin_ns, would_show=would_show):
            _count(counts, trace, state, stop.begin_ns, until_ns)
    return counts


def took_part(trace: TraceState, scope: Scope, stop: StopState, state: ProcessState) -> bool:
    """Whether a process was a member of a stop, as its counts have it."""
    if state.key not in stop.members:
        return False
    would_show, _ = _frame(trace, scope, stop)
    return not state.was_released_before(stop.begin_ns, would_show=would_show)


def forget_member(trace: TraceState, scope: Scope, stop: StopState, state: ProcessState) -> None:
    """Count a member by its fate once and for all: it is about to be forgotten."""
    stop.members.discard(state.key)
    stop.forgot_late |= state.is_seen_late
    would_show, until_ns = _frame(trace, scope, stop)
    if not state.was_released_before(stop.begin_ns, would_show=would_show):
        _count(stop.forgotten, trace, state, stop.begin_ns, until_ns)


def _frame(trace: TraceState, scope: Scope, stop: StopState) -> tuple[bool, int]:
    # zap_pid_ns_processes() comes right behind such a begin, and signals all there are.
    would_show = (
        stop.trigger is StopTrigger.INIT_EXIT
        and not scope.is_shared
        and (scope.zap_ns is not None or scope.init_notified_ns is not None)
        and not trace.losses.any_between(stop.begin_ns, stop.end_ns, ("signal",))
    )
    return would_show, stop.end_ns if stop.end_ns is not None else trace.now_ns


def _count(
    counts: MemberCounts, trace: TraceState, state: ProcessState, begin_ns: int, until_ns: int
) -> None:
    if state.exit_ns is None:
        if not may_have_ended(trace, state):
            counts.survived += 1
    elif state.exit_ns <= begin_ns:
        counts.already_zombie += 1
    elif state.exit_ns > until_ns:
        counts.survived += 1
    elif state.status is None:
        return
    elif state.status.signo == SIGKILL:
        counts.sigkilled += 1
    elif state.status.signo is not None:
        counts.signalled += 1
        counts.other_signals |= 1 << state.status.signo
    else:
        counts.exited += 1


def may_have_ended(trace: TraceState, state: ProcessState) -> bool:
    """Whether a process that was not seen to end may have, or has."""
    return release_of(state) is not None or trace.losses.any_between(
        state.alive_until_ns, None, ("exit",)
    )
