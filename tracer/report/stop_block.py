"""The facts of each stop: what was sent, how long it took, what became of whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

from tracer.model.report import FoldedStops, Report, StopHolder, StopReport
from tracer.model.signals import SignalResult
from tracer.model.verdicts import StopOutcome, StopSignalDisposition
from tracer.report.page import Page, Span, Style, column
from tracer.wording.causes import CAUSES
from tracer.wording.times import format_duration
from tracer.wording.verdicts import TRIGGER_MEANING, explain_sender, init_word

_LABEL_WIDTH = 19
_MOST_COURSES = 6
_MOST_HOLDERS = 3
_BY_EXIT = frozenset({"init_exit", "unknown"})


def add_stops(page: Page, report: Report, *, most_lines: int | None = None) -> None:
    """Write one block a stop, in their order; where room is short, the worst."""
    stops = list(report.stops)
    if most_lines is not None:
        stops.sort(key=_gravity)
    shown = page.add_within(
        (partial(_add_block, stop=stop, report=report) for stop in stops), most_lines
    )
    _add_more(page, stops[shown:], report.folded.stops)


def add_worst_stop(page: Page, report: Report) -> None:
    """Write the signals and the end of the worst stop, without the rest of its facts."""
    if not report.stops:
        return
    stop = min(report.stops, key=_gravity)
    page.add()
    if len(report.stops) > 1 or len(report.containers) > 1:
        page.text(f"stop of {_whose(stop)}", style=Style.STRONG)
    _add_course(page, stop, init_word(report.containers, stop.container_id))


def _add_block(page: Page, stop: StopReport, report: Report) -> None:
    page.add()
    if len(report.stops) > 1 or len(report.containers) > 1:
        page.text(f"stop of {_whose(stop)}", style=Style.STRONG)
    _add_stop(page, stop, init_word(report.containers, stop.container_id))


def _gravity(stop: StopReport) -> int:
    if stop.escalated or stop.outcome is StopOutcome.SURVIVED:
        return 0
    return 1 if stop.sigkilled else 2


def _add_more(page: Page, stops: Sequence[StopReport], rows: Sequence[FoldedStops]) -> None:
    """Count the stops that have no block, by how they began and went."""
    counts: Counter[tuple[str, str]] = Counter()
    killed: Counter[tuple[str, str]] = Counter()
    for stop in stops:
        kind = _course(stop)
        counts[kind] += 1
        killed[kind] += stop.sigkilled
    for row in rows:
        kind = _course(row)
        counts[kind] += row.count
        killed[kind] += row.sigkilled
    if not counts:
        return
    page.blank()
    page.text(f"and {sum(counts.values())} more stops", style=Style.STRONG)
    for (course, name), count in counts.most_common(_MOST_COURSES):
        of_killed = killed[course, name]
        text = f"{count} x {course}" + (f"; {of_killed} killed by SIGKILL" if of_killed else "")
        _fact(page, name, text)
    rest = len(counts) - _MOST_COURSES
    if rest > 0:
        page.text(f"... and stops of {rest} other kinds", indent=2, style=Style.DIM)


def _course(stop: StopReport | FoldedStops) -> tuple[str, str]:
    began = TRIGGER_MEANING.get(stop.trigger, stop.trigger).format(init="PID 1")
    if stop.stop_signal is not None:
        began = stop.stop_signal
    went = "survived" if stop.outcome is StopOutcome.SURVIVED else "stopped"
    if stop.outcome is None:
        went = "not finished"
    elif stop.escalated:
        went = "killed after the grace period"
    return f"{began}: {went}", stop.container_name or stop.init_comm or "various"


def _add_stop(page: Page, stop: StopReport, init: str) -> None:
    _add_course(page, stop, init)
    _fact(page, "duration", _took(stop, init))
    if stop.members:
        _fact(page, "other processes", _counts(stop))
    if not stop.complete:
        _fact(page, "incomplete", "not everything that led to this was captured", Style.WARNING)


def _add_course(page: Page, stop: StopReport, init: str) -> None:
    _fact(page, "stop signal", *_stop_signal(stop, init))
    if stop.holders and stop.holders[0].waiter_host_pids:
        # Where it is PID 1 itself, the other facts say so.
        _fact(page, "held up by", _holders(stop.holders), Style.ERROR)
    if stop.escalated:
        after = "" if stop.grace_ns is None else f" {format_duration(stop.grace_ns)} later"
        _fact(page, "then", f"SIGKILL{after}{_from(stop)}", Style.ERROR)
    elif stop.kill_sender_comm is not None:
        _fact(page, "killed", f"SIGKILL{_from(stop)}", Style.ERROR)
    _fact(page, init, *_init_end(stop))


def _holders(holders: Sequence[StopHolder]) -> str:
    parts = [f"{one.comm}[{one.host_pid}], which {one.why}" for one in holders[:_MOST_HOLDERS]]
    more = len(holders) - len(parts)
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def _fact(page: Page, label: str, text: str, style: Style = Style.PLAIN) -> None:
    page.entry((Span("  "), column(label, _LABEL_WIDTH - 2, Style.DIM)), text, style=style)


def _stop_signal(stop: StopReport, init: str) -> tuple[str, Style]:
    if stop.stop_signal is None:
        if stop.stop_signal_disposition is StopSignalDisposition.UNKNOWN:
            return "none was seen; whether one was sent is not known", Style.PLAIN
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
        return f"dropped by the kernel because {init} has no handler", Style.ERROR
    if stop.stop_signal_result is SignalResult.ALREADY_PENDING:
        return "another one was already pending", Style.PLAIN
    if disposition is StopSignalDisposition.CAUGHT:
        return f"{init} has a handler", Style.PLAIN
    if disposition is StopSignalDisposition.BLOCKED:
        return f"{init} had blocked it and may read it with sigwait or a signalfd", Style.PLAIN
    if disposition is StopSignalDisposition.IGNORED:
        return f"{init} ignores it", Style.ERROR
    return f"sent to {init}", Style.PLAIN


def _from(stop: StopReport) -> str:
    if stop.kill_sender_comm is None:
        return ""
    return f", from {explain_sender(stop.kill_sender_comm, None, stop.kill_sender_chain)}"


def _init_end(stop: StopReport) -> tuple[str, Style]:
    name = f"{stop.init_comm}[{stop.init_host_pid}]"
    if stop.init_term_signal is not None:
        why = f": {CAUSES[stop.init_cause].phrase}" if stop.init_cause is not None else ""
        return f"{name} died of {stop.init_term_signal}{why}", Style.PLAIN
    if stop.init_exit_code is not None:
        return f"{name} exited with code {stop.init_exit_code}", Style.PLAIN
    if stop.outcome is StopOutcome.SURVIVED:
        return f"{name} survived the stop and kept running", Style.ERROR
    return f"{name} had not exited when the trace ended", Style.WARNING


def _took(stop: StopReport, init: str) -> str:
    if stop.duration_ns is None:
        return "not finished when the trace ended"
    parts = [f"{format_duration(stop.duration_ns)} in total"]
    if stop.stop_signal is None and stop.trigger in _BY_EXIT:
        span = format_duration(stop.duration_ns)
        parts = [f"{span} from {init}'s exit to the last process's release"]
    if stop.grace_ns is not None and not stop.escalated and stop.outcome is StopOutcome.STOPPED:
        parts.append(f"{format_duration(stop.grace_ns)} from the stop signal to {init}'s exit")
    if stop.teardown_ns is not None:
        parts.append(f"{format_duration(stop.teardown_ns)} for namespace teardown")
    return "; ".join(parts)


def _counts(stop: StopReport) -> str:
    counts = (
        (stop.sigkilled, "killed by SIGKILL"),
        (stop.signalled, "died of a signal other than SIGKILL"),
        (stop.exited, "exited"),
        (
            stop.already_zombie,
            "already a zombie" if stop.already_zombie == 1 else "already zombies",
        ),
        (stop.survived, "survived"),
    )
    parts = [f"{count} {what}" for count, what in counts if count]
    return f"{stop.members}: {', '.join(parts) or 'none accounted for'}"


def _whose(stop: StopReport) -> str:
    if stop.container_name is not None:
        return stop.container_name
    if stop.container_id is not None:
        return stop.container_id[:12]
    return f"PID namespace {stop.pidns_inum}"
