"""What happened, in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tracer.correlate import causes
from tracer.correlate.causes import is_dropped
from tracer.correlate.correlator import Correlator
from tracer.correlate.scope import Scope
from tracer.correlate.stops import MemberCounts, StopState, StopTrigger
from tracer.correlate.zombies import view_zombies
from tracer.diagnose.conclusions import UNKNOWN_TRIGGER, Conclusions
from tracer.diagnose.grave import STOP_RANK, grave_deaths, grave_findings
from tracer.diagnose.hold_words import say_reason, say_what_it_did
from tracer.model.claims.hold import CANNOT_RUN, HoldReason
from tracer.model.events import SignalEvent
from tracer.model.report import Finding, Folded, FoldedStops, StopReport
from tracer.model.signals import Disposition, signal_name
from tracer.model.verdicts import Cause, StopOutcome
from tracer.wording import names as wording
from tracer.wording.absence import no_others, no_stop_signal
from tracer.wording.causes import CAUSES
from tracer.wording.commands import name_by_command

_MOST_STOPS = 3
_MOST_DEATHS = 2
_LATE_NS = 1_000_000_000


def tell_headline(
    conclusions: Conclusions,
    stops: Sequence[tuple[Scope, StopState, StopReport]],
    findings: Sequence[Finding],
    folded: Folded,
) -> str:
    """What happened, the gravest first: a sentence for each thing, and few of them.

    Args:
        conclusions: What was concluded.
        stops: Those the report lists.
        findings: Those the report lists.
        folded: What it counts instead.
    """
    deaths = grave_deaths(conclusions)
    others = sorted(grave_findings(findings), key=lambda one: (one.rank, -one.number))[:1]
    sentences = [(one.rank, _sentence(one.text)) for one in [*deaths[:_MOST_DEATHS], *others]]
    rest = sum(one.number for one in deaths[_MOST_DEATHS:])
    if rest:
        rank, text = sentences[_MOST_DEATHS - 1]
        more = f"{rest:,} more process{'es' * (rest > 1)} died of a signal."
        sentences[_MOST_DEATHS - 1] = rank, f"{text} {more}"
    sentences += (
        _stop_sentences(conclusions, stops, folded)
        if stops
        else [
            (STOP_RANK, _quiet_sentence(conclusions, findings, folded, has_grave=bool(sentences)))
        ]
    )
    return " ".join(text for _, text in sorted(sentences, key=lambda one: one[0]))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text.startswith("the ") else f"{text}."


def _stop_sentences(
    conclusions: Conclusions,
    stops: Sequence[tuple[Scope, StopState, StopReport]],
    folded: Folded,
) -> list[tuple[int, str]]:
    """One sentence for each kind of course, the worst first, and how many are like it."""
    by_course: dict[tuple[object, ...], list[tuple[Scope, StopState, StopReport]]] = {}
    for each in sorted(stops, key=_gravity):
        by_course.setdefault(_course(each[2]), []).append(each)
    counted: Counter[tuple[object, ...]] = Counter()
    for row in folded.stops:
        counted[_course(row)] += row.count
    sentences: list[tuple[int, str]] = []
    shown = 0
    courses = list(by_course.items())
    # Where few were stopped, each has its sentence.
    is_few = len(stops) <= _MOST_STOPS and not folded.stops
    if is_few:
        courses = [(_course(each[2]), [each]) for each in sorted(stops, key=_gravity)]
    for course, group in courses[:_MOST_STOPS]:
        like_it = 0 if is_few else len(group) - 1 + counted.pop(course, 0)
        shown += len(group)
        more = f" (and {like_it:,} like it)" if like_it else ""
        text = _stop_sentence(conclusions, *group[0])
        sentences.append((STOP_RANK + (_gravity(group[0]) > 0) * _MILD, f"{text}{more}."))
    rest = len(stops) - shown + counted.total()
    if rest > 0:
        more = "was 1 more stop" if rest == 1 else f"were {rest:,} more stops"
        sentences[-1] = (sentences[-1][0], f"{sentences[-1][1]} There {more}.")
    return sentences


_MILD = 10
"""A stop that went well comes after everything that is wrong."""


def _course(stop: StopReport | FoldedStops) -> tuple[object, ...]:
    return (
        stop.trigger, stop.stop_signal, stop.outcome, stop.escalated,
        stop.init_exit_code, stop.init_term_signal, stop.init_cause,
    )  # fmt: skip


def _quiet_sentence(
    conclusions: Conclusions, findings: Sequence[Finding], folded: Folded, *, has_grave: bool
) -> str:
    """What happened where nothing was stopped."""
    correlator = conclusions.correlator
    killed = sum(_was_killed(state.cause) for state in correlator.table.each())
    killed += sum(row.count for row in folded.processes if _was_killed(row.cause))
    zombies = [
        view
        for view in view_zombies(correlator.trace)
        if view.reap is None and not view.is_leader_only
    ]
    parts = []
    if killed:
        parts.append(f"{wording.processes(killed)} died of a signal")
    if zombies:
        were = wording.was_or_were(len(zombies))
        parts.append(f"{wording.count(len(zombies), 'zombie')} {were} not reaped")
    if not parts and findings and not has_grave:
        parts.append(findings[0].title)
    lasted = wording.seconds(correlator.now_ns - (correlator.begin_ns or correlator.now_ns))
    is_lossy = correlator.losses.any_between(0, None)
    if not parts and not has_grave:
        if is_lossy:
            return f"No stop, kill or remaining zombie was captured in {lasted}."
        return f"Nothing was stopped or killed in {lasted}, and no zombie remained."
    nothing = "No stop was captured" if is_lossy else "Nothing was stopped"
    return f"{nothing} in {lasted}{'; ' * bool(parts)}{wording.enumerate_all(parts)}."


def _gravity(stop: tuple[Scope, StopState, StopReport]) -> int:
    report = stop[2]
    if report.escalated or report.outcome is StopOutcome.SURVIVED:
        return 0
    return 1 if report.sigkilled else 2


def _was_killed(cause: Cause | None) -> bool:
    return cause is not None and cause is not Cause.SELF


def _stop_sentence(
    conclusions: Conclusions, scope: Scope, stop: StopState, report: StopReport
) -> str:
    took = f" in {wording.seconds(report.duration_ns)}" if report.duration_ns is not None else ""
    after = ""
    if report.outcome is StopOutcome.SURVIVED:
        verb = "survived its stop signal"
    elif report.end_boot_ns is None:
        verb = "was being stopped when the trace ended"
        if not report.complete:
            verb = "was being stopped; the outcome was not captured"
        if report.init_exit_boot_ns is not None:
            verb = "had not finished its teardown when the trace ended"
            if not scope.is_shared and (scope.init_notified_ns or scope.teardown_end_ns):
                # Its parent was notified, which comes last; or its tracer in its place.
                kept = ", but its init was not reaped by the end of the trace"
                verb = f"was torn down{kept if report.complete else ''}"
    elif stop.trigger is StopTrigger.STOP_SIGNAL:
        verb = f"was stopped{took}"
    else:
        verb = "ended" if stop.trigger is StopTrigger.INIT_EXIT else "was killed"
        if report.init_exit_boot_ns is not None:
            left_ns = report.end_boot_ns - report.init_exit_boot_ns
            if left_ns >= _LATE_NS:
                after = f"; its last process was released {wording.seconds(left_ns)} after that"
    how = _how(conclusions, scope, stop, report)
    return f"{scope.label} {verb}: {how}{_fates(conclusions, scope, stop, report)}{after}"


def _what_init_did(
    conclusions: Conclusions, scope: Scope, stop: StopState, event: SignalEvent, init: str
) -> str:
    correlator, name = conclusions.correlator, signal_name(event.signo)
    if is_dropped(event):
        return f"{init} has no {name} handler, so the kernel dropped it"
    holds = conclusions.holds(scope, stop)
    if holds and holds[0].waiters and holds[0].reason is not HoldReason.UNKNOWN:
        holder = correlator.table.get(holds[0].holder)
        who = wording.named(holder) if holder is not None else "a process"
        more = f" (and for {len(holds) - 1} more)" if len(holds) > 1 else ""
        did = say_what_it_did(holds[0], stop.stop_signo)
        received = f"{init} received {name} from {event.actor.comm}"
        return f"{received} and waited for {who}, which {did}{more}"
    if holds and holds[0].reason in CANNOT_RUN:
        return f"{init} did not handle {name}: {say_reason(correlator, holds[0], stop.stop_signo)}"
    if event.disposition is Disposition.IGNORED:
        return f"{init} ignores {name}"
    if holds and holds[0].reason is HoldReason.RAISED_AGAIN:
        received = f"{init} received {name} from {event.actor.comm}"
        return f"{received} and raised it again to end, which the kernel dropped"
    return f"{init} received {name} from {event.actor.comm} but did not exit"


def _never_ran_a_program(correlator: Correlator, scope: Scope) -> bool:
    # Its name alone proves nothing: a process can give itself any name.
    init = correlator.table.get(scope.init)
    return (
        init is not None
        and not (init.is_seeded or init.is_seen_late or init.program_ns is not None)
        and not {"fork", "exec"} & correlator.losses.totals.keys()
    )


def _how(conclusions: Conclusions, scope: Scope, stop: StopState, report: StopReport) -> str:
    correlator, course = conclusions.correlator, conclusions.stop(scope, stop)
    event, kill = stop.stop_signal, stop.kill
    program = name_by_command(report.init_comm, conclusions.commands.get(scope.init))
    init = f"{program} ({wording.init_word(scope)})"
    if report.init_comm.startswith("runc:[") and _never_ran_a_program(correlator, scope):
        init = f"{wording.init_word(scope)}, which had not started its program yet,"
    if event is not None:
        name, sender = signal_name(event.signo), event.actor.comm
        if stop.escalated and kill is not None:
            waited = wording.seconds(kill.boot_ns - event.boot_ns)
            what = _what_init_did(conclusions, scope, stop, event, init)
            return f"{what}, and {kill.actor.comm} sent SIGKILL {waited} later"
        if report.outcome is StopOutcome.SURVIVED:
            if is_dropped(event):
                return f"{init} has no {name} handler, so the kernel dropped it"
            return f"{init} received {name} from {sender} and did not exit"
        end = _ended(conclusions, scope, report)
        return f"{init} received {name} from {sender} and {end}"
    if kill is None:
        lived = ""
        if course.lived_ns is not None:
            lived = f"ran for {wording.seconds(course.lived_ns)} and "
        unseen = ""
        if course.trigger == UNKNOWN_TRIGGER:
            unseen = ", and what ended it was not captured"
        return f"{init} {lived}{_ended(conclusions, scope, report)}{unseen}"
    by = kill.actor.comm if causes.is_sent_by_user(kill) else "the kernel"
    if report.init_exit_boot_ns is None:
        return f"{init} was sent SIGKILL by {by}"
    if report.init_cause in (Cause.KILL, Cause.RUNTIME_KILL):
        before = no_stop_signal(course.unasked) if course.unasked is not None else ""
        if stop.after_survived_ns is not None:
            ago = wording.seconds(kill.boot_ns - stop.after_survived_ns)
            before = f"{ago} after a stop signal it had survived"
        return f"{init} was killed by {by}, {before}"
    cause = report.init_cause or Cause.UNKNOWN
    comma = "," if cause is Cause.UNKNOWN else ""
    return f"{init} was killed{comma} {CAUSES[cause].adjunct}"


def _ended(conclusions: Conclusions, scope: Scope, report: StopReport) -> str:
    if report.init_exit_boot_ns is None:
        return "had not exited when the trace ended"
    end = conclusions.end(scope.init)
    if end is None:
        return "exited"
    text = wording.ended(end.status)
    victim = conclusions.correlator.table.get(end.passed_on)
    if victim is not None and victim.status is not None:
        text += f", reporting that {wording.named(victim)} died of {victim.status.signal_name}"
    return text


def _other_signal(counts: MemberCounts) -> str:
    """The signal besides SIGKILL that members died of, by name where it is one."""
    signos = [signo for signo in range(1, 65) if counts.other_signals >> signo & 1]
    return signal_name(signos[0]) if len(signos) == 1 else "a signal other than SIGKILL"


def _fates(conclusions: Conclusions, scope: Scope, stop: StopState, report: StopReport) -> str:
    if not report.members:
        alone = no_others(conclusions.stop(scope, stop).alone)
        return f"; {alone}" if alone else ""
    parts = [
        f"{number} {text}"
        for number, text in (
            (report.sigkilled, "died of SIGKILL"),
            (report.signalled, f"died of {_other_signal(conclusions.counts(scope, stop))}"),
            (report.exited, "exited"),
            (report.already_zombie, "had already exited"),
            (report.survived, "survived" if report.end_boot_ns is not None else "kept running"),
        )
        if number
    ]
    others = "1 other process" if report.members == 1 else f"{report.members} other processes"
    if len(parts) == 1:
        text = parts[0].split(" ", 1)[1]
        few = {1: "the one other process", 2: "both other processes"}
        return f"; {few.get(report.members, f'all {others}')} {text}"
    return f"; of {others}, {wording.enumerate_all(parts)}"
