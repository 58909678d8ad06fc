"""Why one process ended, from the first cause that was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tracer.diagnose.why.evidence import Evidence, members_of
from tracer.diagnose.why.exit_codes import exit_code_steps, passed_on_by, passed_on_steps
from tracer.diagnose.why.signals import signal_steps
from tracer.diagnose.why.stop import begin_steps, init_end_steps
from tracer.model.report import ProcessReport, Report
from tracer.model.verdicts import Cause, End, ReapKind
from tracer.model.why import Why, WhyStep
from tracer.wording.causes import CAUSES
from tracer.wording.names import seconds
from tracer.wording.why_words import fate, named


def explain_process(evidence: Evidence, process: ProcessReport) -> Why:
    """Tell why one process ended, from the first cause that was seen."""
    report = evidence.report
    who = named(process)
    steps = [WhyStep(process.start_boot_ns, f"{who} started{_parent_words(report, process)}.")]
    stop = report.stops[process.stop] if process.stop is not None else None
    if stop is not None and (process.is_init or process.cause is Cause.PIDNS_TEARDOWN):
        steps += begin_steps(evidence, stop, members_of(report, stop))
        if not process.is_init:
            steps += init_end_steps(stop)
    steps += signal_steps(evidence, process, only_fatal=stop is not None and process.is_init)
    steps += passed_on_steps(evidence, process)
    steps += _end_steps(report, process)
    return Why(
        question=f"Why did {who} {'exit' if process.end is not End.RUNNING else 'not exit'}?",
        answer=_process_answer(report, process),
        steps=_in_order(steps),
        findings=tuple(f for f in report.findings if process.host_pid in f.host_pids),
        complete=process.complete,
    )


def _in_order(steps: Sequence[WhyStep]) -> tuple[WhyStep, ...]:
    # A step without a time belongs right after the step that precedes it.
    last_ns = 0
    timed = []
    for step in steps:
        last_ns = step.boot_ns if step.boot_ns is not None else last_ns
        timed.append((last_ns, step))
    return tuple(step for _, step in sorted(timed, key=lambda pair: pair[0]))


def _end_steps(report: Report, process: ProcessReport) -> Iterator[WhyStep]:
    if process.end is End.RUNNING:
        yield WhyStep(report.end_boot_ns, "It was still running when the trace ended.")
        return
    yield WhyStep(process.end_boot_ns, f"It {fate(process)}.")
    yield from exit_code_steps(report, process)
    if process.end_boot_ns is None:
        return
    if process.reap_kind is None:
        for_ns = process.zombie_ns
        if for_ns is None:
            for_ns = report.end_boot_ns - process.end_boot_ns
        yield WhyStep(
            report.end_boot_ns,
            f"It was still a zombie when the trace ended, {seconds(for_ns)} later.",
        )
    elif process.zombie_ns is not None:
        yield WhyStep(process.reap_boot_ns, _reap_words(process))


def _reap_words(process: ProcessReport) -> str:
    if process.reap_kind is ReapKind.TEARDOWN and not process.zombie_ns:
        return "Namespace teardown reaped it."
    reaper = process.reaper_comm or "an unknown process"
    was = f"It was a zombie for {seconds(process.zombie_ns or 0)}"
    return {
        ReapKind.AUTO: "The kernel released it as it exited: it was never a zombie.",
        ReapKind.PARENT: f"{was} until its parent, {reaper}, reaped it.",
        ReapKind.ADOPTER: f"{was} until {reaper}, which had adopted it, reaped it.",
        ReapKind.TEARDOWN: f"{was} until namespace teardown reaped it.",
        ReapKind.UNKNOWN: f"{was}; which process reaped it is unknown.",
    }[process.reap_kind or ReapKind.UNKNOWN]


def _process_answer(report: Report, process: ProcessReport) -> str:
    who = named(process)
    if process.end is End.RUNNING:
        return f"{who} did not exit while it was traced."
    why = ""
    if process.cause is not None:
        why = f": {CAUSES[process.cause].clause}"
        why += sent_by(process)
    child = passed_on_by(report, process)
    if child is not None:
        why = f": it reported that {named(child)} {fate(child)}"
        if child.cause is not None:
            why += f", {CAUSES[child.cause].adjunct}"
        why += sent_by(child)
    return f"{who} {fate(process)}{why}."


def sent_by(process: ProcessReport) -> str:
    """Who sent the signal that a process died of, in brackets; nothing if no process did."""
    if process.sender_comm is None:
        return ""
    return f" (sent by {process.sender_comm}, host pid {process.sender_host_pid})"


def _parent_words(report: Report, process: ProcessReport) -> str:
    parent = next((p for p in report.processes if p.host_pid == process.parent_host_pid), None)
    return f", a child of {named(parent)}" if parent is not None else ""
