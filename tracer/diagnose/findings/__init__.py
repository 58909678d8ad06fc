"""Findings: conclusions with a code, from the state of a whole trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracer.correlate.correlator import Correlator
from tracer.correlate.scope import Scope
from tracer.diagnose.conclusions import Conclusions
from tracer.diagnose.findings.dropped import find_dropped
from tracer.diagnose.findings.host import find_host_shortage
from tracer.diagnose.findings.kills import find_kills
from tracer.diagnose.findings.losses import find_losses
from tracer.diagnose.findings.pids import find_pid_shortage
from tracer.diagnose.findings.stops import find_in_stops, find_in_stops_of
from tracer.diagnose.findings.teardowns import find_blocked_teardown, find_blocked_teardowns
from tracer.diagnose.findings.zombies import find_zombies
from tracer.model.report import Finding
from tracer.model.verdicts import Severity, unreportable

_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def find_all(conclusions: Conclusions) -> tuple[Finding, ...]:
    """Every finding of a trace, the gravest first, then by code."""
    correlator = conclusions.correlator

    def rank(finding: Finding) -> tuple[int, str]:
        return _RANK[finding.severity], finding.code

    return tuple(sorted(_that_can_be_told(correlator, _each(conclusions)), key=rank))


def find_in_scope(correlator: Correlator, scope: Scope) -> Iterator[Finding]:
    """What was wrong in the stops of one scope."""
    yield from _that_can_be_told(
        correlator,
        (*find_in_stops_of(correlator, scope), *find_blocked_teardown(correlator, scope)),
    )


def _that_can_be_told(correlator: Correlator, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Leave out what rests on records that the source of the trace never gives."""
    cannot = unreportable(correlator.losses.unseen)
    return (finding for finding in findings if finding.code not in cannot)


def _each(conclusions: Conclusions) -> Iterator[Finding]:
    correlator = conclusions.correlator
    yield from find_in_stops(correlator)
    yield from find_blocked_teardowns(correlator)
    yield from find_kills(correlator)
    yield from find_dropped(correlator)
    yield from find_zombies(correlator)
    yield from find_pid_shortage(correlator)
    yield from find_host_shortage(correlator)
    yield from find_losses(correlator)
