"""Who ended how, and because of whom: one row for all processes of one fate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tracer.model.report import ProcessReport, Report, StopReport
from tracer.model.signals import SIGRTMAX, SignalResult, signal_name
from tracer.model.verdicts import Cause, End
from tracer.report.page import Line, Page, Span, Style, column, line_width, wrap
from tracer.report.pidlist import format_pids
from tracer.report.wording import (
    CAUSE_MEANING,
    explain_exit_code,
    explain_sender,
    explain_stop_signal,
    explain_trigger,
    init_word,
)

_COUNT_WIDTH = 8
_NAME_WIDTH = 17
_END_WIDTH = 13
_MAX_DEATHS = 40
_MAX_QUIET = 8


@dataclass(frozen=True, slots=True)
class Fate:
    """What equal processes have in common.

    ``members`` keep the order of the report. Pids are not part of a fate:
    997 workers killed alike are one row.
    """

    members: tuple[ProcessReport, ...]

    @property
    def one(self) -> ProcessReport:
        """Any of them."""
        return self.members[0]

    def common_pid(self, read: Callable[[ProcessReport], int | None]) -> int | None:
        """A pid, where it is the same for all."""
        pids = {read(member) for member in self.members}
        return pids.pop() if len(pids) == 1 else None


def group_fates(processes: Iterable[ProcessReport], stops: Iterable[StopReport] = ()) -> list[Fate]:
    """Put processes of one fate together; PID 1 first, then by how bad it is."""
    by_scope = _stops_by_scope(stops)
    groups: dict[tuple[object, ...], list[ProcessReport]] = {}
    for process in processes:
        groups.setdefault((*_fate_key(process), _about_stop(process, by_scope)), []).append(process)
    fates = [Fate(tuple(members)) for members in groups.values()]
    return sorted(fates, key=lambda fate: (_rank(fate.one), -len(fate.members)))


def add_fates(page: Page, report: Report) -> None:
    """Write the section."""
    if not report.processes:
        page.heading("Who died, and of what")
        page.text("No process of the target was seen.", indent=2)
        return
    fates = group_fates(report.processes, report.stops)
    loud = [fate for fate in fates if not _is_quiet(fate.one)]
    quiet = [fate for fate in fates if _is_quiet(fate.one)]
    page.heading("Who died, and of what", "pids are the host's")
    page.add(
        Span(
            f"{'count':>{_COUNT_WIDTH - 2}}  {'process':<{_NAME_WIDTH}}{'end':<{_END_WIDTH}}why",
            Style.DIM,
        )
    )
    for fate in loud[:_MAX_DEATHS]:
        _add_fate(page, fate, report)
    _add_rest(page, loud[_MAX_DEATHS:], "that were killed or failed: --report FILE has them all")
    for fate in quiet[:_MAX_QUIET]:
        _add_fate(page, fate, report)
    _add_rest(page, quiet[_MAX_QUIET:], "that ended with code 0 or still run")
    if any(process.sender_chain for process in report.processes):
        page.text("(a <- b: a was started by b)", indent=2, style=Style.DIM)


def label_end(process: ProcessReport) -> str:
    """Say in a word or two how a process ended: ``SIGKILL``, ``exit 1``, ``still runs``."""
    return _end_label(process)


def explain_end(process: ProcessReport) -> str:
    """Say in a sentence or two why a process ended as it did."""
    return _why(process)


def explain_origin(process: ProcessReport) -> str | None:
    """Say where the signal a process died of came from; None where there is nothing to say."""
    return _signal_origin(Fate((process,)))


def _add_fate(page: Page, fate: Fate, report: Report) -> None:
    one = fate.one
    lead: Line = (
        column(f"{len(fate.members)} x", _COUNT_WIDTH - 1, Style.STRONG, right=True),
        Span(" "),
        column(one.comm, _NAME_WIDTH - 1, Style.NAME),
        Span(" "),
        column(_end_label(one), _END_WIDTH - 1, _end_style(one)),
        Span(" "),
    )
    room = page.width - line_width(lead)
    rows = [(row, Style.PLAIN) for row in wrap(_why(one), room)]
    for text in _evidence(fate, report):
        rows += [(row, Style.DIM) for row in wrap(text, room)]
    init = f"({init_word(report.containers, one.container_id)})" if one.is_init else ""
    for number, (text, style) in enumerate(rows):
        if number > 0:
            below = column(init if number == 1 else "", _NAME_WIDTH + _END_WIDTH, Style.DIM)
            lead = (Span(" " * _COUNT_WIDTH), below)
        page.add(*lead, Span(text, style))


def _add_rest(page: Page, rest: list[Fate], what: str) -> None:
    if rest:
        count = sum(len(fate.members) for fate in rest)
        page.text(f"... and {count} more {what}", indent=2, style=Style.DIM)


def _fate_key(process: ProcessReport) -> tuple[object, ...]:
    return (
        process.container_id,
        process.pidns_inum,
        process.is_init,
        process.comm,
        process.end,
        _may_live(process),
        process.exit_code,
        process.term_signal,
        process.core_dumped,
        process.cause,
        process.sender_comm,
        process.sender_chain,
        process.sender_syscall,
        process.trigger_comm,
        process.stop_signal_seen,
        process.stop_signal_disposition,
    )


def _may_live(process: ProcessReport) -> bool:
    # Only where the record of an end may be lost is there no end at all.
    return process.end is None and process.end_boot_ns is None and process.reap_kind is None


def _rank(process: ProcessReport) -> int:
    if process.is_init:
        return 0
    if process.end is End.SIGNAL:
        return 1
    if process.end is None:
        return 2
    if process.end is End.EXIT:
        return 2 if process.exit_code else 3
    return 4


def _is_quiet(process: ProcessReport) -> bool:
    return not process.is_init and _rank(process) >= 3


def _end_label(process: ProcessReport) -> str:
    if process.end is End.RUNNING:
        return "still runs"
    if process.end is End.SIGNAL:
        return process.term_signal or "a signal"
    if process.end is None:
        return "not known"
    return "ended" if process.exit_code is None else f"exit {process.exit_code}"


def _end_style(process: ProcessReport) -> Style:
    if process.end in (End.RUNNING, None):
        return Style.INFO
    if process.end is End.SIGNAL:
        return Style.WARNING if process.cause is Cause.STOP_SIGNAL else Style.ERROR
    return Style.GOOD if process.exit_code == 0 else Style.WARNING


def _why(process: ProcessReport) -> str:
    if process.end is End.RUNNING:
        return "It still ran when the trace ended."
    if process.end is End.SIGNAL:
        dumped = " It left a core dump." if process.core_dumped else ""
        return CAUSE_MEANING[process.cause or Cause.UNKNOWN] + dumped
    if _may_live(process):
        return "Whether it ended is not known: the record of that may be among the lost."
    if process.exit_code is None:
        return "It ended; how is not known: no record of that was seen."
    if not process.exit_code:
        return "It ended by itself."
    signo = process.exit_code - 128
    named = signal_name(signo) if 0 < signo <= SIGRTMAX else None
    explained = explain_exit_code(process.exit_code, named)
    return explained or "It ended by itself, reporting a failure."


def _evidence(fate: Fate, report: Report) -> Iterator[str]:
    one = fate.one
    origin = _signal_origin(fate)
    if origin is not None:
        yield origin
    about_stop = _about_stop(one, _stops_by_scope(report.stops))
    if about_stop is not None:
        yield about_stop
    if len(report.containers) > 1 and one.container_id is not None:
        yield f"in {_container_label(report, one.container_id)}"
    yield format_pids([member.host_pid for member in fate.members])


def _signal_origin(fate: Fate) -> str | None:
    one = fate.one
    if one.end is not End.SIGNAL:
        return None
    if one.sender_comm is not None:
        pid = fate.common_pid(lambda process: process.sender_host_pid)
        call = f" ({one.sender_syscall})" if one.sender_syscall else ""
        if one.cause is Cause.SELF:
            return f"by itself{call}"
        return f"sent by {explain_sender(one.sender_comm, pid, one.sender_chain)}{call}"
    if one.trigger_comm is not None and one.cause is not Cause.FAULT:
        pid = fate.common_pid(lambda process: process.trigger_host_pid)
        return explain_trigger(one.cause, one.trigger_comm, pid)
    return None


def _about_stop(
    process: ProcessReport, stops: dict[tuple[str | None, int | None], StopReport]
) -> str | None:
    stop = stops.get((process.container_id, process.pidns_inum))
    if stop is None or stop.stop_signal is None:
        return None
    if process.end_boot_ns is not None and process.end_boot_ns < stop.begin_boot_ns:
        # It had ended before there was anything to stop.
        return None
    dropped = process.is_init and stop.stop_signal_result is SignalResult.IGNORED
    return explain_stop_signal(
        process.stop_signal_disposition,
        stop.stop_signal,
        seen=process.stop_signal_seen,
        dropped=dropped,
    )


def _stops_by_scope(
    stops: Iterable[StopReport],
) -> dict[tuple[str | None, int | None], StopReport]:
    by_scope: dict[tuple[str | None, int | None], StopReport] = {}
    for stop in stops:
        by_scope.setdefault((stop.container_id, stop.pidns_inum), stop)
    return by_scope


def _container_label(report: Report, container_id: str) -> str:
    for container in report.containers:
        if container.id == container_id:
            return container.label
    return container_id[:12]
