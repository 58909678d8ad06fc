"""The last word: verdicts that rest on silence, once all losses are known."""

from __future__ import annotations

from tracer.correlate.deaths import judge_death
from tracer.correlate.process import ProcessState, ReapState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.correlate.trace_state import TraceState
from tracer.model.events import Precision
from tracer.model.verdicts import ReapKind, StopOutcome


def conclude(trace: TraceState) -> None:
    """Judge again what a loss that was noticed later puts in doubt.

    A verdict that rests on no record having come is one of unknown where such a
    record may be among the lost. Without losses nothing changes.
    """
    if not trace.losses.totals:
        return
    for scope in trace.scopes:
        for stop in scope.stops:
            if stop.outcome is StopOutcome.SURVIVED and _may_have_ended(trace, scope, stop):
                stop.outcome = stop.end_ns = None
    for state in trace.table:
        judge_death(trace, state)
        reap = state.reap
        if reap is not None and reap.rests_on and _is_doubtful(trace, state, reap):
            _doubt(state, reap)


def _may_have_ended(trace: TraceState, scope: Scope, stop: StopState) -> bool:
    """Whether a stop that nothing was seen to end may have ended all the same."""
    init = trace.table.get(scope.init)
    if init is None or stop.end_ns is None or init.alive_until_ns >= stop.end_ns:
        return False
    return trace.losses.any_between(stop.begin_ns, stop.end_ns, ("signal", "exit"))


def _is_doubtful(trace: TraceState, state: ProcessState, reap: ReapState) -> bool:
    losses, until_ns = trace.losses, reap.boot_ns
    ends = [scope.init_exit_ns for scope in state.scopes if scope.init_exit_ns is not None]
    since_ns = min([state.exit_ns if state.exit_ns is not None else state.born_ns, *ends])
    if losses.any_between(since_ns, until_ns, reap.rests_on - {"fork"}):
        return True
    if "fork" in reap.rests_on and losses.any_between(state.born_ns, until_ns, ("fork",)):
        return True
    # The end of an init, and all signs of what it does to the others.
    return "exit" in reap.rests_on and all(
        losses.any_between(state.born_ns, until_ns, (kind,)) for kind in ("exit", "signal")
    )


def _doubt(state: ProcessState, reap: ReapState) -> None:
    if reap.kind is not ReapKind.TEARDOWN:
        reap.kind = ReapKind.UNKNOWN
    if reap.precision is Precision.EXACT:
        # release_task named who did it.
        return
    if reap.reaper == state.key and state.zombie is not None and reap.zombie_ns == 0:
        reap.zombie_ns = max(0, reap.boot_ns - state.zombie.begin_ns)
        reap.zombie_precision = Precision.UPPER_BOUND
    reap.reaper = reap.reaper_comm = None


def is_complete(trace: TraceState, state: ProcessState) -> bool:
    """Whether nothing that concerns a process can be missing."""
    if state.is_seen_late:
        return False
    until_ns = state.reap.boot_ns if state.reap is not None else None
    return not trace.losses.any_between(state.born_ns, until_ns)
