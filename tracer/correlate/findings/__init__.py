"""Findings: conclusions with a code, from the state of a whole trace."""

from __future__ import annotations

from collections.abc import Iterator

from tracer.correlate.correlator import Correlator
from tracer.correlate.findings.host import find_host_shortage
from tracer.correlate.findings.kills import find_kills
from tracer.correlate.findings.losses import find_losses
from tracer.correlate.findings.pids import find_pid_shortage
from tracer.correlate.findings.stops import find_in_stops
from tracer.correlate.findings.teardowns import find_blocked_teardowns
from tracer.correlate.findings.zombies import find_zombies
from tracer.model.report import Finding
from tracer.model.verdicts import Severity

_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def find_all(correlator: Correlator) -> tuple[Finding, ...]:
    """Every finding of a trace, the gravest first, then by code."""

    def rank(finding: Finding) -> tuple[int, str]:
        return _RANK[finding.severity], finding.code

    return tuple(sorted(_each(correlator), key=rank))


def _each(correlator: Correlator) -> Iterator[Finding]:
    yield from find_in_stops(correlator)
    yield from find_blocked_teardowns(correlator)
    yield from find_kills(correlator)
    yield from find_zombies(correlator)
    yield from find_pid_shortage(correlator)
    yield from find_host_shortage(correlator)
    yield from find_losses(correlator)
