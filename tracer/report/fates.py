"""Who ended how, and because of whom: one row for all processes of one fate."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tracer.model.report import ProcessReport, Report
from tracer.model.signals import SIGRTMAX, signal_name
from tracer.model.verdicts import Cause, End
from tracer.report.fate_groups import NO_PID, Fate, about_stop, fates_of, may_live, rank_of
from tracer.report.page import Line, Page, Span, Style, column, line_width, wrap
from tracer.wording.causes import CAUSES, KERNELS_OWN, explain_trigger
from tracer.wording.pids import format_pids
from tracer.wording.times import format_duration
from tracer.wording.verdicts import (
    explain_exit_code,
    explain_sender,
    init_word,
)

_COUNT_WIDTH = 8
_NAME_WIDTH = 17
_END_WIDTH = 13
_LEAD_WIDTH = _COUNT_WIDTH + _NAME_WIDTH + _END_WIDTH
_NARROW_INDENT = 6
_MAX_DEATHS = 40
_MAX_QUIET = 8
_ONE_MOMENT_NS = 1_000_000_000


def add_fates(page: Page, report: Report, *, most_lines: int | None = None) -> None:
    """Write the section; where room is short, names that differ by numbers are one."""
    if not report.processes and not report.folded.processes:
        page.heading("Processes")
        page.text("No process of the target was captured.", indent=2)
        return
    fates, rest = fates_of(report, is_short=most_lines is not None)
    if most_lines is None and sum(not _is_quiet(fate.one) for fate in fates) > _MAX_DEATHS:
        fates, rest = fates_of(report, is_short=True)
    loud = [fate for fate in fates if not _is_quiet(fate.one)]
    quiet = [fate for fate in fates if _is_quiet(fate.one)]
    page.heading("Processes", "host pids")
    widest = max(fate.count for fate in fates) if fates else 0
    width = max(_COUNT_WIDTH, len(f"{widest} x") + 1)
    if page.has_room(_LEAD_WIDTH):
        heads = f"{'count':>{width - 2}}  {'process':<{_NAME_WIDTH}}{'end':<{_END_WIDTH}}cause"
        page.add(Span(heads, Style.DIM))
    for some, most, room, what in (
        (loud, _MAX_DEATHS, most_lines, "that were killed or failed"),
        (quiet, _MAX_QUIET, most_lines // 3 if most_lines else None,
         "that exited with code 0 or are still running"),
    ):  # fmt: skip
        shown = page.add_within(
            (partial(_add_fate, fate=fate, report=report, width=width) for fate in some[:most]),
            room,
        )
        _add_rest(page, some[shown:], what)
    if rest:
        page.text(f"... and {rest} more with other names, counted only", indent=2, style=Style.DIM)
    if any(process.sender_chain for process in report.processes):
        page.text("(a <- b: b started a)", indent=2, style=Style.DIM)


def label_end(process: ProcessReport) -> str:
    """Say in a word or two how a process ended: ``SIGKILL``, ``exit 1``, ``running``."""
    return _end_label(process)


def explain_end(process: ProcessReport) -> str:
    """Say in a sentence or two why a process ended as it did."""
    return _why(process, process.passed_on_host_pid)


def explain_origin(process: ProcessReport) -> str | None:
    """Say where the signal a process died of came from; None where there is nothing to say."""
    return _signal_origin(Fate((process,), process.comm))


def _add_fate(page: Page, fate: Fate, report: Report, width: int) -> None:
    one = fate.one
    lead: Line = (
        column(f"{fate.count} x", width - 1, Style.STRONG, right=True),
        Span(" "),
        column(fate.name, _NAME_WIDTH - 1, Style.NAME),
        Span(" "),
        column(_end_label(one), _END_WIDTH - 1, _end_style(one)),
        Span(" "),
    )
    if not page.has_room(_LEAD_WIDTH):
        _add_narrow(page, fate, report)
        return
    room = page.width - line_width(lead)
    rows = [(row, Style.PLAIN) for row in wrap(_why_all(fate), room)]
    for text in _evidence(fate, report):
        rows += [(row, Style.DIM) for row in wrap(text, room)]
    init = f"({init_word(report.containers, one.container_id)})" if one.is_init else ""
    for number, (text, style) in enumerate(rows):
        if number > 0:
            below = column(init if number == 1 else "", _NAME_WIDTH + _END_WIDTH, Style.DIM)
            lead = (Span(" " * width), below)
        page.add(*lead, Span(text, style))


def _add_narrow(page: Page, fate: Fate, report: Report) -> None:
    """Write a fate where there is no room for columns: what it says below its name."""
    one = fate.one
    init = f" ({init_word(report.containers, one.container_id)})" if one.is_init else ""
    lead = (Span(f"  {fate.count} x ", Style.STRONG), Span(one.comm + init, Style.NAME))
    page.entry((*lead, Span(": ")), _end_label(one), style=_end_style(one))
    page.text(_why_all(fate), indent=_NARROW_INDENT)
    for text in _evidence(fate, report):
        page.text(text, indent=_NARROW_INDENT, style=Style.DIM)


def _add_rest(page: Page, rest: list[Fate], what: str) -> None:
    if rest:
        count = sum(fate.count for fate in rest)
        page.text(f"... and {count} more {what}", indent=2, style=Style.DIM)


def _is_quiet(process: ProcessReport) -> bool:
    return not process.is_init and rank_of(process) >= 3


def _end_label(process: ProcessReport) -> str:
    if process.end is End.RUNNING:
        return "running"
    if process.end is End.SIGNAL:
        return process.term_signal or "a signal"
    if process.end is None:
        return "unknown"
    return "exited" if process.exit_code is None else f"exit {process.exit_code}"


def _end_style(process: ProcessReport) -> Style:
    if process.end in (End.RUNNING, None):
        return Style.INFO
    if process.end is End.SIGNAL:
        return Style.WARNING if process.cause is Cause.STOP_SIGNAL else Style.ERROR
    return Style.GOOD if process.exit_code == 0 else Style.WARNING


def _why_all(fate: Fate) -> str:
    return _why(fate.one, fate.common_pid(lambda process: process.passed_on_host_pid))


def _why(process: ProcessReport, child: int | None) -> str:
    if process.end is End.RUNNING:
        return "It was still running when the trace ended."
    if process.end is End.SIGNAL:
        dumped = " It dumped core." if process.core_dumped else ""
        cause = process.cause or Cause.UNKNOWN
        if cause is Cause.UNKNOWN and process.trigger_host_pid == process.host_pid:
            return KERNELS_OWN + dumped
        return CAUSES[cause].sentence + dumped
    if may_live(process):
        return "Whether it exited is unknown: its exit may be among the lost events."
    if process.exit_code is None:
        return "It exited; its status is unknown because the exit event was not captured."
    signo = process.exit_code - 128
    named = signal_name(signo) if 0 < signo <= SIGRTMAX else None
    return explain_exit_code(process.exit_code, named, process.exit_code_origin, child)


def _evidence(fate: Fate, report: Report) -> Iterator[str]:
    one = fate.one
    origin = _signal_origin(fate)
    if origin is not None:
        yield origin
    words = about_stop(one, report.stops)
    if words is not None:
        yield words
    if len(report.containers) > 1 and one.container_id is not None:
        yield f"in {_container_label(report, one.container_id)}"
    apart = _apart(fate)
    if apart is not None:
        yield apart
    pids = [member.host_pid for member in fate.members if member.host_pid != NO_PID]
    if not pids:
        yield "counted only"
    elif fate.folded:
        yield f"{format_pids(pids)}; {fate.folded} more counted only"
    else:
        yield format_pids(pids)


def _apart(fate: Fate) -> str | None:
    """Say over what time several died; nothing where that was one moment."""
    ends_ns = [one.end_boot_ns for one in fate.members if one.end_boot_ns is not None]
    if fate.one.end is not End.SIGNAL or len(ends_ns) < 2:
        return None
    apart_ns = max(ends_ns) - min(ends_ns)
    if apart_ns <= _ONE_MOMENT_NS:
        return None
    return f"the first died {format_duration(apart_ns)} before the last"


def _signal_origin(fate: Fate) -> str | None:
    one = fate.one
    if one.end is not End.SIGNAL:
        return None
    if one.sender_comm is not None:
        senders = {(each.sender_host_pid, each.sender_start_boot_ns) for each in fate.members}
        pid = one.sender_host_pid if len(senders) == 1 and not fate.folded else None
        call = f" ({one.sender_syscall})" if one.sender_syscall else ""
        if one.cause is Cause.SELF:
            return f"sent by the process itself{call}"
        if len(senders) > 1:
            names = explain_sender(one.sender_comm, None, one.sender_chain)
            return f"sent by {len(senders)} processes, each called {names}{call}"
        return f"sent by {explain_sender(one.sender_comm, pid, one.sender_chain)}{call}"
    if one.trigger_comm is not None and one.cause is not Cause.FAULT:
        pid = fate.common_pid(lambda process: process.trigger_host_pid)
        return explain_trigger(one.cause, one.trigger_comm, pid)
    return None


def _container_label(report: Report, container_id: str) -> str:
    for container in report.containers:
        if container.id == container_id:
            return container.label
    return container_id[:12]
