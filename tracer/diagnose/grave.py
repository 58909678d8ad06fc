"""The gravest things of a trace beside its stops, each as a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tracer.correlate.process import ProcessState
from tracer.correlate.scope import Scope
from tracer.correlate.stops import StopState
from tracer.diagnose.conclusions import Conclusions
from tracer.model.claims.end import ProcessEnd
from tracer.model.report import Finding
from tracer.model.signals import signal_name
from tracer.model.verdicts import Cause, Severity
from tracer.wording import names as wording

_DEATHS = {
    Cause.OOM: 0,
    Cause.RUNTIME_KILL: 1,
    Cause.CGROUP_KILL: 1,
    Cause.KILL: 1,
    Cause.RLIMIT_CPU: 2,
    Cause.SECCOMP: 2,
    Cause.FAULT: 2,
    Cause.UNKNOWN: 2,
}
"""How grave a death beside a stop is; one of another cause is ordinary."""
_BY_KERNEL = frozenset({Cause.OOM, Cause.FAULT, Cause.SECCOMP, Cause.RLIMIT_CPU, Cause.UNKNOWN})
STOP_RANK = 3
"""A stop that went wrong is as grave."""
_FINDINGS = {"ZT302": 4, "ZT301": 4, "ZT110": 5, "ZT202": 6, "ZT201": 6}


@dataclass(frozen=True, slots=True)
class Grave:
    """One grave thing.

    Args:
        rank: The lower, the graver.
        number: How many processes it concerns.
        text: A sentence without its full stop.
    """

    rank: int
    number: int
    text: str


def grave_deaths(conclusions: Conclusions) -> list[Grave]:
    """Deaths that no stop explains, the gravest first: those alike are one."""
    groups: dict[tuple[object, ...], list[tuple[ProcessState, ProcessEnd]]] = {}
    table = conclusions.correlator.table
    for end in conclusions.deaths():
        state = table.get(end.about)
        if state is None or not _is_grave(state, end):
            continue
        scope = next(iter(state.scopes), None)
        actor = end.sender or end.trigger
        by = actor.key if actor is not None and end.cause not in _BY_KERNEL else None
        groups.setdefault((scope, end.cause, str(end.status), by), []).append((state, end))
    found = [
        Grave(
            _DEATHS[one[0][1].cause or Cause.OOM],
            wording.number(state for state, _ in one),
            _say_deaths(conclusions, one),
        )
        for one in groups.values()
    ]
    return sorted(found, key=lambda one: (one.rank, -one.number))


def grave_findings(findings: Sequence[Finding]) -> Iterator[Grave]:
    """Findings that belong into the one sentence: pids limits, dropped signals, zombies."""
    for finding in findings:
        rank = _FINDINGS.get(finding.code)
        if rank is not None and finding.severity is not Severity.INFO:
            yield Grave(rank, finding.processes, finding.title)


def _is_grave(state: ProcessState, end: ProcessEnd) -> bool:
    if state.led or end.cause not in _DEATHS or end.boot_ns is None:
        return False
    if end.cause is Cause.UNKNOWN and (end.trigger is None or end.trigger.key != state.key):
        # Of what raised the signal nothing was seen.
        return False
    if end.is_by_parent:
        # Who ends its own child is its supervisor.
        return False
    is_in_stop = any(
        stop.begin_ns <= end.boot_ns and (stop.end_ns is None or end.boot_ns <= stop.end_ns)
        for scope in state.scopes
        for stop in scope.stops
    )
    return end.cause is Cause.OOM or not is_in_stop


def _say_deaths(conclusions: Conclusions, deaths: list[tuple[ProcessState, ProcessEnd]]) -> str:
    states = [state for state, _ in deaths]
    state, end = deaths[0]
    is_one = wording.number(states) == 1
    who = wording.named(state) if is_one else wording.name_counts(states)
    scope = next(iter(state.scopes), None)
    scopes = conclusions.correlator.scopes
    where = f" in {scope.label}" if scope is not None and len(list(scopes)) > 1 else ""
    actor = end.sender or end.trigger
    signal = signal_name(end.status.signo) if end.status and end.status.signo else "a signal"
    if end.cause is Cause.OOM:
        text = f"the OOM killer killed {who}{where}"
    elif end.cause in _BY_KERNEL or actor is None:
        text = f"{who}{where} died of {signal}"
        if end.cause is Cause.UNKNOWN:
            text += ", which the kernel raised for no reason that is known,"
    elif end.cause is Cause.CGROUP_KILL:
        text = f"{actor.comm} (host pid {actor.host_pid}) killed {who}{where} through cgroup.kill"
    else:
        text = f"{actor.comm} (host pid {actor.host_pid}) killed {who}{where} with {signal}"
    return text + _say_when(scope, [one.boot_ns for _, one in deaths if one.boot_ns is not None])


def _say_when(scope: Scope | None, ends_ns: list[int]) -> str:
    stop = _next_stop(scope, max(ends_ns)) if scope is not None and ends_ns else None
    if stop is None:
        return ""
    before = "the stop began"
    if stop.stop_signal is None and scope is not None:
        before = f"{wording.init_word(scope)} ended"
    first, last = (wording.seconds(stop.begin_ns - ns) for ns in (min(ends_ns), max(ends_ns)))
    span = last if max(ends_ns) - min(ends_ns) < 1_000_000_000 else f"{first} to {last}"
    return f" {span} before {before}"


def _next_stop(scope: Scope, boot_ns: int) -> StopState | None:
    return next((stop for stop in scope.stops if stop.begin_ns > boot_ns), None)
