"""What a report lists, and what it only counts: both have a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tracer.correlate.correlator import Correlator
from tracer.correlate.even import even_out
from tracer.correlate.fates import (
    ProcessKind,
    StopKind,
    ZombieKind,
    process_kind,
    zombie_kind,
)
from tracer.correlate.ledger import Tally
from tracer.correlate.members import count_members, may_have_ended
from tracer.correlate.process import ProcessState
from tracer.correlate.retention import count_stop, most_stops, stop_gravity
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.correlate.trace_state import TraceState
from tracer.correlate.zombies import ZombieView, release_of, view_zombies
from tracer.model.report import (
    Finding,
    Folded,
    FoldedFindings,
    FoldedProcesses,
    FoldedStops,
    FoldedZombies,
    TimelineEntry,
)
from tracer.model.verdicts import End, Severity

_SEVERITY = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Listing:
    """What to tell of in detail, in the order of the report; ``folded`` is the rest."""

    processes: list[ProcessState]
    zombies: list[ZombieView]
    stops: list[tuple[Scope, StopState]]
    folded: Folded


def end_of(trace: TraceState, state: ProcessState) -> End | None:
    """How a process ended, or that it runs; None where that may be among what was lost."""
    if state.status is not None:
        return End.SIGNAL if state.status.signo is not None else End.EXIT
    if state.exit_ns is not None or may_have_ended(trace, state):
        return None
    return End.RUNNING


def choose(correlator: Correlator) -> Listing:
    """Choose what a report lists of processes, zombies and stops."""
    trace, retention, detail = correlator.trace, correlator.retention, correlator.options.detail
    processes, more_processes = _choose_processes(trace, detail)
    zombies, more_zombies = _choose_zombies(trace, detail)
    stops, more_stops = _choose_stops(trace, most_stops(detail))
    by_process = retention.processes.copy()
    for state in more_processes:
        by_process.add_one(process_kind(trace, state, end_of(trace, state)), trace.now_ns)
    by_zombie = retention.zombies.copy()
    for view in more_zombies:
        until_ns = view.reap.boot_ns if view.reap is not None else trace.now_ns
        by_zombie.add_one(zombie_kind(trace, view), until_ns, view.zombie_ns or 0)
    by_stop = retention.stops.copy()
    for scope, stop in more_stops:
        count_stop(by_stop, trace, scope, stop)
    folded = Folded(
        processes=tuple(_processes_row(trace, kind, tally) for kind, tally in by_process),
        zombies=tuple(_zombies_row(trace, kind, tally) for kind, tally in by_zombie),
        stops=tuple(_stops_row(trace, kind, tally) for kind, tally in by_stop),
    )
    return Listing(processes, zombies, stops, folded)


def choose_findings(
    correlator: Correlator, findings: Sequence[Finding]
) -> tuple[tuple[Finding, ...], tuple[FoldedFindings, ...]]:
    """Choose which findings to list, and count the others by code.

    Args:
        correlator: Knows those about what was forgotten.
        findings: In the order of the report.
    """
    detail = correlator.options.detail
    most = most_stops(detail)
    counts = dict(correlator.retention.findings)
    listed = list(findings)
    if most is not None and len(listed) > most:
        by_code: dict[str, list[Finding]] = {}
        for finding in findings:
            by_code.setdefault(finding.code, []).append(finding)
        kept, rest = even_out(
            list(by_code.values()),
            most,
            lambda finding: -finding.processes,
            lambda finding: _SEVERITY[finding.severity],
        )
        stay = {id(finding) for group, _ in kept for finding in group}
        listed = [finding for finding in findings if id(finding) in stay]
        for finding in (*(one for _, spare in kept for one in spare), *rest):
            first, count = counts.get(finding.code, (finding, 0))
            counts[finding.code] = first, count + 1
    folded = tuple(
        FoldedFindings(code, first.severity, first.title, count)
        for code, (first, count) in sorted(
            counts.items(), key=lambda item: (_SEVERITY[item[1][0].severity], item[0])
        )
    )
    if detail is not None:
        listed = [
            replace(finding, host_pids=finding.host_pids[:detail])
            if len(finding.host_pids) > detail
            else finding
            for finding in listed
        ]
    return tuple(listed), folded


def choose_moments(
    entries: Sequence[TimelineEntry], detail: int | None
) -> tuple[tuple[TimelineEntry, ...], int]:
    """Choose the entries of a timeline: turning points first, the newest of equal ones.

    Returns:
        Those to list, in order, and how many were left out.
    """
    if detail is None or len(entries) <= detail:
        return tuple(entries), 0
    ranked = sorted(range(len(entries)), key=lambda at: (-entries[at].weight, -at))
    return tuple(entries[at] for at in sorted(ranked[:detail])), len(entries) - detail


def _choose_processes(
    trace: TraceState, detail: int | None
) -> tuple[list[ProcessState], list[ProcessState]]:
    everyone = sorted(trace.table, key=lambda state: (state.born_ns, state.key))
    if detail is None or len(everyone) <= detail:
        return everyone, []
    running: list[ProcessState] = []
    dead: list[ProcessState] = []
    for state in everyone:
        if release_of(state) is None and not state.led:
            (running if state.exit_ns is None else dead).append(state)
    # Of those that are over the limit holds already.
    rest = [*running[detail:], *dead[detail:]]
    left_out = {state.key for state in rest}
    return [state for state in everyone if state.key not in left_out], rest


def _choose_zombies(
    trace: TraceState, detail: int | None
) -> tuple[list[ZombieView], list[ZombieView]]:
    views = list(view_zombies(trace))
    rest: list[ZombieView] = []
    if detail is not None and len(views) > detail:
        views.sort(key=lambda view: (view.reap is not None, -(view.zombie_ns or 0)))
        views, rest = views[:detail], views[detail:]
    return sorted(views, key=lambda view: (view.state.key, view.live_threads)), rest


def _choose_stops(
    trace: TraceState, most: int | None
) -> tuple[list[tuple[Scope, StopState]], list[tuple[Scope, StopState]]]:
    stops = [(scope, stop) for scope in trace.scopes for stop in scope.stops]
    if most is None or len(stops) <= most:
        return stops, []
    gravities = {
        id(stop): stop_gravity(stop, count_members(trace, scope, stop)) for scope, stop in stops
    }
    ranked = sorted(stops, key=lambda pair: (gravities[id(pair[1])], -pair[1].begin_ns))
    stay = {id(stop) for _, stop in ranked[:most]}
    return [pair for pair in stops if id(pair[1]) in stay], [
        pair for pair in stops if id(pair[1]) not in stay
    ]


def _processes_row(trace: TraceState, kind: ProcessKind, tally: Tally) -> FoldedProcesses:
    return FoldedProcesses(
        *kind,
        count=tally.count,
        longest_zombie_ns=tally.longest_ns,
        first_boot_ns=tally.first_ns,
        last_boot_ns=tally.last_ns,
        complete=_is_whole(trace, tally),
    )


def _zombies_row(trace: TraceState, kind: ZombieKind, tally: Tally) -> FoldedZombies:
    return FoldedZombies(
        *kind,
        count=tally.count,
        longest_zombie_ns=tally.longest_ns,
        first_boot_ns=tally.first_ns,
        last_boot_ns=tally.last_ns,
        complete=_is_whole(trace, tally),
    )


def _stops_row(trace: TraceState, kind: StopKind, tally: Tally) -> FoldedStops:
    members, sigkilled, signalled, exited, already_zombie, survived = tally.sums
    return FoldedStops(
        *kind,
        count=tally.count,
        members=members,
        sigkilled=sigkilled,
        signalled=signalled,
        exited=exited,
        already_zombie=already_zombie,
        survived=survived,
        longest_duration_ns=tally.longest_ns,
        first_boot_ns=tally.first_ns,
        last_boot_ns=tally.last_ns,
        complete=_is_whole(trace, tally),
    )


def _is_whole(trace: TraceState, tally: Tally) -> bool:
    return not trace.losses.any_between(tally.first_ns, tally.last_ns)
