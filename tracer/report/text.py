"""The report for people: 80 columns, the answer first."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TextIO

from tracer.model.report import Report
from tracer.report.fates import add_fates
from tracer.report.findings import add_findings, add_gaps
from tracer.report.first_screen import SCREEN_LINES, add_first_screen
from tracer.report.page import DEFAULT_WIDTH, Page, Style
from tracer.report.stop_block import add_stops
from tracer.report.terminal import Terminal, write_page
from tracer.report.timeline import add_timeline
from tracer.report.zombie_groups import add_zombies
from tracer.wording.times import format_clock, format_date, format_duration, format_zone

MOST_LINES = 200
"""A longer report describes the worst, and counts the rest."""


@dataclass(frozen=True, slots=True)
class _Room:
    """How many lines the parts of a report may take; None = however many."""

    stops: int | None = None
    timeline: int | None = None
    fates: int | None = None
    zombies: int | None = None
    findings: int | None = None

    def scaled(self, share: float) -> _Room:
        """A share of it."""
        return _Room(*(int((getattr(self, each.name) or 0) * share) for each in fields(self)))


_ALL = _Room()
_SHORT = _Room(stops=25, timeline=28, fates=24, zombies=16, findings=42)
_SHARES = (1.0, 0.75, 0.5, 0.25, 0.1)


def report_page(report: Report, *, width: int = DEFAULT_WIDTH, utc: bool = False) -> Page:
    """Lay the report out: the first screen, then when, who, zombies, details, gaps.

    Args:
        report: What the trace concluded.
        width: Columns to stay within.
        utc: Show times in UTC instead of the machine's own zone.
    """
    page = _lay_out(report, _ALL, width=width, utc=utc)
    for share in _SHARES:
        if len(page.lines) <= MOST_LINES:
            break
        page = _lay_out(report, _SHORT.scaled(share), width=width, utc=utc)
    return page


def brief_page(report: Report, *, width: int = DEFAULT_WIDTH, utc: bool = False) -> Page:
    """Lay out the first screen alone."""
    page = Page(width)
    _add_header(page, report, utc=utc)
    advised = add_first_screen(page, report).advised
    if advised and len(page.lines) + 2 <= SCREEN_LINES:
        page.blank()
        page.text(f"What a code means: zomtrace explain {advised[0].code}", style=Style.DIM)
    return page


def _lay_out(report: Report, room: _Room, *, width: int, utc: bool) -> Page:
    page = Page(width)
    _add_header(page, report, utc=utc)
    screen = add_first_screen(page, report)
    if not screen.has_all_stops:
        page.heading("Stops")
        add_stops(page, report, most_lines=room.stops)
    add_timeline(page, report, utc=utc, most_lines=room.timeline)
    add_fates(page, report, most_lines=room.fates)
    add_zombies(page, report, most_lines=room.zombies)
    add_findings(page, report, advised=screen.advised, most_lines=room.findings)
    add_gaps(page, report)
    return page


def render_report(report: Report, *, width: int = DEFAULT_WIDTH, utc: bool = True) -> str:
    """Write the report as plain text."""
    return report_page(report, width=width, utc=utc).plain()


def write_report(
    report: Report,
    stream: TextIO,
    *,
    utc: bool = False,
    no_color: bool = False,
    is_brief: bool = False,
) -> None:
    """Write the report to a stream: with colours to a terminal, else plain.

    Args:
        report: What the trace concluded.
        stream: Where to.
        utc: Show times in UTC instead of the machine's own zone.
        no_color: Plain on a terminal too.
        is_brief: The first screen alone.

    Raises:
        BrokenPipeError: The reader went away.
    """
    terminal = Terminal.of(stream, no_color=no_color)
    lay_out = brief_page if is_brief else report_page
    page = lay_out(report, width=terminal.width, utc=utc)
    write_page(page, stream, color=terminal.color)


def _add_header(page: Page, report: Report, *, utc: bool) -> None:
    begin_ns = report.begin_boot_ns + report.utc_offset_ns
    end_ns = report.end_boot_ns + report.utc_offset_ns
    day = format_date(begin_ns, utc=utc)
    last_day = format_date(end_ns, utc=utc)
    until = format_clock(end_ns, utc=utc)
    if last_day != day:
        until = f"{last_day} {until}"
    page.text(f"zomtrace: {report.target}", style=Style.HEADING)
    page.text(
        f"{day} {format_clock(begin_ns, utc=utc)} to {until} {format_zone(begin_ns, utc=utc)}, "
        f"{format_duration(end_ns - begin_ns)}; kernel {report.kernel}; "
        f"{'no events lost' if report.complete else 'INCOMPLETE, see the end'}",
        style=Style.DIM,
    )
