"""What happened, in one sentence and as a timeline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tracer.correlate import causes, wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.findings.stops import is_dropped
from tracer.correlate.scopes import Scope
from tracer.correlate.state import ProcessState
from tracer.correlate.stops import StopState, StopTrigger
from tracer.correlate.zombies import view_zombies
from tracer.model.report import Finding, StopReport, TimelineEntry
from tracer.model.signals import Disposition, signal_name
from tracer.model.verdicts import Cause

_CAUSE_WORDS = {
    Cause.PIDNS_TEARDOWN: "SIGKILL from the kernel as the namespace ended",
    Cause.STOP_SIGNAL: "the stop signal",
    Cause.GRACE_EXPIRED: "SIGKILL after the grace",
    Cause.RUNTIME_KILL: "SIGKILL from the runtime",
    Cause.OOM: "the OOM killer",
    Cause.CGROUP_KILL: "cgroup.kill",
    Cause.KILL: "another process",
    Cause.SELF: "itself",
    Cause.PARENT_DEATH: "PDEATHSIG, as its parent died",
    Cause.TRACER_EXIT: "SIGKILL as its tracer ended",
    Cause.RLIMIT_CPU: "its CPU time limit",
    Cause.FAULT: "a fault of its own",
    Cause.SECCOMP: "seccomp",
    Cause.TERMINAL: "the terminal",
    Cause.UNKNOWN: "a sender that was not seen",
}


def tell_headline(
    correlator: Correlator, stops: Sequence[StopReport], findings: Sequence[Finding]
) -> str:
    """What happened in one sentence (two where a stop needs them)."""
    told = [
        sentence
        for scope, report in _with_scopes(correlator, stops)
        if (sentence := _stop_sentence(correlator, scope, report))
    ]
    if told:
        most = 3
        rest = len(told) - most
        return " ".join(told[:most]) + (f" And {rest} more stops." if rest > 0 else "")
    killed = [s for s in correlator.table if s.cause is not None and s.cause is not Cause.SELF]
    zombies = [view for view in view_zombies(correlator) if view.state.reap is None]
    parts = []
    if killed:
        parts.append(f"{wording.processes(len(killed))} died by a signal")
    if zombies:
        parts.append(f"{wording.count(len(zombies), 'zombie')} {wording.was_or_were(len(zombies))}"
                     " left unreaped")
    if not parts and findings:
        parts.append(findings[0].title)
    lasted = wording.seconds(correlator.now_ns - (correlator.begin_ns or correlator.now_ns))
    if not parts:
        return f"Nothing was stopped or killed, and no zombie was left, in {lasted}."
    return f"Nothing was stopped in {lasted}; {wording.enumerate_all(parts)}."


def _with_scopes(
    correlator: Correlator, stops: Sequence[StopReport]
) -> Iterator[tuple[tuple[Scope, StopState], StopReport]]:
    pairs = [(scope, stop) for scope in correlator.scopes for stop in scope.stops]
    yield from zip(pairs, stops, strict=True)


def _stop_sentence(
    correlator: Correlator, pair: tuple[Scope, StopState], report: StopReport
) -> str:
    scope, stop = pair
    init = report.init_comm
    took = f" in {wording.seconds(report.duration_ns)}" if report.duration_ns is not None else ""
    if report.end_boot_ns is None:
        verb = "was being stopped when the trace ended"
    elif report.outcome is not None and report.outcome.value == "survived":
        verb = "survived its stop signal"
    elif stop.trigger is StopTrigger.INIT_EXIT:
        verb = f"ended by itself{took}"
    elif stop.trigger is StopTrigger.STOP_SIGNAL:
        verb = f"was stopped{took}"
    else:
        verb = f"was killed{took}"
    return f"{scope.label} {verb}: {_how(report, stop, init)}{_fates(report)}."


def _how(report: StopReport, stop: StopState, init: str) -> str:
    event, kill = stop.stop_signal, stop.kill
    if event is not None:
        name = signal_name(event.signo)
        sender = event.actor.comm
        if kill is not None:
            waited = wording.seconds(kill.boot_ns - event.boot_ns)
            if is_dropped(event):
                what = f"{init} (PID 1) has no {name} handler, the kernel dropped it"
            elif event.disposition is Disposition.IGNORED:
                what = f"{init} (PID 1) ignores {name}"
            else:
                what = f"{init} (PID 1) got {name} from {sender} but did not end"
            return f"{what}, and {kill.actor.comm} sent SIGKILL after {waited}"
        ended = _ended(report)
        return f"{init} (PID 1) got {name} from {sender} and {ended}"
    if report.init_exit_boot_ns is None:
        return f"{init} (PID 1) was sent SIGKILL"
    if report.init_cause is not None and stop.kill is not None:
        by = (
            stop.kill.actor.comm
            if causes.is_sent_by_user(stop.kill)
            else _CAUSE_WORDS[report.init_cause]
        )
        return f"{init} (PID 1) died of SIGKILL from {by}, with no stop signal before"
    return f"{init} (PID 1) {_ended(report)}"


def _ended(report: StopReport) -> str:
    if report.init_term_signal is not None:
        return f"died of {report.init_term_signal}"
    if report.init_exit_code is not None:
        return f"exited with code {report.init_exit_code}"
    return "had not ended when the trace did"


def _fates(report: StopReport) -> str:
    if not report.members:
        return "; it was alone"
    parts = []
    for number, text in (
        (report.sigkilled, "killed by SIGKILL"),
        (report.signalled, "ended by another signal"),
        (report.exited, "exited"),
        (report.already_zombie, "had been zombies before"),
        (report.survived, "still ran"),
    ):
        if number:
            parts.append(f"{number} {text}")
    return f"; of {report.members} other{'s' if report.members != 1 else ''}, " + (
        wording.enumerate_all(parts)
    )


def tell_timeline(correlator: Correlator) -> tuple[TimelineEntry, ...]:
    """The turning points, in order; equal deaths are told together."""
    entries: list[TimelineEntry] = []
    for scope in correlator.scopes:
        for stop in scope.stops:
            entries.extend(_stop_entries(correlator, scope, stop))
    entries.extend(_death_entries(correlator))
    return tuple(sorted(entries, key=lambda entry: entry.boot_ns))


def _stop_entries(
    correlator: Correlator, scope: Scope, stop: StopState
) -> Iterator[TimelineEntry]:
    init = correlator.table.get(scope.init)
    who = wording.named(init) if init is not None else "PID 1"
    if stop.stop_signal is not None:
        event = stop.stop_signal
        name = signal_name(event.signo)
        outcome = (
            "dropped by the kernel: no handler"
            if is_dropped(event)
            else {
                Disposition.CAUGHT: "it has a handler",
                Disposition.IGNORED: "it ignores it",
                Disposition.BLOCKED: "blocked: it may wait for it with sigwait",
                Disposition.DEFAULT: "it has no handler",
            }[event.disposition]
        )
        again = f" ({stop.stop_signals} times)" if stop.stop_signals > 1 else ""
        yield TimelineEntry(
            event.boot_ns,
            f"{name} to {who}{again} from {wording.sender(event.actor)}; {outcome}",
            2,
        )
    if stop.kill is not None:
        kill = stop.kill
        source = (
            wording.sender(kill.actor)
            if causes.is_sent_by_user(kill)
            else f"the kernel, while {kill.actor.comm} ran"
        )
        yield TimelineEntry(kill.boot_ns, f"SIGKILL to {who} from {source}", 2)
    if stop.init_exit_ns is not None and init is not None:
        how = f"{init.status}" if init.status is not None else "status not known"
        yield TimelineEntry(stop.init_exit_ns, f"{who} ended: {how}", 2)
    if stop.end_ns is not None and stop.init_exit_ns is not None:
        yield TimelineEntry(stop.end_ns, f"the last process of {scope.label} was reaped", 2)


def _death_entries(correlator: Correlator) -> Iterator[TimelineEntry]:
    groups: dict[tuple[str, Cause, str], list[ProcessState]] = {}
    for state in correlator.table:
        if state.cause is None or state.status is None or correlator.scopes.led_by(state.key):
            continue
        groups.setdefault((str(state.status), state.cause, state.comm), []).append(state)
    for (status, cause, _), states in groups.items():
        states.sort(key=_exit_of)
        yield TimelineEntry(
            _exit_of(states[0]), f"{_names(states)} died: {status}, by {_CAUSE_WORDS[cause]}", 1
        )


def _exit_of(state: ProcessState) -> int:
    return state.exit_ns or 0


def _names(states: Iterable[ProcessState]) -> str:
    some = list(states)
    return wording.named(some[0]) if len(some) == 1 else wording.name_counts(some)
