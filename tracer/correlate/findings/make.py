"""The one way a finding is made: its severity and title come from its code."""

from __future__ import annotations

from collections.abc import Iterable

from tracer.correlate.correlator import Correlator
from tracer.correlate.state import ProcessState
from tracer.model.report import Finding
from tracer.model.verdicts import FINDING_KINDS, Severity


def is_complete(
    correlator: Correlator,
    states: Iterable[ProcessState],
    since_ns: int,
    until_ns: int | None = None,
) -> bool:
    """Whether nothing that these processes' verdict rests on can be missing.

    Args:
        correlator: Knows what was lost.
        states: The processes.
        since_ns: The first instant that matters.
        until_ns: The last one; None = the end of the trace.
    """
    if correlator.losses.any_between(since_ns, until_ns):
        return False
    return not any(state.is_seen_late for state in states)


def make_finding(
    code: str,
    *,
    title: str,
    detail: str,
    advice: str,
    states: Iterable[ProcessState],
    complete: bool,
    severity: Severity | None = None,
) -> Finding:
    """Make a finding about some processes."""
    return Finding(
        code=code,
        severity=severity or FINDING_KINDS[code].severity,
        title=title,
        detail=detail,
        advice=advice,
        host_pids=tuple(state.key.host_pid for state in states),
        complete=complete,
    )
