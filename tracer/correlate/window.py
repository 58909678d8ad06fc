"""A report of the later part of a trace: what was over before is left out."""

from __future__ import annotations

from tracer.correlate.correlator import Correlator
from tracer.correlate.process import ProcessState


def forget_before(correlator: Correlator, since_boot_ns: int) -> None:
    """Drop what ended before an instant, as if the trace had begun there.

    Everything was fed all the same, so that who is who is known. What takes part
    in something that ended later stays whole: a stop keeps all its members.

    Args:
        correlator: All of whose events were fed.
        since_boot_ns: The instant.
    """
    members = set()
    for scope in correlator.scopes:
        scope.stops = [
            stop for stop in scope.stops if stop.end_ns is None or stop.end_ns >= since_boot_ns
        ]
        if scope.stops or scope.unreleased:
            members.add(scope.init)
        for stop in scope.stops:
            members |= stop.members
    over = [
        state
        for state in correlator.table
        if state.key not in members and _was_over(state, since_boot_ns)
    ]
    for state in over:
        correlator.table.forget(state)
    correlator.observations = [
        event for event in correlator.observations if event.boot_ns >= since_boot_ns
    ]
    correlator.fork_failures.forget_before(since_boot_ns)
    correlator.begin_ns = max(correlator.begin_ns or 0, since_boot_ns)


def _was_over(state: ProcessState, boot_ns: int) -> bool:
    if state.reap is not None:
        return state.reap.boot_ns < boot_ns
    return False
