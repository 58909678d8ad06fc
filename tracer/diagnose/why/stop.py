"""Why one container or namespace ended, and how its stop went."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tracer.diagnose.why.earlier import earlier_deaths, earlier_steps
from tracer.diagnose.why.evidence import Evidence, members_of
from tracer.diagnose.why.exit_codes import exit_code_steps, passed_on_by, passed_on_steps
from tracer.model.events import SignalEvent
from tracer.model.report import ProcessReport, Report, StopReport
from tracer.model.signals import Disposition, SignalResult, signal_name
from tracer.model.verdicts import Cause, StopOutcome, StopSignalDisposition
from tracer.model.why import Why, WhyStep
from tracer.wording.causes import CAUSES
from tracer.wording.names import seconds
from tracer.wording.why_words import (
    by_fate,
    call_words,
    chain_words,
    name_counts,
    others,
    sender_words,
    some_of,
    within,
)

_ENGINE_ACTIONS = frozenset({"kill", "stop", "die", "oom", "restart"})
_AROUND_NS = 1_000_000_000


def explain_stop(evidence: Evidence, stop: StopReport) -> Why:
    """Tell how one stop went: who asked, what PID 1 did, what the teardown killed."""
    report = evidence.report
    label = stop_label(stop)
    verb = "exit" if stop.trigger in ("init_exit", "unknown") else "stop"
    if stop.end_boot_ns is None:
        answer = f"{label} was being stopped when the trace ended."
    elif stop.outcome is StopOutcome.SURVIVED:
        answer = f"{label} did not stop: {stop.init_comm} survived the stop signal."
    else:
        answer = report.headline if len(report.stops) == 1 else _short_answer(stop)
    members = members_of(report, stop)
    concerned = {stop.init_host_pid, *(each.host_pid for each in members)}
    return Why(
        question=f"Why did {label} {verb}, and how?",
        answer=answer,
        steps=in_order(
            (
                *begin_steps(evidence, stop, members),
                *earlier_steps(evidence, stop),
                *_passed_on_steps(evidence, stop),
                *init_end_steps(stop),
                *_init_code_steps(report, stop),
                *_teardown_steps(stop, members),
                *_engine_steps(evidence, stop),
            )
        ),
        findings=tuple(f for f in report.findings if concerned & set(f.host_pids)),
        complete=stop.complete,
    )


def _init_of(report: Report, stop: StopReport) -> ProcessReport | None:
    return next(
        (
            each
            for each in report.processes
            if each.is_init
            and each.host_pid == stop.init_host_pid
            and each.end_boot_ns == stop.init_exit_boot_ns
        ),
        None,
    )


def _passed_on_steps(evidence: Evidence, stop: StopReport) -> Iterator[WhyStep]:
    init = _init_of(evidence.report, stop)
    child = passed_on_by(evidence.report, init) if init is not None else None
    # Who was killed before the stop has its steps already.
    if init is not None and child not in earlier_deaths(evidence, stop):
        yield from passed_on_steps(evidence, init)


def _init_code_steps(report: Report, stop: StopReport) -> Iterator[WhyStep]:
    init = _init_of(report, stop)
    if init is not None:
        yield from exit_code_steps(report, init)


def in_order(steps: Iterable[WhyStep]) -> tuple[WhyStep, ...]:
    """Sort steps by time; one without a time stays behind what it follows from."""
    timed: list[tuple[int, WhyStep]] = []
    latest_ns = 0
    for step in steps:
        latest_ns = latest_ns if step.boot_ns is None else step.boot_ns
        timed.append((latest_ns, step))
    return tuple(step for _, step in sorted(timed, key=lambda pair: pair[0]))


def stop_label(stop: StopReport) -> str:
    """How to call what was stopped."""
    if stop.container_name:
        return stop.container_name
    return stop.container_id[:12] if stop.container_id else f"PID namespace {stop.pidns_inum}"


def _short_answer(stop: StopReport) -> str:
    took = f" in {seconds(stop.duration_ns)}" if stop.duration_ns is not None else ""
    killed = (
        f"; {stop.sigkilled} of {stop.members} other processes were killed"
        if stop.sigkilled
        else ""
    )
    return f"{stop_label(stop)} stopped{took}: {stop.init_comm} {_init_fate(stop)}{killed}."


def begin_steps(
    evidence: Evidence, stop: StopReport, members: Sequence[ProcessReport]
) -> list[WhyStep]:
    """From who asked for the stop to what became of the request."""
    steps: list[WhyStep] = []
    asked = _first_signal(evidence, stop)
    if asked is not None and stop.stop_signal is not None:
        steps.append(
            WhyStep(
                asked.boot_ns,
                f"{sender_words(asked)} sent {stop.stop_signal}{call_words(asked)}"
                f" to {_init(stop)}.",
            )
        )
        steps.append(WhyStep(asked.boot_ns, _what_init_did(stop, asked)))
        steps += _passing_on_steps(evidence, stop, members, asked)
    elif stop.stop_signal is None and stop.trigger == "init_exit":
        steps.append(WhyStep(None, _none_sent(evidence.report, stop)))
    return steps


def _none_sent(report: Report, stop: StopReport) -> str:
    if stop.stop_signal_disposition is StopSignalDisposition.NOT_SENT:
        had_one = any(
            each.stop_signal is not None
            and each.init_host_pid == stop.init_host_pid
            and each.begin_boot_ns < stop.begin_boot_ns
            for each in report.stops
        )
        return f"No {'further ' * had_one}stop signal was sent to {_init(stop)}."
    text = f"No stop signal to {_init(stop)} was captured"
    if report.lost:
        return f"{text}; some events were lost."
    seen_ns = (stop.init_exit_boot_ns or stop.begin_boot_ns) - report.begin_boot_ns
    return f"{text} in the {seconds(seen_ns)} since tracing began."


def _engine_steps(evidence: Evidence, stop: StopReport) -> Iterator[WhyStep]:
    end_ns = stop.end_boot_ns or evidence.report.end_boot_ns
    for event in evidence.observations:
        values = event.values
        action = str(values.get("action", ""))
        if values.get("container_id") != stop.container_id or action not in _ENGINE_ACTIONS:
            continue
        if stop.begin_boot_ns - _AROUND_NS <= event.boot_ns <= end_ns + _AROUND_NS:
            signal = values.get("signal")
            with_signal = f" with signal {signal}" if signal else ""
            yield WhyStep(event.boot_ns, f"{event.source} reported: {action}{with_signal}.")


def _first_signal(evidence: Evidence, stop: StopReport) -> SignalEvent | None:
    for annotated in evidence.signals:
        event = annotated.event
        if (
            isinstance(event, SignalEvent)
            and event.process.host_pid == stop.init_host_pid
            and event.boot_ns >= stop.begin_boot_ns
            and signal_name(event.signo) == stop.stop_signal
        ):
            return event
    return None


def _what_init_did(stop: StopReport, asked: SignalEvent) -> str:
    init, name = stop.init_comm, stop.stop_signal
    if asked.result is SignalResult.IGNORED:
        if asked.disposition is Disposition.IGNORED:
            return f"{init} ignores {name}, so the kernel dropped it."
        return (
            f"The kernel dropped it: {init} is PID 1 of its namespace and has no handler for"
            f" {name}, and the default action does not apply to PID 1."
        )
    if asked.disposition is Disposition.CAUGHT:
        return f"{init} has a handler for {name}."
    if asked.disposition is Disposition.BLOCKED:
        return f"{init} had blocked {name}; it may read it with sigwait or a signalfd."
    if asked.disposition is Disposition.IGNORED:
        return f"{init} ignores {name}."
    return f"{init} has no handler for {name}: the default action applies."


def _passing_on_steps(
    evidence: Evidence,
    stop: StopReport,
    members: Sequence[ProcessReport],
    asked: SignalEvent,
) -> Iterator[WhyStep]:
    until_ns = stop.kill_boot_ns or stop.init_exit_boot_ns or evidence.report.end_boot_ns
    there = [
        each
        for each in members
        if each.end_boot_ns is None or each.end_boot_ns > stop.begin_boot_ns
    ]
    if not there:
        return
    signalled = [each for each in there if each.stop_signal_seen]
    if not signalled:
        verb = "sent" if _surely(there) else "seen to be sent"
        yield WhyStep(
            None,
            f"{stop.stop_signal} was not {verb} to the {others(len(there))}"
            f" ({name_counts(there)}).",
        )
    else:
        yield from _sent_steps(evidence, stop, asked, signalled, len(there))
    unsent = [each for each in there if not each.stop_signal_seen]
    if signalled and unsent:
        were = "was" if len(unsent) == 1 else "were"
        verb = f"{were} not sent it" if _surely(unsent) else f"{were} not seen to be sent it"
        yield WhyStep(None, f"{name_counts(unsent)} {verb}.")
    ended = [each for each in there if each.end_boot_ns is not None and each.end_boot_ns < until_ns]
    for how, group in by_fate(ended):
        yield WhyStep(group[-1].end_boot_ns, f"{name_counts(group)} {how}{within(group)}.")


def _surely(unsent: Sequence[ProcessReport]) -> bool:
    """Whether it is certain of each that it was not sent its stop's signal."""
    return all(each.stop_signal_disposition is StopSignalDisposition.NOT_SENT for each in unsent)


def _sent_steps(
    evidence: Evidence,
    stop: StopReport,
    asked: SignalEvent,
    signalled: Sequence[ProcessReport],
    all_there: int,
) -> Iterator[WhyStep]:
    """One step for each sender of the stop signal to a member, and whom it sent it to."""
    by_key = {(each.host_pid, each.start_boot_ns): each for each in signalled}
    groups: dict[object, tuple[SignalEvent, list[ProcessReport]]] = {}
    for annotated in evidence.signals:
        event = annotated.event
        if (
            isinstance(event, SignalEvent)
            and event.signo == asked.signo
            and event.boot_ns >= asked.boot_ns
            and (each := by_key.pop(event.process.key, None)) is not None
        ):
            groups.setdefault(event.actor.key, (event, []))[1].append(each)
    for event, receivers in groups.values():
        yield WhyStep(
            event.boot_ns,
            f"{sender_words(event)} sent {stop.stop_signal} to"
            f" {some_of(name_counts(receivers), len(receivers), all_there)}.",
        )
    if by_key:
        yield WhyStep(
            None, f"{stop.stop_signal} was sent to {name_counts(list(by_key.values()))}, too."
        )


def init_end_steps(stop: StopReport) -> Iterator[WhyStep]:
    """From the end of the grace to the end of init."""
    init = stop.init_comm
    if stop.kill_boot_ns is not None:
        chain = chain_words(stop.kill_sender_chain)
        by = f"{stop.kill_sender_comm}{chain}" if stop.kill_sender_comm else "the kernel"
        if stop.grace_ns is not None:
            text = (
                f"{seconds(stop.grace_ns)} after {stop.stop_signal} {init} was still running:"
                f" {by} sent SIGKILL, which no process can catch."
            )
        else:
            why = f" ({CAUSES[stop.init_cause].clause})" if stop.init_cause is not None else ""
            text = f"{by} sent SIGKILL to {_init(stop)}{why}."
        yield WhyStep(stop.kill_boot_ns, text)
    if stop.init_exit_boot_ns is not None:
        after = ""
        if stop.kill_boot_ns is None and stop.grace_ns is not None:
            after = f", {seconds(stop.grace_ns)} after {stop.stop_signal}"
        yield WhyStep(stop.init_exit_boot_ns, f"{init} {_init_fate(stop)}{after}.")
    elif stop.outcome is StopOutcome.SURVIVED:
        yield WhyStep(stop.end_boot_ns, f"{init} kept running for a minute: it survived the stop.")
    else:
        yield WhyStep(None, f"{init} had not exited when the trace ended.")


def _teardown_steps(stop: StopReport, members: Sequence[ProcessReport]) -> Iterator[WhyStep]:
    if stop.init_exit_boot_ns is None:
        return
    killed = [each for each in members if each.cause is Cause.PIDNS_TEARDOWN]
    if killed:
        ends = [each.end_boot_ns for each in killed if each.end_boot_ns is not None]
        yield WhyStep(
            min(ends, default=None),
            "PID 1 had exited, so the kernel tore the namespace down: it sent SIGKILL to all"
            f" remaining processes, and {name_counts(killed)} died of it.",
        )
    late = [
        each
        for each in members
        if each.cause is not Cause.PIDNS_TEARDOWN
        and each.end_boot_ns is not None
        and each.end_boot_ns > stop.init_exit_boot_ns
    ]
    for how, group in by_fate(late):
        yield WhyStep(group[-1].end_boot_ns, f"{name_counts(group)} {how}{within(group)}.")
    if stop.already_zombie:
        yield WhyStep(
            None,
            f"{_zombies(stop.already_zombie)} before the stop began.",
        )
    if stop.end_boot_ns is not None and stop.duration_ns is not None:
        teardown = (
            f", {seconds(stop.teardown_ns)} of it for namespace teardown"
            if stop.teardown_ns is not None
            else ""
        )
        took = f"the stop took {seconds(stop.duration_ns)}"
        if stop.stop_signal is None and stop.kill_boot_ns is None:
            took = f"that took {seconds(stop.duration_ns)} from the end of {stop.init_comm}"
        yield WhyStep(stop.end_boot_ns, f"The last process was reaped: {took}{teardown}.")


def _zombies(count: int) -> str:
    return "1 was a zombie" if count == 1 else f"{count} were zombies"


def _init_fate(stop: StopReport) -> str:
    if stop.init_term_signal is not None:
        why = f": {CAUSES[stop.init_cause].clause}" if stop.init_cause is not None else ""
        return f"died of {stop.init_term_signal}{why}"
    if stop.init_exit_code is not None:
        return f"exited with code {stop.init_exit_code}"
    return "exited" if stop.init_exit_boot_ns is not None else "is still running"


def _init(stop: StopReport) -> str:
    return f"{stop.init_comm} (host pid {stop.init_host_pid}), the init of {stop_label(stop)}"
