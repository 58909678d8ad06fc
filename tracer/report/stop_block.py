"""The facts of each stop: what was sent, how long it took, what became of whom."""

from __future__ import annotations

from tracer.model.report import Report, StopReport
from tracer.model.signals import SignalResult
from tracer.model.verdicts import StopOutcome, StopSignalDisposition
from tracer.report.page import Page, Span, Style, column
from tracer.report.times import format_duration
from tracer.report.wording import CAUSE_SHORT, TRIGGER_MEANING, explain_sender, init_word

_LABEL_WIDTH = 16


def add_stops(page: Page, report: Report) -> None:
    """Write one block a stop."""
    for stop in report.stops:
        page.blank()
        if len(report.stops) > 1 or len(report.containers) > 1:
            page.text(f"stop of {_whose(stop)}", style=Style.STRONG)
        _add_stop(page, stop, init_word(report.containers, stop.container_id))


def _add_stop(page: Page, stop: StopReport, init: str) -> None:
    _fact(page, "stop signal", *_stop_signal(stop, init))
    if stop.escalated:
        after = "" if stop.grace_ns is None else f" {format_duration(stop.grace_ns)} later"
        _fact(page, "then", f"SIGKILL{after}{_from(stop)}", Style.ERROR)
    elif stop.kill_sender_comm is not None:
        _fact(page, "killed", f"SIGKILL{_from(stop)}", Style.ERROR)
    _fact(page, init, *_init_end(stop))
    _fact(page, "took", _took(stop, init))
    if stop.members:
        _fact(page, "the others", _counts(stop, init))
    if not stop.complete:
        _fact(page, "incomplete", "not all of this stop was seen", Style.WARNING)


def _fact(page: Page, label: str, text: str, style: Style = Style.PLAIN) -> None:
    page.entry((Span("  "), column(label, _LABEL_WIDTH - 2, Style.DIM)), text, style=style)


def _stop_signal(stop: StopReport, init: str) -> tuple[str, Style]:
    if stop.stop_signal is None:
        trigger = TRIGGER_MEANING.get(stop.trigger, stop.trigger).format(init=init)
        return f"none; the stop began with {trigger}", Style.PLAIN
    sender = ""
    if stop.stop_sender_comm is not None:
        names = explain_sender(
            stop.stop_sender_comm, stop.stop_sender_host_pid, stop.stop_sender_chain
        )
        sender = f" from {names}"
    fate, style = _stop_signal_fate(stop, init)
    return f"{stop.stop_signal}{sender}: {fate}", style


def _stop_signal_fate(stop: StopReport, init: str) -> tuple[str, Style]:
    disposition = stop.stop_signal_disposition
    if stop.stop_signal_result is SignalResult.IGNORED:
        if disposition is StopSignalDisposition.IGNORED:
            return f"{init} ignores it", Style.ERROR
        return f"dropped by the kernel, as {init} has no handler for it", Style.ERROR
    if stop.stop_signal_result is SignalResult.ALREADY_PENDING:
        return "one more of it was already waiting", Style.PLAIN
    if disposition is StopSignalDisposition.CAUGHT:
        return f"{init} handles it", Style.PLAIN
    if disposition is StopSignalDisposition.BLOCKED:
        return f"{init} had it blocked, to take it when it likes (sigwait)", Style.PLAIN
    if disposition is StopSignalDisposition.IGNORED:
        return f"{init} ignores it", Style.ERROR
    return f"it reached {init}", Style.PLAIN


def _from(stop: StopReport) -> str:
    if stop.kill_sender_comm is None:
        return ""
    return f", from {explain_sender(stop.kill_sender_comm, None, stop.kill_sender_chain)}"


def _init_end(stop: StopReport) -> tuple[str, Style]:
    name = f"{stop.init_comm}[{stop.init_host_pid}]"
    if stop.init_term_signal is not None:
        why = f": {CAUSE_SHORT[stop.init_cause]}" if stop.init_cause is not None else ""
        return f"{name} died of {stop.init_term_signal}{why}", Style.PLAIN
    if stop.init_exit_code is not None:
        return f"{name} ended with exit code {stop.init_exit_code}", Style.PLAIN
    if stop.outcome is StopOutcome.SURVIVED:
        return f"{name} survived the stop and runs on", Style.ERROR
    return f"{name} had not ended when the trace did", Style.WARNING


def _took(stop: StopReport, init: str) -> str:
    if stop.duration_ns is None:
        return "not over when the trace ended"
    parts = [f"{format_duration(stop.duration_ns)} in all"]
    if stop.grace_ns is not None and not stop.escalated and stop.outcome is StopOutcome.STOPPED:
        parts.append(f"{format_duration(stop.grace_ns)} from the stop signal to {init}'s end")
    if stop.teardown_ns is not None:
        parts.append(f"{format_duration(stop.teardown_ns)} to take the namespace down")
    return "; ".join(parts)


def _counts(stop: StopReport, init: str) -> str:
    counts = (
        (stop.sigkilled, "killed by SIGKILL"),
        (stop.signalled, "died of another signal"),
        (stop.exited, "ended by themselves" if stop.exited != 1 else "ended by itself"),
        (stop.already_zombie, "already dead (zombie)"),
        (stop.survived, "survived"),
    )
    parts = [f"{count} {what}" for count, what in counts if count]
    return f"{stop.members} besides {init}: {', '.join(parts) or 'none accounted for'}"


def _whose(stop: StopReport) -> str:
    if stop.container_name is not None:
        return stop.container_name
    if stop.container_id is not None:
        return stop.container_id[:12]
    return f"PID namespace {stop.pidns_inum}"
