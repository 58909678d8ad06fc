"""What happened, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracer.correlate import causes, wording
from tracer.correlate.correlator import Correlator
from tracer.correlate.evidence import say_why_deaf
from tracer.correlate.findings.stops import is_dropped
from tracer.correlate.passed_on import PassedOn
from tracer.correlate.scopes import Scope
from tracer.correlate.stops import StopState, StopTrigger
from tracer.correlate.zombies import view_zombies
from tracer.model.events import SignalEvent
from tracer.model.report import Finding, StopReport
from tracer.model.signals import Disposition, signal_name
from tracer.model.verdicts import Cause, StopOutcome

_MOST_STOPS = 3


def tell_headline(
    correlator: Correlator,
    stops: Sequence[StopReport],
    findings: Sequence[Finding],
    passed_on: PassedOn,
) -> str:
    """What happened in one sentence (two where a stop needs them)."""
    told = [
        _stop_sentence(correlator, scope, stop, report, passed_on)
        for scope, stop, report in _with_scopes(correlator, stops)
    ]
    if told:
        rest = len(told) - _MOST_STOPS
        more = f" And {wording.count(rest, 'more stop')}." if rest > 0 else ""
        return " ".join(told[:_MOST_STOPS]) + more
    killed = [s for s in correlator.table if s.cause is not None and s.cause is not Cause.SELF]
    zombies = [
        view
        for view in view_zombies(correlator.world)
        if view.reap is None and not view.is_leader_only
    ]
    parts = []
    if killed:
        parts.append(f"{wording.processes(len(killed))} died of a signal")
    if zombies:
        were = wording.was_or_were(len(zombies))
        parts.append(f"{wording.count(len(zombies), 'zombie')} {were} left unreaped")
    if not parts and findings:
        parts.append(findings[0].title)
    lasted = wording.seconds(correlator.now_ns - (correlator.begin_ns or correlator.now_ns))
    if not parts:
        return f"Nothing was stopped or killed, and no zombie was left, in {lasted}."
    return f"Nothing was stopped in {lasted}; {wording.enumerate_all(parts)}."


def _with_scopes(
    correlator: Correlator, stops: Sequence[StopReport]
) -> Iterator[tuple[Scope, StopState, StopReport]]:
    pairs = [(scope, stop) for scope in correlator.scopes for stop in scope.stops]
    for (scope, stop), report in zip(pairs, stops, strict=True):
        yield scope, stop, report


def _stop_sentence(
    correlator: Correlator,
    scope: Scope,
    stop: StopState,
    report: StopReport,
    passed_on: PassedOn,
) -> str:
    took = f" in {wording.seconds(report.duration_ns)}" if report.duration_ns is not None else ""
    if report.outcome is StopOutcome.SURVIVED:
        verb = "survived its stop signal"
    elif report.end_boot_ns is None:
        verb = "was being stopped when the trace ended"
        if report.init_exit_boot_ns is not None:
            verb = "had ended but for its last processes when the trace did"
    elif stop.trigger is StopTrigger.STOP_SIGNAL:
        verb = f"was stopped{took}"
    elif stop.trigger is not StopTrigger.INIT_EXIT:
        verb = f"was killed{took}"
    else:
        # Without what was lost, nobody can say that nobody asked it to.
        verb = f"ended by itself{took}" if report.complete else f"ended{took}"
    how = _how(correlator, scope, stop, report, passed_on)
    return f"{scope.label} {verb}: {how}{_fates(report)}."


def _what_init_did(
    correlator: Correlator, scope: Scope, stop: StopState, event: SignalEvent, init: str
) -> str:
    name = signal_name(event.signo)
    if is_dropped(event):
        return f"{init} has no {name} handler, so the kernel dropped it"
    if deaf := say_why_deaf(correlator, scope.init):
        return f"{init} did not get {name}: {deaf}"
    if stop.was_init_stopped:
        return f"{init} was stopped (SIGSTOP) when {name} came"
    if event.disposition is Disposition.IGNORED:
        return f"{init} ignores {name}"
    return f"{init} got {name} from {event.actor.comm} but did not end"


def _how(
    correlator: Correlator,
    scope: Scope,
    stop: StopState,
    report: StopReport,
    passed_on: PassedOn,
) -> str:
    event, kill = stop.stop_signal, stop.kill
    init = f"{report.init_comm} ({wording.init_word(scope)})"
    if report.init_comm.startswith("runc:["):
        init = f"{wording.init_word(scope)}, which had not started its program yet,"
    if event is not None:
        name, sender = signal_name(event.signo), event.actor.comm
        if stop.escalated and kill is not None:
            waited = wording.seconds(kill.boot_ns - event.boot_ns)
            what = _what_init_did(correlator, scope, stop, event, init)
            return f"{what}, and {kill.actor.comm} sent SIGKILL {waited} later"
        if report.outcome is StopOutcome.SURVIVED:
            if is_dropped(event):
                return f"{init} has no {name} handler, so the kernel dropped it"
            return f"{init} got {name} from {sender} and lives on"
        return f"{init} got {name} from {sender} and {_ended(correlator, scope, report, passed_on)}"
    if kill is None:
        return f"{init} {_ended(correlator, scope, report, passed_on)}"
    by = kill.actor.comm if causes.is_sent_by_user(kill) else "the kernel"
    if report.init_exit_boot_ns is None:
        return f"{init} was sent SIGKILL by {by}"
    if report.init_cause in (Cause.KILL, Cause.RUNTIME_KILL):
        before = "with no stop signal before"
        if not report.complete:
            before = "no stop signal was seen before"
        if stop.after_survived_ns is not None:
            ago = wording.seconds(kill.boot_ns - stop.after_survived_ns)
            before = f"{ago} after a stop signal it had survived"
        return f"{init} was killed by {by}, {before}"
    cause = report.init_cause or Cause.UNKNOWN
    comma = "," if cause is Cause.UNKNOWN else ""
    return f"{init} was killed{comma} {wording.BY_CAUSE[cause]}"


def _ended(correlator: Correlator, scope: Scope, report: StopReport, passed_on: PassedOn) -> str:
    if report.init_exit_boot_ns is None:
        return "had not ended when the trace did"
    init = correlator.table.get(scope.init)
    if init is None:
        return "ended"
    text = wording.ended(init.status)
    victim = passed_on.by(init)
    if victim is not None and victim.status is not None:
        text += f", passing on that {wording.named(victim)} had died of {victim.status.signal_name}"
    return text


def _fates(report: StopReport) -> str:
    if not report.members:
        return "; it was alone" if report.complete else ""
    parts = [
        f"{number} {text}"
        for number, text in (
            (report.sigkilled, "died of SIGKILL"),
            (report.signalled, "died of another signal"),
            (report.exited, "exited"),
            (report.already_zombie, "had ended before"),
            (report.survived, "lived on" if report.end_boot_ns is not None else "still ran"),
        )
        if number
    ]
    others = "1 other process" if report.members == 1 else f"{report.members} other processes"
    if len(parts) == 1:
        text = parts[0].split(" ", 1)[1]
        return f"; its {others} {text}" if report.members == 1 else f"; all {others} {text}"
    return f"; of {others}, {wording.enumerate_all(parts)}"
