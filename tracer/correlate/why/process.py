"""Why one process ended, from the first cause that was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracer.correlate.why.evidence import Evidence, members_of
from tracer.correlate.why.stop import begin_steps, init_end_steps
from tracer.correlate.why.words import CAUSES, call_words, fate, named, seconds, sender_words
from tracer.model.events import SignalEvent
from tracer.model.report import ProcessReport, Report, StopReport
from tracer.model.signals import Disposition, SignalResult, signal_name
from tracer.model.verdicts import Cause, End, ReapKind
from tracer.model.why import Why, WhyStep


def explain_process(evidence: Evidence, process: ProcessReport) -> Why:
    """Tell why one process ended, from the first cause that was seen."""
    report = evidence.report
    who = named(process)
    steps = [WhyStep(process.start_boot_ns, f"{who} started{_parent_words(report, process)}.")]
    stop = _stop_of(report, process)
    if stop is not None and (process.is_init or process.cause is Cause.PIDNS_TEARDOWN):
        steps += begin_steps(evidence, stop, members_of(report, stop))
        if not process.is_init:
            steps += init_end_steps(stop)
    steps += _signal_steps(evidence, process, is_told=stop is not None and process.is_init)
    steps += _end_steps(report, process)
    return Why(
        question=f"Why did {who} {'end' if process.end is not End.RUNNING else 'not end'}?",
        answer=_process_answer(process),
        steps=_in_order(steps),
        findings=tuple(f for f in report.findings if process.host_pid in f.host_pids),
        complete=process.complete,
    )


def _in_order(steps: Sequence[WhyStep]) -> tuple[WhyStep, ...]:
    # A step without a time belongs right behind the one it was told after.
    last_ns = 0
    timed = []
    for step in steps:
        last_ns = step.boot_ns if step.boot_ns is not None else last_ns
        timed.append((last_ns, step))
    return tuple(step for _, step in sorted(timed, key=lambda pair: pair[0]))


def _signal_steps(
    evidence: Evidence, process: ProcessReport, *, is_told: bool
) -> Iterator[WhyStep]:
    key = (process.host_pid, process.start_boot_ns)
    for annotated in evidence.signals:
        event = annotated.event
        if not isinstance(event, SignalEvent) or event.process.key != key:
            continue
        if annotated.cause is None or event.target_live_threads == 0:
            continue
        name = signal_name(event.signo)
        is_fatal = event.boot_ns == process.signal_boot_ns
        if is_told and not is_fatal:
            continue
        by = (
            f"{sender_words(event)} sent it {name}{call_words(event)}"
            if annotated.sender_is_user
            else f"The kernel sent it {name}, while {event.actor.comm}"
            f" (host pid {event.actor.host_pid}) ran"
        )
        cause = process.cause if is_fatal and process.cause is not None else annotated.cause
        yield WhyStep(event.boot_ns, f"{by}: {CAUSES[cause]}{_unharmed(event, is_fatal)}.")


def _unharmed(event: SignalEvent, is_fatal: bool) -> str:
    if is_fatal:
        return ""
    if event.result is SignalResult.IGNORED:
        return "; the kernel dropped it"
    return {
        Disposition.CAUGHT: "; it has a handler for it",
        Disposition.BLOCKED: "; it had it blocked",
        Disposition.IGNORED: "; it ignores it",
        Disposition.DEFAULT: "",
    }[event.disposition]


def _end_steps(report: Report, process: ProcessReport) -> Iterator[WhyStep]:
    if process.end is End.RUNNING:
        yield WhyStep(report.end_boot_ns, "It still ran when the trace ended.")
        return
    yield WhyStep(process.end_boot_ns, f"It {fate(process)}.")
    if process.passed_on_host_pid is not None and process.exit_code is not None:
        child = next(
            (p for p in report.processes if p.host_pid == process.passed_on_host_pid), None
        )
        who = named(child) if child is not None else f"host pid {process.passed_on_host_pid}"
        yield WhyStep(
            process.end_boot_ns,
            f"That code is 128 + {process.exit_code - 128}: a shell passes on so that its child"
            f" {who} died of {signal_name(process.exit_code - 128)}.",
        )
    if process.end_boot_ns is None:
        return
    if process.reap_kind is None:
        for_ns = report.end_boot_ns - process.end_boot_ns
        yield WhyStep(
            report.end_boot_ns, f"Nobody had reaped it after {seconds(for_ns)}: a zombie."
        )
    elif process.zombie_ns is not None:
        reaped_ns = process.end_boot_ns + process.zombie_ns
        yield WhyStep(reaped_ns, _reap_words(process))


def _reap_words(process: ProcessReport) -> str:
    if process.reap_kind is ReapKind.TEARDOWN and not process.zombie_ns:
        return "It went with its namespace."
    reaper = process.reaper_comm or "a process that is not known"
    was = f"It was a zombie for {seconds(process.zombie_ns or 0)}"
    return {
        ReapKind.AUTO: "The kernel released it at once: nobody was to wait for it.",
        ReapKind.PARENT: f"{was}, until its parent {reaper} reaped it.",
        ReapKind.ADOPTER: f"{was}, until {reaper}, which had inherited it, reaped it.",
        ReapKind.TEARDOWN: f"{was}, until it went with its namespace.",
        ReapKind.UNKNOWN: f"{was}; who reaped it is not known.",
    }[process.reap_kind or ReapKind.UNKNOWN]


def _process_answer(process: ProcessReport) -> str:
    who = named(process)
    if process.end is End.RUNNING:
        return f"{who} did not end while it was traced."
    why = ""
    if process.cause is not None:
        why = f": {CAUSES[process.cause]}"
        if process.sender_comm is not None:
            why += f" (sent by {process.sender_comm}, host pid {process.sender_host_pid})"
    return f"{who} {fate(process)}{why}."


def _parent_words(report: Report, process: ProcessReport) -> str:
    parent = next((p for p in report.processes if p.host_pid == process.parent_host_pid), None)
    return f", a child of {named(parent)}" if parent is not None else ""


def _stop_of(report: Report, process: ProcessReport) -> StopReport | None:
    for stop in report.stops:
        is_member = process.pidns_inum == stop.pidns_inum or (
            stop.container_id is not None and process.container_id == stop.container_id
        )
        if not is_member or process.end_boot_ns is None:
            continue
        end_ns = stop.end_boot_ns if stop.end_boot_ns is not None else report.end_boot_ns
        if stop.begin_boot_ns <= process.end_boot_ns <= end_ns:
            return stop
    return None
